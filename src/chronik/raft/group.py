"""The seam between a partition and consensus.

A partition proposes batches and is notified when they are committed. The number of voters is invisible to it:
the only replica commits after this node's own sync, one of several after a majority's.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from chronik.log.partition_log import AppendResult
from chronik.records.batch import Batch
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId, format_topic_id


class GroupId(NamedTuple):
    """Identifies one partition by its topic's id: a topic deleted and created again is another group."""

    topic_id: TopicId
    partition: int

    def __str__(self) -> str:
        return f"{format_topic_id(self.topic_id)}-{self.partition}"


class GroupListener(Protocol):
    """Notifications of a group to its partition. Called on the event loop, never from inside `propose`."""

    def on_commit(self, high_watermark: Offset) -> None:
        """Records below `high_watermark` are committed. Never decreases. Also on followers, later."""
        ...

    def on_truncated(self, end_offset: Offset) -> None:
        """Records from `end_offset` on are gone from the log and will never be committed.

        Until this call, proposed records may still be committed after leadership was lost.
        """
        ...

    def on_leadership(self) -> None:
        """`is_leader`, `leader_epoch` or `known_leader` changed."""
        ...

    def on_own_term_committed(self) -> None:
        """`is_own_term_committed` became true."""
        ...

    def on_failure(self, error: OSError) -> None:
        """The local log failed: nothing after the last `on_commit` will be committed by this group any
        more.
        """
        ...


class Replica(NamedTuple):
    """One replica as its leader sees it, for DescribeQuorum, in-sync replicas and metrics."""

    node: NodeId
    is_voter: bool
    # -1 while it is not known.
    end_offset: int
    # On the monotonic clock; the last time it had everything, and was connected. -1: never in this term.
    caught_up_ms: int
    last_contact_ms: int


class Group(Protocol):
    """One partition's replicas, seen from this node."""

    @property
    def leader_epoch(self) -> LeaderEpoch:
        """The term this node knows; stamped into every batch it appends as leader."""
        ...

    @property
    def is_leader(self) -> bool: ...

    @property
    def is_own_term_committed(self) -> bool:
        """True if this node leads and has committed an entry of its own term: only then is the high watermark
        not behind what earlier leaders acknowledged (KIP-207).
        """
        ...

    @property
    def known_leader(self) -> NodeId | None:
        """The leader of this term, as far as this node knows."""
        ...

    def refusal(self) -> KafkaError:
        """Returns the error for requests to a leader; only while `is_leader` is false.

        NOT_LEADER_OR_FOLLOWER when another node leads, KAFKA_STORAGE_ERROR when the log failed.
        """
        ...

    @property
    def high_watermark(self) -> Offset:
        """Exclusive bound of committed records."""
        ...

    def propose(self, batches: Sequence[Batch]) -> AppendResult:
        """Appends to the leader's log and starts replication; `on_commit` follows, also when `high_watermark`
        already covers the records.

        Raises KafkaError NOT_LEADER_OR_FOLLOWER when this node does not lead or transfers leadership,
        KAFKA_STORAGE_ERROR when its log failed.
        """
        ...

    def sync_soon(self) -> None:
        """Requests a sync of changes to the log besides records, such as a roll, in the next round."""
        ...

    def on_tidied(self) -> None:
        """The log's start moved, durably: what describes the entries before it may go. Raises OSError."""
        ...

    def lagging(self) -> frozenset[NodeId]:
        """On the leader: the replicas that are not in sync (replica.lag.time.max.ms, or not connected)."""
        ...

    def replicas(self) -> Sequence[Replica]:
        """On the leader: all of them, itself first. On others: empty."""
        ...

    def transfer(self, to: NodeId) -> None:
        """Starts a leadership transfer; `on_leadership` reports its success, and it may fail silently.

        Raises KafkaError NOT_LEADER_OR_FOLLOWER, ELIGIBLE_LEADERS_NOT_AVAILABLE when `to` is not a voter.
        """
        ...
