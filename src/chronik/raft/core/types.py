"""The core's own numbers and small values."""

from dataclasses import dataclass
from typing import NewType

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Who votes, and who only receives. In force from the moment it is in the log (section 6)."""

    # Invariant: not empty.
    voters: frozenset[NodeId]
    # Invariant: disjoint from voters.
    learners: frozenset[NodeId] = frozenset()
    # The data directory of each member, where it is known: a node that lost its disk is another replica,
    # which must not vote on what the lost one knew (as KIP-853). See `RaftCore.is_directory_committed`.
    directories: frozenset[tuple[NodeId, str]] = frozenset()

    @property
    def members(self) -> frozenset[NodeId]:
        return self.voters | self.learners

    @property
    def majority(self) -> int:
        return len(self.voters) // 2 + 1

    def is_majority(self, nodes: frozenset[NodeId]) -> bool:
        """Whether `nodes` has a majority of the voters; others in it do not count."""
        return len(self.voters & nodes) >= self.majority
