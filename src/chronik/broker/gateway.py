"""A partition as handlers see it: the operations on it, and when each is complete.

Operations that change or read records have two stages. In the first, which ends with the call, the place in
the order is fixed: two appends of one connection are in the log in their order. The second ends when the
operation is complete: committed, loaded from the device, removed durably. Nothing here shows where the log
is, or how it is replicated, so that a partition may one day live in another worker or tier.
`broker.partition.Partition` is the local one.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from chronik.broker.commit_waiters import CommitWaiter
from chronik.broker.traffic import TopicTraffic
from chronik.log.producer_state import ProducerEntry
from chronik.log.reading import ColdRead, LogSlice
from chronik.log.timestamps import TimestampOffset
from chronik.log.txn_index import AbortedTxn
from chronik.raft.group import Replica
from chronik.vocab.config.topic import TopicConfig
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId, TopicPartition


class Appended(NamedTuple):
    """Position of a produced batch, or of its first copy if it is a duplicate."""

    base_offset: Offset
    # Exclusive: the high watermark that commits it.
    end_offset: Offset
    # Milliseconds; -1 where the topic keeps the producer's timestamps.
    log_append_time_ms: int
    # Of the partition, after the append.
    log_start_offset: Offset


class FetchWaiter(Protocol):
    """Someone who waits for more to read."""

    def on_progress(self) -> None: ...


class PartitionGateway(Protocol):
    """See the module. A call that raises KafkaError has changed nothing."""

    name: TopicPartition
    topic_id: TopicId
    is_internal: bool
    config: TopicConfig
    traffic: TopicTraffic
    # Exclusive bound of committed records.
    high_watermark: Offset

    @property
    def is_replicated(self) -> bool: ...

    @property
    def is_open(self) -> bool:
        """False once it was deleted or the node stops."""
        ...

    @property
    def is_leader(self) -> bool:
        """True if this node leads, and serves."""
        ...

    @property
    def leader_epoch(self) -> LeaderEpoch: ...

    @property
    def is_own_term_committed(self) -> bool:
        """True if the high watermark is not behind what earlier leaders acknowledged (KIP-207)."""
        ...

    def check_leader(self, epoch: int = -1, /) -> None:
        """Raises unless this node leads, and at the client's epoch (KIP-320); -1 is any."""
        ...

    def check_reader(self, epoch: int = -1, /) -> None:
        """As `check_leader`, but accepts a follower that has a live leader (KIP-392)."""
        ...

    # Produce: ordered by `append`, finished when the waiter is called.

    def append(self, records: bytes, /, *, needs_in_sync: bool = False) -> Appended: ...

    def wait_committed(self, end_offset: Offset, waiter: CommitWaiter, /) -> bool:
        """Have `waiter` called once `end_offset` is committed; False, and no call, when it is already."""
        ...

    # Reads: data in memory at once, the rest as a `ColdRead` to be loaded.

    def read(
        self, offset: Offset, max_bytes: int, /, *, is_read_committed: bool, at_least_one: bool
    ) -> LogSlice | ColdRead: ...

    def add_fetch_waiter(self, waiter: FetchWaiter, /) -> None: ...

    def remove_fetch_waiter(self, waiter: FetchWaiter, /) -> None: ...

    # Look up: as things are now.

    def offsets(self) -> tuple[Offset, Offset, Offset]:
        """High watermark, last stable offset, log start offset."""
        ...

    @property
    def log_start_offset(self) -> Offset: ...

    @property
    def last_stable_offset(self) -> Offset:
        """Exclusive bound of what read_committed may see."""
        ...

    def offset_for_timestamp(self, timestamp: int, /) -> TimestampOffset | None: ...

    def offset_of_max_timestamp(self) -> TimestampOffset | None: ...

    def epoch_at(self, offset: int, /) -> LeaderEpoch:
        """The leader epoch of the record at an offset; at the end that of the next one."""
        ...

    def end_of_epoch(self, epoch: int, /) -> tuple[int, int]:
        """The largest epoch that is not above `epoch`, and where it ends (KIP-320); -1, -1 when unknown."""
        ...

    def aborted_txns(self, offset: int, end_offset: int, /) -> Sequence[AbortedTxn]: ...

    def active_producers(self) -> Sequence[ProducerEntry]:
        """The idempotent producers the log remembers."""
        ...

    def size(self) -> int:
        """Bytes on disk."""
        ...

    def has_offset(self, offset: int, /) -> bool:
        """True if a record was or can be appended at an offset here: between log start and log end."""
        ...

    # Replicas, on the leader.

    def in_sync(self) -> list[NodeId]: ...

    def replica_progress(self) -> Sequence[Replica]:
        """Returns the progress of each replica, this one first; empty on followers."""
        ...

    # Administration: ordered by the call, finished when awaited.

    async def delete_records(self, before: Offset, /) -> Offset:
        """Raise the log start offset; durable when it returns the new one."""
        ...
