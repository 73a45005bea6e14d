"""One partition's log: appends, reads, bounds. What the rooms above know of the disk.

Everything here runs on the event loop and nothing here waits for a sync: writes go to the kernel, the
caller syncs in rounds (`files_to_sync`, `on_synced`) and reads what is not in memory in a thread
(`ColdRead`).
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Self

from chronik.log.config import LogConfig
from chronik.log.disk import Buffer, Disk, Syncable
from chronik.log.handles import HandleCache
from chronik.log.intake import take_in
from chronik.log.log_directory import LogDirectory
from chronik.log.partition_metadata import ensure_partition_metadata
from chronik.log.producer_state import ProducerState
from chronik.log.reading import ColdRead, LogSlice, Place, ReadRequest, read_slice
from chronik.log.recovery import Recovered, RecoveryReport, recover
from chronik.log.segment import Segment
from chronik.log.source import CACHED, NotCached
from chronik.log.syncing import SyncState
from chronik.records.batch import PREFIX_BYTES, Batch, split_batches, stamped_prefix
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, LeaderEpoch, Offset, TopicId
from chronik.vocab.invariant import invariant
from chronik.vocab.seams import Clock

# Sequential readers whose place is remembered; a log with more than so many consumers at different places
# searches its index again, which costs microseconds.
_PLACES_MAX = 16


class AppendResult(NamedTuple):
    """Where batches went. Offsets of the first and the last record; bytes written."""

    base_offset: Offset
    last_offset: Offset
    size: int

    @property
    def end_offset(self) -> Offset:
        return Offset(self.last_offset + 1)


class LogFailed(OSError):
    """The log failed earlier and takes no more appends; what it held can be read."""


class PartitionLog:
    """Opened by whoever hosts the partition, closed or deleted by them. One event loop uses it."""

    def __init__(
        self,
        directory: LogDirectory,
        config: LogConfig,
        clock: Clock,
        recovered: Recovered,
        topic_id: TopicId,
    ) -> None:
        self.config = config
        self.topic_id = topic_id
        self.recovery: RecoveryReport = recovered.report
        self._directory = directory
        self._clock = clock
        # Invariant: ascending base offsets; never empty; the last is the active segment.
        self._segments = recovered.segments
        self._bases = [segment.base_offset for segment in recovered.segments]
        self._active = recovered.segments[-1]
        self._start_offset = recovered.start_offset
        self._end_offset = recovered.end_offset
        self._producers = recovered.producers
        self._snapshots = recovered.snapshots
        self._epochs = recovered.epochs
        self._syncs = SyncState(recovered.end_offset)
        self._places: dict[int, Place] = {}
        self._failure: OSError | None = None

    @classmethod
    def open(
        cls,
        directory: str,
        disk: Disk,
        config: LogConfig,
        clock: Clock,
        *,
        was_clean: bool,
        topic_id: TopicId = NO_TOPIC_ID,
        handles: HandleCache | None = None,
    ) -> Self:
        """Open a partition's directory, making it if need be. Reads all that may be damaged unless
        `was_clean`.

        `handles` is the node's; a log without gets its own. Raises OSError, and KafkaError
        INCONSISTENT_TOPIC_ID when the directory belongs to another topic.
        """
        is_new = not disk.exists(directory)
        if is_new:
            disk.make_directory(directory)
        place = LogDirectory(disk, handles if handles is not None else HandleCache(), directory)
        topic_id = ensure_partition_metadata(place, topic_id, is_new=is_new)
        log = cls(place, config, clock, recover(place, config, clock.now_ms(), was_clean=was_clean), topic_id)
        if is_new or not was_clean:
            # Durable with the first batch: until then nothing is promised that the metadata log does not
            # know.
            log._syncs.add_names(place.syncs_of_names())
        return log

    # Bounds.

    @property
    def start_offset(self) -> Offset:
        """The first offset that can be read."""
        return Offset(self._start_offset)

    @property
    def end_offset(self) -> Offset:
        """The offset the next record gets."""
        return Offset(self._end_offset)

    @property
    def synced_offset(self) -> Offset:
        """Exclusive bound of what is durable."""
        return Offset(self._syncs.synced_offset)

    @property
    def producers(self) -> ProducerState:
        """What is known of producers; after a truncation another object."""
        return self._producers

    @property
    def latest_epoch(self) -> LeaderEpoch:
        """The epoch of the last batch, -1 for an empty log."""
        return LeaderEpoch(self._epochs.latest)

    @property
    def is_failed(self) -> bool:
        return self._failure is not None

    def fail(self, error: OSError) -> None:
        """Take no more appends, because what is on the device is not known any more (a failed sync)."""
        self._failure = self._failure or error

    # Appending.

    def append(self, batches: Sequence[Batch], leader_epoch: LeaderEpoch) -> AppendResult:
        """Give the batches offsets and this epoch, and write them with one call. Checks nothing: see
        `producers.check`.

        Raises OSError when the disk does; then nothing was appended, and `is_failed` says whether to go on.
        """
        buffers: list[Buffer] = []
        offset = self._end_offset
        size = 0
        for header, data in batches:
            buffers.append(stamped_prefix(offset, header.length, leader_epoch))
            buffers.append(memoryview(data)[PREFIX_BYTES:])
            offset += header.last_offset_delta + 1
            size += len(data)
        self._write(batches, buffers, size, offset)
        self._epochs.on_batch(leader_epoch, self._end_offset)
        return self._take_in(batches, size)

    def append_stamped(self, data: Buffer) -> AppendResult:
        """Write batches that have their offsets and epochs already (replication), from the log's end on."""
        batches = split_batches(data)
        invariant(batches, "nothing to append")
        offset = self._end_offset
        for header, _ in batches:
            invariant(header.base_offset == offset, "batch {} is not at {}", header.base_offset, offset)
            offset = header.next_offset
        self._write(batches, [data], len(data), offset)
        offset = self._end_offset
        for header, _ in batches:
            self._epochs.on_batch(header.leader_epoch, header.base_offset)
        return self._take_in(batches, len(data))

    def _write(self, batches: Sequence[Batch], buffers: list[Buffer], size: int, end_offset: int) -> None:
        if self._failure is not None:
            raise LogFailed(f"the log failed: {self._failure}") from self._failure
        max_timestamp = batches[0].header.max_timestamp
        if self._active.must_roll(size, end_offset - 1, max_timestamp, self.config):
            self.roll()
        try:
            self._active.write(buffers)
        except OSError as error:
            if self._active.is_damaged:
                self.fail(error)
            raise

    def _take_in(self, batches: Sequence[Batch], size: int) -> AppendResult:
        active, config = self._active, self.config
        first = offset = self._end_offset
        for batch in batches:
            header = batch.header
            active.on_written(offset, header, config)
            if header.producer_id >= 0:
                aborted = take_in(self._producers, batch, offset)
                if aborted is not None:
                    active.txns.append(aborted)
            offset += header.last_offset_delta + 1
        self._end_offset = offset
        return AppendResult(Offset(first), Offset(offset - 1), size)

    # Rolling and syncing.

    def roll(self) -> None:
        """Close the active segment and begin the next; nothing happens while it is empty. OSError leaves
        all as it was.
        """
        active = self._active
        if not active.size:
            return
        self._flush_beside(active)
        segment = self._directory.segment(self._end_offset, self._clock.now_ms())
        segment.create()
        self._syncs.add_rolled(active)
        self._syncs.add_names(self._directory.syncs_of_names()[:1])
        self._segments.append(segment)
        self._bases.append(segment.base_offset)
        self._active = segment

    def maybe_roll(self) -> bool:
        """Roll if the active segment is older than segment.ms, for logs nobody writes to."""
        age_ms = self._clock.now_ms() - self._active.created_ms
        if not self._active.size or age_ms <= self.config.segment_ms - self.config.segment_jitter_ms:
            return False
        self.roll()
        return True

    def flush(self) -> None:
        """Write what waits in memory, so that after the next sync the log can be opened as clean."""
        self._flush_beside(self._active)

    def _flush_beside(self, segment: Segment) -> None:
        files = segment.flush_indexes()
        snapshot = self._snapshots.write(self._end_offset, self._producers)
        if snapshot is not None:
            files.append(snapshot)
        if self._epochs.is_dirty:
            files.append(self._directory.write_epochs(self._epochs.format()))
            self._epochs.is_dirty = False
        if files:
            self._syncs.add_files(files)
            self._syncs.add_names(self._directory.syncs_of_names()[:1])

    def files_to_sync(self) -> tuple[Sequence[Syncable], Offset]:
        """What to sync so that everything below the offset is durable. One round at a time; `on_synced`
        ends it.
        """
        return self._syncs.begin(self._active, self._end_offset), Offset(self._end_offset)

    def on_synced(self, end_offset: Offset) -> None:
        """The last `files_to_sync` are durable."""
        if self._syncs.end(self._active):
            self._directory.write_recovery_point(self._segments_synced_to())

    def _segments_synced_to(self) -> int:
        return self._bases[bisect_right(self._bases, self._syncs.synced_offset) - 1]

    # Reading.

    def read(
        self, offset: int, max_bytes: int, end_offset: int, *, at_least_one: bool = True
    ) -> LogSlice | ColdRead:
        """Whole batches from the one that holds `offset` up to `end_offset`, at most `max_bytes` but one
        anyway.

        Answers with a ColdRead when it would have to wait for the device. Raises KafkaError
        OFFSET_OUT_OF_RANGE, and CorruptBatch when the first batch is damaged.
        """
        if not self._start_offset <= offset <= self._end_offset:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"offset {offset} is not between {self._start_offset} and {self._end_offset}",
            )
        if offset >= end_offset or offset == self._end_offset:
            if offset == self._end_offset:
                self._remember(offset, Place(self._active, self._active.size, True))
            return LogSlice(offset, offset, [], 0)
        request = ReadRequest(offset, max_bytes, end_offset, at_least_one)
        start = self._places.pop(offset, None)
        segments = self._segments[bisect_right(self._bases, offset) - 1 :]
        if start is not None and start.segment is not segments[0]:
            start = None
        for segment in segments[:2]:
            segment.load(self.config)
        try:
            found, place = read_slice(segments, request, start, CACHED)
        except NotCached:
            return ColdRead(segments, request, start)
        self._remember(found.next_offset, place)
        return found

    def _remember(self, offset: int, place: Place) -> None:
        places = self._places
        if offset not in places and len(places) >= _PLACES_MAX:
            del places[next(iter(places))]
        places[offset] = place

    # The end.

    def close(self) -> None:
        """Close the files. For a clean close: `flush`, sync a round, then this."""
        for segment in self._segments:
            segment.close()
