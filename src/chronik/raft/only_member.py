"""Stands in for the core of a group whose only member is this node.

Such a group has nobody to ask and nothing to count, so it needs no core until something else is asked of it
than records: the core, and all it imports, is made then (`ReplicatedGroup`).
"""

from collections.abc import Sequence

from chronik.raft.core.memberships import Memberships
from chronik.raft.core.roles import Role
from chronik.raft.core.types import BEFORE_FIRST, HardState, Membership, RaftIndex, ReplicaId, Term
from chronik.vocab.ids import NodeId


class OnlyMember:
    """Created and replaced by its group. Answers as `RaftCore` does, and takes no input."""

    __slots__ = ("is_own_term_committed", "leader", "membership", "role", "term")

    is_alone = True
    is_quiesced = True
    may_vote = True
    transferring_to = None
    # Its membership is committed, for it may have no other: what comes behind it is the group's to count.
    membership_index = BEFORE_FIRST
    committed = BEFORE_FIRST

    def __init__(self, membership: Membership, term: Term) -> None:
        self.membership = membership
        self.term = term
        self.role = Role.FOLLOWER
        self.leader: NodeId | None = None
        self.is_own_term_committed = False

    def lead(self, node: NodeId, term: Term) -> None:
        self.role, self.leader, self.term = Role.LEADER, node, term
        self.is_own_term_committed = True


def is_only_member(own: ReplicaId, memberships: Sequence[tuple[RaftIndex, Membership]]) -> bool:
    """True if `own` is the only member by the last of a log's memberships, and surely so."""
    return Memberships(memberships).is_alone(own, BEFORE_FIRST)


def next_own_term(hard_state: HardState, last_term: Term, first_term: Term, *, is_empty: bool) -> Term:
    """The term to lead in after an opening: the group's first for a log that never had anything, else one
    that is above all it ever had.
    """
    if is_empty and hard_state == HardState():
        return first_term
    return Term(max(hard_state.term, last_term, first_term) + 1)
