"""The core's own numbers and small values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, NewType

from chronik.vocab.ids import FIRST_EPOCH, LeaderEpoch, NodeId

# Position of an entry: its offset plus the markers before it. Dense, from 0; a record batch covers one index
# per offset, a marker covers one.
RaftIndex = NewType("RaftIndex", int)

# Raft's term and Kafka's leader epoch are one number.
Term = LeaderEpoch

# The position before the first entry of a log that never lost its beginning, and the term there.
BEFORE_FIRST = RaftIndex(-1)
NO_TERM = Term(0)

# The term in which a group's designated first leader leads without an election, unless the group is given a
# later one. Nobody campaigns in it, so a replica that lost its bootstrap in a crash cannot elect another
# leader there.
FIRST_TERM = FIRST_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class HardState:
    """What must be durable before this node answers in `term` (section 5, "Persistent state")."""

    # Invariant: never decreases.
    term: Term = NO_TERM
    # Invariant: within a term changes once, from None.
    voted_for: NodeId | None = None


class ReplicaId(NamedTuple):
    """The name of a member of a group. A node that lost its disk, or whose replica was removed and created
    again, has another replica, which must not vote on what the lost one knew (as KIP-853). See
    `RaftCore.is_replica_committed`.
    """

    node: NodeId
    # The name of its files (`raft.directories`).
    directory: str
    # 0 for the founders of the group. Metadata gives each later replica a higher number than any before it,
    # so that a removed one does not come back under its old name.
    revision: int = 0


def founding_replicas(directories: Mapping[NodeId, str]) -> frozenset[ReplicaId]:
    """Returns the replicas that found a group in these directories."""
    return frozenset(ReplicaId(node, directory) for node, directory in directories.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The voters, and the learners, which only receive. In force from the moment it is in the log (section
    6).
    """

    # Invariant: not empty.
    voters: frozenset[NodeId]
    # Invariant: disjoint from voters.
    learners: frozenset[NodeId] = frozenset()
    # Each member's, where it is known. Invariant: at most one of a node.
    replicas: frozenset[ReplicaId] = frozenset()

    @property
    def members(self) -> frozenset[NodeId]:
        return self.voters | self.learners

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    @property
    def directories(self) -> dict[NodeId, str]:
        """The names of the members' files, where they are known."""
        return {replica.node: replica.directory for replica in self.replicas}

    @property
    def has_revisions(self) -> bool:
        """True if it names a replica that is no founder's."""
        return any(replica.revision for replica in self.replicas)

    def replica(self, node: NodeId) -> ReplicaId | None:
        """Returns the name of a node's replica; None if the membership has none for it."""
        return next((replica for replica in self.replicas if replica.node == node), None)

    def means(self, replica: ReplicaId) -> bool:
        """Whether it is this replica that a member of its node is. One without a name is a founder's."""
        named = self.replica(replica.node)
        return replica.revision == 0 if named is None else named == replica

    def is_majority(self, nodes: frozenset[NodeId]) -> bool:
        """True if `nodes` has a majority of the voters; others in it do not count."""
        return len(self.voters & nodes) >= self.majority


class Refusal(Enum):
    NOT_LEADER = "this node does not lead"
    IS_TRANSFERRING = "leadership is being handed over"
    # Thesis 4.1, and the correction to it: a leader changes members only when an entry of its term is
    # committed, and one change after the other.
    CHANGE_PENDING = "an earlier membership, or the start of this term, is not committed"
    MORE_THAN_ONE_VOTER = "voters can only be added and removed one at a time"
    NO_VOTERS = "a group needs a voter"
    NOT_CAUGHT_UP = "a new voter must first have the log, as a learner"
    NOT_A_VOTER = "leadership goes to another voter"
    NOT_CONNECTED = "leadership goes to a voter that can be reached"


class Refused(Exception):
    """Raised by `RaftCore.propose`, `propose_membership` and `transfer_leadership`."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason
