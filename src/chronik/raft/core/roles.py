"""The roles, which may follow which, and the values a role returns to be followed by another."""

from dataclasses import dataclass
from enum import Enum

from chronik.raft.core.types import Term
from chronik.vocab.ids import NodeId


class Role(Enum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


# A follower becomes candidate without a pre-vote when its leader sent TimeoutNow, as designated first leader,
# or because there is no other voter.
TRANSITIONS = {
    Role.FOLLOWER: frozenset({Role.FOLLOWER, Role.PRE_CANDIDATE, Role.CANDIDATE}),
    Role.PRE_CANDIDATE: frozenset({Role.FOLLOWER, Role.PRE_CANDIDATE, Role.CANDIDATE}),
    Role.CANDIDATE: frozenset({Role.FOLLOWER, Role.PRE_CANDIDATE, Role.LEADER}),
    Role.LEADER: frozenset({Role.FOLLOWER}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BecomeFollower:
    """Follows in `term`, which is the present one or a later."""

    term: Term
    leader: NodeId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BecomePreCandidate:
    """Asks for pre-votes, in the present term."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BecomeCandidate:
    """Campaigns in a later term, having voted for itself."""

    is_transfer: bool = False
    # Not an election: the first leader takes its term.
    is_first: bool = False
    # Votes besides its own: those with which a group is created.
    votes: frozenset[NodeId] = frozenset()
    # No other node has a vote: see `RaftCore.lead_alone`.
    is_alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BecomeLeader:
    """Leads in the present term."""

    is_alone: bool = False


Transition = BecomeFollower | BecomePreCandidate | BecomeCandidate | BecomeLeader
