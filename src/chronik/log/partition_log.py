"""One partition's log: appends, reads, bounds. The interface of the disk for the rooms above.

Everything here runs on the event loop and nothing here waits for a sync: writes go to the kernel, the caller
syncs in rounds (`files_to_sync`, `on_synced`) and reads data that is not in memory in a thread (`ColdRead`).
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Self

from chronik.log.batch_scan import ANY_EPOCH, Epochs
from chronik.log.cleanup import Cleanup
from chronik.log.config import LogConfig
from chronik.log.disk import Buffer, Disk, Syncable
from chronik.log.epochs import EpochEnd, EpochStart, LeaderEpochs
from chronik.log.handle_cache import HandleCache
from chronik.log.log_directory import LogDirectory
from chronik.log.partition_metadata import ensure_partition_metadata
from chronik.log.producer_state import ProducerState, apply_to_producer_state
from chronik.log.reader import LogReader
from chronik.log.reading import ColdRead, LogSlice, Place, ReadRequest
from chronik.log.recovery import LastStop, Recovered, RecoveryReport, recover
from chronik.log.retention import count_expired
from chronik.log.segment import Segment
from chronik.log.snapshots import replay_producers
from chronik.log.source import BLOCKING
from chronik.log.syncing import SyncState
from chronik.log.timestamps import TimestampOffset, find_max_timestamp, find_timestamp
from chronik.log.txn_index import AbortedTxn
from chronik.log.vouched import VouchedLog, VouchedSegment
from chronik.records.batch import (
    HEADER_BYTES,
    Batch,
    Stamped,
    compute_crc,
    split_batches,
    stamp_batches,
)
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, LeaderEpoch, Offset, TopicId
from chronik.vocab.invariant import invariant
from chronik.vocab.seams import Clock

# Segments that are looked at before the loop does something else: some milliseconds' worth.
_LOADED_AT_ONCE = 16


class AppendResult(NamedTuple):
    """The result of an append: offsets of the first and the last record; bytes written."""

    base_offset: Offset
    last_offset: Offset
    size: int

    @property
    def end_offset(self) -> Offset:
        return Offset(self.last_offset + 1)


class LogFailed(OSError):
    """The log failed earlier and takes no more appends; its records can be read."""


class PartitionLog:
    """Opened, closed and deleted by the host of the partition. One event loop uses it."""

    def __init__(
        self,
        directory: LogDirectory,
        config: LogConfig,
        clock: Clock,
        recovered: Recovered,
        topic_id: TopicId,
        *,
        is_on_disk: bool,
    ) -> None:
        self.config = config
        self.topic_id = topic_id
        # Whether there is a directory, and the active segment's file in it.
        self.is_on_disk = is_on_disk
        self.recovery: RecoveryReport = recovered.report
        # Damaged or missing records.
        self.damages = directory.damages
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
        self._reader = LogReader()
        self._failure: OSError | None = None
        self._cleanup = Cleanup(directory)

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
        vouched: VouchedLog | None = None,
        has_other_replicas: bool = False,
    ) -> Self:
        """Opens a partition's directory. Reads everything that may be torn unless `was_clean`; `vouched` is
        the last clean stop's note of the log, and `has_other_replicas` as in `recovery.LastStop`.

        A directory that does not exist is created with the first batch: until then nothing is promised that
        the metadata log does not know, and a topic of thousands of partitions costs no files.

        `handles` is the node's; a log without gets its own. Raises OSError, and KafkaError
        INCONSISTENT_TOPIC_ID when the directory belongs to another topic.
        """
        place = LogDirectory(disk, handles if handles is not None else HandleCache(), directory)
        is_on_disk = disk.exists(directory)
        if is_on_disk:
            topic_id = ensure_partition_metadata(place, topic_id, is_new=False)
        if vouched is not None and vouched.topic_id != topic_id:
            # Another topic's of this name.
            vouched = None
        last_stop = LastStop(was_clean=was_clean, vouched=vouched, has_other_replicas=has_other_replicas)
        recovered = recover(place, config, clock.now_ms(), last_stop, is_new=not is_on_disk)
        log = cls(place, config, clock, recovered, topic_id, is_on_disk=is_on_disk)
        if is_on_disk and not was_clean:
            log._syncs.add_names(place.syncs_of_names())
        return log

    # Bounds.

    @property
    def start_offset(self) -> Offset:
        """The first offset that can be read."""
        return Offset(self._start_offset)

    @property
    def first_offset(self) -> Offset:
        """The first offset that is on disk. Not above `start_offset`: what lies between is hidden from
        consumers, not from followers.
        """
        return Offset(self._bases[0])

    @property
    def end_offset(self) -> Offset:
        """The offset the next record gets."""
        return Offset(self._end_offset)

    @property
    def synced_offset(self) -> Offset:
        """Exclusive bound of the durable records."""
        return Offset(self._syncs.synced_offset)

    @property
    def producers(self) -> ProducerState:
        """The producers' state; after a truncation another object."""
        return self._producers

    @property
    def latest_epoch(self) -> LeaderEpoch:
        """The epoch of the last batch, -1 for an empty log."""
        return LeaderEpoch(self._epochs.latest)

    @property
    def is_failed(self) -> bool:
        return self._failure is not None

    @property
    def failure(self) -> OSError | None:
        """The reason why it takes no more appends; None while it does."""
        return self._failure

    def fail(self, error: OSError) -> None:
        """Takes no more appends, because the content of the device is unknown (a failed sync)."""
        self._failure = self._failure or error

    # Appending.

    def append(
        self, batches: Sequence[Batch], leader_epoch: LeaderEpoch, stamped: Stamped | None = None
    ) -> AppendResult:
        """Gives the batches offsets and this epoch, and writes them with one call. `stamped`: the batches
        with this epoch and offsets from the log's end on, where the caller has them. Checks nothing: see
        `producers.check`.

        Raises OSError when the disk does; then nothing was appended, and `is_failed` tells whether to go on.
        """
        if leader_epoch < self._epochs.latest:
            invariant(False, "epoch {} after {}", leader_epoch, self._epochs.latest)
        if stamped is None:
            stamped = stamp_batches(batches, self._end_offset, leader_epoch)
        self._write(batches, stamped.buffers, stamped.size, self._end_offset + stamped.records)
        self._epochs.on_batch(leader_epoch, self._end_offset)
        return self._apply_appended(batches, stamped.size)

    def append_stamped(self, buffers: Sequence[Buffer]) -> AppendResult:
        """Write batches that have their offsets and epochs already (replication), from the log's end on, with
        one call. Each buffer has whole batches.

        Checks CRCs, because the network's own checksums are weak: raises KafkaError CORRUPT_MESSAGE. Raises
        OSError as `append`. After both nothing was appended.
        """
        batches = [batch for buffer in buffers for batch in split_batches(buffer)]
        invariant(batches, "nothing to append")
        offset, epoch = self._end_offset, self._epochs.latest
        size = 0
        for header, data in batches:
            if compute_crc(data) != header.crc:
                raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"the batch for {offset} has a wrong CRC")
            follows = header.base_offset == offset and header.leader_epoch >= epoch
            invariant(follows, "batch {} does not follow offset {} and epoch {}", header, offset, epoch)
            offset += header.last_offset_delta + 1
            epoch = header.leader_epoch
            size += len(data)
        self._write(batches, list(buffers), size, offset)
        for header, _ in batches:
            self._epochs.on_batch(header.leader_epoch, header.base_offset)
        return self._apply_appended(batches, size)

    def _write(self, batches: Sequence[Batch], buffers: list[Buffer], size: int, end_offset: int) -> None:
        if self._failure is not None:
            self._check_failure()
        if not self.is_on_disk:
            self.make_directory()
        max_timestamp = max([batch.header.max_timestamp for batch in batches])
        if self._active.must_roll(size, end_offset - 1, max_timestamp, self.config):
            self.roll()
        try:
            self._active.write(buffers)
        except OSError as error:
            if self._active.is_damaged:
                self.fail(error)
            raise

    def make_directory(self) -> None:
        """Creates it with the active segment in it, unless it exists. May be tried again after an OSError."""
        if self.is_on_disk:
            return
        directory = self._directory
        directory.disk.make_directory(directory.path)
        ensure_partition_metadata(directory, self.topic_id, is_new=True)
        self._active.create()
        self._syncs.add_names(directory.syncs_of_names())
        self.is_on_disk = True

    def _check_failure(self) -> None:
        if self._failure is not None:
            raise LogFailed(f"the log failed: {self._failure}") from self._failure

    def _apply_appended(self, batches: Sequence[Batch], size: int) -> AppendResult:
        active, config = self._active, self.config
        first = offset = self._end_offset
        for batch in batches:
            header = batch.header
            active.on_written(offset, header, config)
            if header.producer_id >= 0:
                aborted = apply_to_producer_state(self._producers, batch, offset)
                if aborted is not None:
                    active.txns.append(aborted)
            offset += header.last_offset_delta + 1
        self._end_offset = offset
        return AppendResult(Offset(first), Offset(offset - 1), size)

    # Rolling and syncing.

    def roll(self) -> None:
        """Close the active segment and begin the next; nothing happens while it is empty. OSError leaves all
        as it was.
        """
        active = self._active
        if not active.size:
            return
        self._flush_beside(active)
        segment = self._directory.segment(self._end_offset, self._clock.now_ms())
        segment.create()
        self._syncs.add_rolled(active)
        self._syncs.add_names(self._directory.syncs_of_names()[:1])
        active.end_offset = segment.base_offset
        self._segments.append(segment)
        self._bases.append(segment.base_offset)
        self._active = segment

    def maybe_roll(self) -> bool:
        """Rolls if the active segment is older than segment.ms, for logs without appends."""
        active = self._active
        age_ms = self._clock.now_ms() - active.created_ms
        if not active.size or age_ms <= active.lifetime_ms(self.config):
            return False
        self.roll()
        return True

    def flush(self) -> None:
        """Writes data buffered in memory, so that after the next sync the log can be opened as clean."""
        # A recovery on a full disk may have left some.
        waiting = [one for one in self._segments if one is not self._active and one.has_unwritten_entries]
        self._syncs.add_files([file for segment in waiting for file in segment.flush_indexes()])
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

    @property
    def has_unsynced(self) -> bool:
        """True if a sync round would find something to do; after a roll or a flush without an append, too."""
        return self._syncs.is_waiting or self._syncs.synced_offset < self._end_offset

    def vouch(self) -> VouchedLog | None:
        """Returns the note for a clean stop: all of the log is durable and closed. None when the log is
        empty.
        """
        if not self._end_offset:
            return None
        segments = self._segments if self.is_on_disk else []
        return VouchedLog(
            topic_id=self.topic_id,
            start_offset=self._first_owed,
            end_offset=self._end_offset,
            is_damaged=self.damages.has_loss,
            segments=tuple(
                VouchedSegment(base_offset=segment.base_offset, size=segment.known_size)
                for segment in segments
            ),
        )

    @property
    def _first_owed(self) -> int:
        """The log start, or that before it from which on the log's front is missing."""
        owed = [
            one.first_offset
            for one in self.damages.known()
            if one.is_loss and one.end_offset == self._bases[0]
        ]
        return min([self._start_offset, *owed])

    def files_to_sync(self) -> tuple[Sequence[Syncable], Offset]:
        """Returns the files to sync so that everything below the offset is durable. One round at a time;
        `on_synced` ends it.
        """
        return self._syncs.begin(self._active, self._end_offset), Offset(self._end_offset)

    def on_synced(self, end_offset: Offset) -> bool:
        """The last `files_to_sync` are durable. Whether the recovery point moved."""
        has_moved = self._syncs.end(self._active, self._end_offset)
        if has_moved:
            self._directory.write_recovery_point(self._syncs.first_waiting(self._active).base_offset)
        return has_moved

    # Cutting.

    def truncate(self, end_offset: int) -> None:
        """Drops everything from `end_offset` on, and the whole batch that holds it; durable when this
        returns.

        Blocks: only a replica that disagrees with its leader does this. After an OSError the log `is_failed`.
        Never below the log start: records removed by DeleteRecords and retention were committed, and those
        are not truncated.
        """
        invariant(end_offset >= self._start_offset, "truncate {} below {}", end_offset, self._start_offset)
        if end_offset >= self._end_offset:
            return
        try:
            self._truncate(end_offset)
        except OSError as error:
            self.fail(error)
            raise

    def _truncate(self, end_offset: int) -> None:
        number = max(bisect_right(self._bases, end_offset) - 1, 0)
        dropped, kept = self._segments[number + 1 :], self._segments[: number + 1]
        if dropped:
            # Before the segments go, so that no recovery point is ever beyond the log.
            point = min(kept[-1].base_offset, self._syncs.first_waiting(self._active).base_offset)
            self._directory.write_recovery_point_durably(point)
        for segment in reversed(dropped):
            for file in segment.files():
                file.remove()
        active = kept[-1]
        active.load(self.config)
        active.end_offset = active.vouched_size = None
        self._end_offset = active.cut(end_offset)
        self.damages.forget_from(self._end_offset)
        self._directory.disk.sync_directory(self._directory.path)
        self._segments, self._bases = kept, self._bases[: number + 1]
        self._active = active
        self._reader.forget()
        self._epochs.truncate_end(self._end_offset)
        self._snapshots.remove_after(self._end_offset)
        self._producers = replay_producers(kept, self._snapshots, self._end_offset, self.config)
        self._syncs.truncate(active, self._end_offset)

    def reset(self, offset: int) -> None:
        """Drops everything and goes on, empty, at `offset`; durable when this returns.

        Blocks: only a replica that is far behind its leader does this. A crash during it leaves the log as it
        was, perhaps with fewer records, or done. After an OSError the log `is_failed` and nothing in it can
        be read.
        """
        self._check_failure()
        invariant(offset >= self._bases[0] or self._cleanup.is_done, "reset to {} in a cleanup", offset)
        try:
            self._reset(offset)
        except OSError as error:
            self.fail(error)
            raise

    def _reset(self, offset: int) -> None:
        directory = self._directory
        self.make_directory()
        self._snapshots.remove_after(-1)
        # From here on recovery drops records below, and takes nothing for durable.
        directory.remove_recovery_point()
        directory.write_log_start(offset)
        directory.disk.sync_directory(directory.path)
        for segment in reversed(self._segments):
            for file in segment.files():
                file.remove()
        active = directory.segment(offset, self._clock.now_ms())
        active.create()
        # With the directory's own name, which may be as new as the log.
        for names in directory.syncs_of_names():
            names.sync()
        if not self._cleanup.is_done:
            # For as long as it may have put back an older start: this segment's base is then no hole.
            directory.write_recovery_point_durably(offset)
            self._cleanup.on_reset(offset)
        self._segments, self._bases, self._active = [active], [offset], active
        self._start_offset = self._end_offset = offset
        self._reader.forget()
        self._producers, self._epochs = ProducerState(), LeaderEpochs()
        # The file still has the old ones.
        self._epochs.is_dirty = True
        self._syncs = SyncState(offset)
        self.damages.forget_from(0)

    def advance_start(self, offset: int) -> None:
        """Raise the log start (DeleteRecords); `tidy` makes it durable and frees the space."""
        invariant(offset <= self._end_offset, "log start {} beyond end {}", offset, self._end_offset)
        if offset > self._start_offset:
            self._start_at(offset)

    def apply_retention(self, now_ms: int, bound: int) -> list[Offset]:
        """Take out whole segments below `bound` that are too old or too much; their base offsets. Then
        `tidy`.

        Also forgets producers that were silent too long.
        """
        self._producers.remove_expired(now_ms, self.config.producer_id_expiration_ms)
        for segment in self._segments:
            segment.load(self.config)
        count = count_expired(self._segments, self._end_offset, bound, self.config, now_ms)
        if count == len(self._segments):
            self.roll()
        return self._start_at(max(self._bases[count], self._start_offset))

    def _start_at(self, offset: int) -> list[Offset]:
        """Move the log start; the base offsets of the segments that are not needed any more."""
        first_kept = self._syncs.first_waiting(self._active)
        # A segment that still waits for its sync stays, because the next one's snapshot of producers waits,
        # too.
        count = bisect_right(self._bases, min(offset, first_kept.base_offset)) - 1
        if offset > self._start_offset or count:
            snapshots = self._snapshots.forget_before(self._bases[count])
            self._cleanup.add(offset, self._segments[:count], snapshots)
        removed = [Offset(base) for base in self._bases[:count]]
        self._start_offset = offset
        self.damages.forget_before(offset)
        del self._segments[:count], self._bases[:count]
        self._reader.forget()
        return removed

    async def mend_indexes(self) -> int:
        """Rebuilds the indexes of closed segments that do not match the log; returns their number. Raises
        OSError. That of the active segment is rebuilt when the segment is closed: until then lookups
        ignore its damaged part.
        """
        closed = self._segments[:-1]
        for number, segment in enumerate(closed):
            if number % _LOADED_AT_ONCE == _LOADED_AT_ONCE - 1:
                await asyncio.sleep(0)
            if not segment.log.is_abandoned:
                segment.load(self.config)
                segment.confirm_times(BLOCKING)
        damaged = [one for one in closed if one.has_damaged_index and not one.log.is_abandoned]
        for segment in damaged:
            await self._mend_index(segment)
        return len(damaged)

    async def _mend_index(self, segment: Segment) -> None:
        disk, config = self._directory.disk, self.config
        # With handles of its own, for the thread that reads all of the segment.
        apart = segment.begin_rebuild(disk)
        await disk.run_blocking(lambda: apart.rebuild_apart(config))
        if segment in self._segments and segment is not self._active:
            segment.take_indexes(apart, disk)
            for index in (segment.offsets, segment.times):
                self.damages.forget_index(index.file.path)

    async def tidy(self) -> None:
        """Make a raised log start durable and remove what lies below it. Raises OSError; call again later
        then.

        Only as far as records are durable: a crash must not leave a log that begins where a replica does not
        know which entries came before.
        """
        if not self._cleanup.is_done:
            # Only durable removals change the epochs: a crash before this brings the old start back.
            durable = await self._cleanup.run(lambda: self._syncs.synced_offset)
            self._epochs.truncate_start(durable)

    # Reading.

    def read(
        self, offset: int, max_bytes: int, end_offset: int, *, at_least_one: bool = True
    ) -> LogSlice | ColdRead:
        """Whole batches from the one that holds `offset` up to `end_offset`, at most `max_bytes`; with
        `at_least_one` the first comes anyway, without it there may be none.

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
                self._reader.remember(offset, Place(self._active, self._active.size, True, offset))
            return LogSlice(offset, offset, [], 0)
        if max_bytes < HEADER_BYTES and not at_least_one:
            # No batch is this small: there is no room for one, which says nothing about the log.
            return LogSlice(offset, offset, [], 0)
        request = ReadRequest(
            offset, max_bytes, end_offset, at_least_one, self._epochs_from(offset), self.config.compacts
        )
        return self._reader.read(self._segments, bisect_right(self._bases, offset) - 1, request, self.config)

    def read_for_replication(self, offset: int, max_bytes: int) -> LogSlice | ColdRead:
        """As `read`, but from `first_offset` on and to the log's end; at least one batch."""
        invariant(self._bases[0] <= offset < self._end_offset, "nothing to replicate at {}", offset)
        request = ReadRequest(
            offset, max_bytes, self._end_offset, True, self._epochs_from(offset), self.config.compacts
        )
        return self._reader.read(self._segments, bisect_right(self._bases, offset) - 1, request, self.config)

    def _epochs_from(self, offset: int) -> Epochs:
        """Returns the epochs of the batches from the one on that holds `offset`."""
        first = self._epochs.epoch_at(offset)
        return Epochs(first, self._epochs.latest) if first >= 0 else ANY_EPOCH

    # Looking up.

    @property
    def size(self) -> int:
        """Bytes in all segments, without indexes."""
        for segment in self._segments:
            segment.load(self.config)
        return sum(segment.size for segment in self._segments)

    def epoch_at(self, offset: int) -> LeaderEpoch:
        """The leader epoch of the record at `offset`, -1 when it is not known."""
        return LeaderEpoch(self._epochs.epoch_at(offset))

    def epoch_starts(self) -> list[EpochStart]:
        """The epochs of the log from its start on, and the offset from which each has records."""
        return self._epochs.entries()

    def end_offset_for_epoch(self, epoch: int) -> EpochEnd:
        """Returns the end of the largest epoch that is not above `epoch` (OffsetForLeaderEpoch); (-1, -1)
        when unknown.
        """
        return self._epochs.end_of(epoch, self._end_offset)

    def offset_for_timestamp(self, timestamp: int) -> TimestampOffset | None:
        """The first record that is at least so new. Reads in place; ListOffsets is rare."""
        return find_timestamp(self._segments_from_start(), timestamp, self._start_offset, self.config)

    def offset_of_max_timestamp(self) -> TimestampOffset | None:
        """The first record with the greatest timestamp."""
        return find_max_timestamp(self._segments_from_start(), self._start_offset, self.config)

    def last_stable_offset(self, high_watermark: int) -> Offset:
        """Exclusive bound of what read_committed may see. `high_watermark` never decreases."""
        first = self._producers.first_unstable_offset(high_watermark)
        return Offset(high_watermark if first is None else min(first, high_watermark))

    def aborted_txns(self, offset: int, end_offset: int) -> list[AbortedTxn]:
        """The aborted transactions that have records between the two offsets."""
        found: list[AbortedTxn] = []
        for segment in self._segments[bisect_right(self._bases, offset) - 1 :]:
            segment.load(self.config)
            for txn in segment.txns.entries(BLOCKING):
                if txn.last_offset >= offset and txn.first_offset < end_offset:
                    found.append(txn)
                if txn.last_stable_offset >= end_offset:
                    return found
        return found

    def _segments_from_start(self) -> Sequence[Segment]:
        return self._segments[max(bisect_right(self._bases, self._start_offset) - 1, 0) :]

    # The end.

    def delete(self) -> None:
        """Close and remove the whole directory. Nothing may be under way on this log."""
        self.fail(LogFailed("the log was deleted"))
        self.close()
        self._directory.disk.remove_tree(self._directory.path)

    def close(self) -> None:
        """Close the files. For a clean close: `flush`, sync a round, then this."""
        for segment in self._segments:
            segment.close()
