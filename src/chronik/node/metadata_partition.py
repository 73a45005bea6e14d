"""`__meta` on this node: the partition under the metadata service.

It is opened before all others, because it names them. Clients neither see nor reach it, and retention does
not touch it: it is truncated in front only below a snapshot.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from chronik.broker.internal_log import InternalLog
from chronik.broker.partition import Partition
from chronik.broker.replica_manager import ReplicaManager
from chronik.cluster.metadata.topics import TopicDeleted
from chronik.cluster.metadata_log import KeyValue
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.record_codec import UnreadableRecord, decode
from chronik.cluster.snapshot import decode_snapshot
from chronik.log.reading import ColdRead, LogSlice
from chronik.node.metadata_snapshots import MetadataSnapshots
from chronik.node.partitions import LocalPartitions
from chronik.node.replication import NewReplica
from chronik.raft.core.types import Membership
from chronik.raft.group import GroupId
from chronik.raft.latency import Latency, Rate, Timer
from chronik.records.record import decode_records
from chronik.vocab.config.topic import DEFAULT_TOPIC_CONFIG
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import METADATA_TOPIC, LeaderEpoch, NodeId, Offset, TopicId, TopicPartition
from chronik.vocab.invariant import invariant
from chronik.vocab.seams import Clock

_log = logging.getLogger(__name__)

METADATA_PARTITION = TopicPartition(METADATA_TOPIC, 0)

# Which no metadata record names: the one KRaft reserves for its own log.
METADATA_TOPIC_ID = TopicId(bytes(15) + b"\x01")

METADATA_GROUP = GroupId(METADATA_TOPIC_ID, METADATA_PARTITION.partition)

# Small segments, because a snapshot frees whole ones.
_CONFIG = replace(
    DEFAULT_TOPIC_CONFIG,
    retention_ms=-1,
    retention_bytes=-1,
    write_caching=False,
    segment_bytes=8 * 1024 * 1024,
)

# Memory held by one read.
_READ_BYTES = 1024 * 1024


class MetadataPartition:
    """Implements `cluster.metadata_log.MetadataLog` and, for replicas, `raft.group_setting.RestartHooks`.

    One per node, for its life. Notifies its service of commits and leaders.
    """

    def __init__(
        self,
        partitions: LocalPartitions,
        replicas: ReplicaManager,
        snapshots: MetadataSnapshots,
        clock: Clock,
        snapshot_bytes: int,
        timer: Timer | None = None,
    ) -> None:
        """`snapshot_bytes`: take a snapshot when this much was written since the last one."""
        self._partitions = partitions
        self._snapshots = snapshots
        self._snapshot_bytes = snapshot_bytes
        self._partition: Partition | None = None
        self._log = InternalLog(self._find, replicas.load, clock)
        self._service: MetadataService | None = None
        # Invariant: not None only while an append is under way.
        self._appending: asyncio.Future[None] | None = None
        self._bytes_since_snapshot = 0
        self._tidying: asyncio.Task[None] | None = None
        # True: commits are not applied, because this node is opening the partitions applied so far.
        self._is_paused = False
        # A snapshot that the log begins behind, and that is not applied because of the pause; None as a rule.
        self._unapplied: tuple[Offset, bytes] | None = None
        # Resolved when this node leads no more.
        self._resignation: asyncio.Future[None] | None = None
        # Records appended here as the leader, and received from the leader, a second; and how long appends
        # take to their commit on a node alone, where no replicated group times them.
        self.appended = Rate(timer)
        self.received = Rate(timer)
        self.commits = Latency(timer)
        # Why no change of the metadata is possible on this node any more; None while it is.
        self.failure: OSError | None = None

    # Life.

    def open(self, membership: Membership, service: MetadataService) -> None:
        """Opens it as a replica of the metadata, which began with `membership`. Raises OSError,
        KafkaError.
        """
        new = NewReplica(
            name=METADATA_PARTITION,
            topic_id=METADATA_TOPIC_ID,
            membership=membership,
            is_only=len(membership.members) == 1,
            first_leader=None,
            hooks=self,
        )
        self._service = service
        self._begin(self._partitions.open_replica(new, _CONFIG, sorted(membership.voters)), service)
        # Not with the first batch: others' batches may make partitions' directories as soon.
        self.partition.log.make_directory()

    def _begin(self, partition: Partition, service: MetadataService) -> None:
        self._service = service
        self._partition = partition
        partition.owner = self
        # Called with every move of the high watermark, before any appender runs on.
        partition.add_fetch_waiter(self)

    def load_snapshot(self, service: MetadataService) -> None:
        """Called before anything else is applied. Raises OSError, UnreadableRecord."""
        content = self._snapshots.latest()
        if content is not None:
            service.load_snapshot(content)

    def pause(self) -> None:
        """Applies nothing until `resume`; nothing is decided here until then either."""
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self._apply_snapshot()
        self.on_progress()
        self.on_own_term_committed()

    def deleted_topics(self) -> set[TopicId]:
        """The ids of topics that were deleted, as far back as the log goes. Raises KafkaError,
        UnreadableRecord.
        """
        batches = self.read(self.partition.log.start_offset)
        assert self._service is not None
        subjects = self._service.subjects
        records = (decode(key, value, subjects) for _, batch in batches for key, value in batch)
        return {record.topic_id for record in records if isinstance(record, TopicDeleted)}

    async def close(self) -> bool:
        """True when it is closed cleanly."""
        partition, self._partition = self._partition, None
        if self._tidying is not None:
            await asyncio.wait([self._tidying])
        if partition is None:
            return False
        partition.remove_fetch_waiter(self)
        partition.close(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        return not await self._partitions.close([partition])

    @property
    def partition(self) -> Partition:
        """Raises KafkaError while it is not open."""
        return self._find(0)

    # `MetadataLog`.

    @property
    def can_decide(self) -> bool:
        partition = self._partition
        if partition is not None and not partition.is_replicated:
            # There is no other reader: failures are to be raised.
            return True
        return (
            partition is not None
            and not self._is_paused
            and partition.is_own_term_committed
            and partition.high_watermark == partition.log.end_offset
        )

    @property
    def leader(self) -> NodeId | None:
        return None if self._partition is None else self._partition.group.known_leader

    @property
    def high_watermark(self) -> Offset:
        return Offset(0) if self._partition is None else self._partition.high_watermark

    async def append(self, records: Sequence[KeyValue]) -> None:
        """See `MetadataLog`."""
        started = self.commits.now()
        self._appending = asyncio.ensure_future(self._log.append(0, records))
        self.appended.add(len(records))
        try:
            await self._appending
        finally:
            self._appending = None
        self.commits.since(started)

    def read(self, offset: Offset) -> Iterator[tuple[Offset, Sequence[KeyValue]]]:
        """See `MetadataLog`. Waits for the device in place: it is read once, when it is new."""
        partition = self.partition
        while offset < partition.high_watermark:
            start = offset
            for batch in self._read(partition, offset).batches():
                records = [] if batch.header.is_control else decode_records(batch)
                offset = Offset(batch.header.next_offset)
                self._bytes_since_snapshot += batch.header.size
                yield offset, [(record.key or b"", record.value or b"") for record in records]
            invariant(offset > start, "nothing to read at {} below the high watermark", offset)

    def _read(self, partition: Partition, offset: Offset) -> LogSlice:
        found = partition.read(offset, _READ_BYTES, is_read_committed=False, at_least_one=True)
        if not isinstance(found, ColdRead):
            return found
        try:
            return found.load()
        except OSError as error:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error

    # Notifications of the partition.

    def on_progress(self) -> None:
        if self._service is not None and self._partition is not None and not self._is_paused:
            self._service.on_committed()
            self._maybe_snapshot()

    def on_partition_leadership(self, partition: Partition) -> None:
        if not partition.is_leader and self._appending is not None and not self._appending.done():
            # Another node may take it.
            error = KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "the controller is another node now")
            if not partition.is_replicated:
                error = partition.group.refusal()
            self._appending.set_exception(error)
        if not partition.is_leader and self._resignation is not None and not self._resignation.done():
            self._resignation.set_result(None)
        self.on_own_term_committed()

    def on_own_term_committed(self) -> None:
        if self._service is not None:
            self._service.on_leadership()

    def on_partition_failed(self, partition: Partition, error: OSError) -> None:
        self.failure = error
        self.on_append_failed()
        _log.critical(
            "metadata log failed; this node takes no metadata change until a restart",
            extra={"error": str(error)},
        )

    async def wait_not_leader(self, deadline: float) -> None:
        """Wait until another node leads, or `deadline` on the loop's clock."""
        if self.partition.is_leader:
            self._resignation = asyncio.get_running_loop().create_future()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._resignation
            self._resignation = None

    def _find(self, index: int) -> Partition:
        if self._partition is None:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        return self._partition

    # Snapshots.

    def snapshot(self) -> tuple[Offset, bytes]:
        """See `raft.group_setting.RestartHooks`."""
        assert self._service is not None
        # The log may begin after the applied offset, but not after this one.
        return self._unapplied or self._service.snapshot()

    def on_restart(self, offset: Offset, snapshot: bytes) -> None:
        """See `raft.group_setting.RestartHooks`."""
        try:
            assert self._service is not None
            decode_snapshot(snapshot, self._service.subjects)
        except UnreadableRecord as error:
            # It may have been damaged on its way. The next start would find it.
            raise OSError(f"a snapshot of the metadata cannot be read: {error}") from error
        self._snapshots.write(offset, LeaderEpoch(0), snapshot)
        self._bytes_since_snapshot = 0
        self._unapplied = (offset, snapshot)
        self._apply_snapshot()

    def on_received(self, records: int) -> None:
        """See `raft.group_setting.RestartHooks`."""
        self.received.add(records)

    def on_append_failed(self) -> None:
        """See `raft.group_setting.RestartHooks`."""
        if self._service is not None:
            self._service.on_stalled()

    def _apply_snapshot(self) -> None:
        """Skipped while this node is still opening what it applied before: it would miss the difference."""
        if self._unapplied is not None and not self._is_paused:
            assert self._service is not None
            (_, snapshot), self._unapplied = self._unapplied, None
            self._service.load_snapshot(snapshot)

    def _maybe_snapshot(self) -> None:
        if self._bytes_since_snapshot < self._snapshot_bytes or self._tidying is not None:
            return
        self._bytes_since_snapshot = 0
        self.take_snapshot()

    def take_snapshot(self) -> None:
        """Writes the state that the records add up to, and deletes the records."""
        partition = self.partition
        offset, content = self.snapshot()
        try:
            self._snapshots.write(offset, partition.leader_epoch, content)
            partition.log.roll()
            partition.log.advance_start(offset)
        except OSError as error:
            _log.error(
                "could not write a metadata snapshot; the next one is tried later",
                extra={"error": str(error)},
            )
            return
        self._tidying = asyncio.get_running_loop().create_task(partition.log.tidy())
        self._tidying.add_done_callback(self._on_tidied)

    def _on_tidied(self, task: "asyncio.Task[None]") -> None:
        self._tidying = None
        error = None if task.cancelled() else task.exception()
        try:
            if error is None and self._partition is not None:
                self._partition.group.on_tidied()
        except OSError as failure:
            error = failure
        if error is not None:
            _log.error(
                "could not remove old metadata records; the next snapshot tries again",
                extra={"error": str(error)},
            )
