"""Opening a log: after a clean close by trusting its files, after anything else by reading what may be
damaged.

Durable for certain is everything below the recovery point, which is the base offset of a segment. From
there on every batch is read and its CRC checked; the log ends before the first that is damaged, missing or
out of order, and what the indexes, the producers and the epochs should be is worked out again on the way.
"""

from bisect import bisect_right
from dataclasses import dataclass, field

from chronik.log.cleanup import remove_in_order
from chronik.log.config import LogConfig
from chronik.log.epochs import LeaderEpochs, parse_epochs
from chronik.log.handles import LazyFile
from chronik.log.intake import take_in
from chronik.log.log_directory import LogDirectory
from chronik.log.names import (
    LEADER_EPOCHS,
    LOG,
    LOG_START,
    OFFSET_INDEX,
    RECOVERY_POINT,
    TIME_INDEX,
    TXN_INDEX,
    is_leftover,
    parse_offset,
)
from chronik.log.producer_state import ProducerState
from chronik.log.replay import replay_producers
from chronik.log.segment import Segment
from chronik.log.snapshots import Snapshots
from chronik.log.source import BLOCKING
from chronik.log.walk import iterate_batches
from chronik.records.batch import Batch, has_valid_crc


@dataclass(slots=True)
class RecoveryReport:
    """What opening a log found and did; for the node's log line and for tests."""

    was_scanned: bool = False
    scanned_bytes: int = 0
    # Bytes after the last good batch that were dropped, and the segments after it.
    truncated_bytes: int = 0
    removed_segments: int = 0
    removed_files: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Recovered:
    """The parts of a log as they are on disk. `segments` is never empty; the last is the active one."""

    segments: list[Segment]
    start_offset: int
    end_offset: int
    producers: ProducerState
    snapshots: Snapshots
    epochs: LeaderEpochs
    report: RecoveryReport


def recover(
    directory: LogDirectory, config: LogConfig, now_ms: int, *, was_clean: bool, is_new: bool = False
) -> Recovered:
    """Read a log's directory, which may be empty; one that `is_new` is not there. Raises OSError."""
    return _Recovery(directory, config, now_ms, is_new=is_new).run(was_clean=was_clean)


class _Recovery:
    """One opening of one log; lives for the call of `recover`."""

    def __init__(self, directory: LogDirectory, config: LogConfig, now_ms: int, *, is_new: bool) -> None:
        self._directory = directory
        self._config = config
        self._now_ms = now_ms
        self._is_new = is_new
        self._report = RecoveryReport()
        # A topic of thousands of partitions need not look for files where there can be none.
        names = [] if is_new else self._tidy(directory.names())
        self._snapshots = Snapshots(directory, names)
        self._log_start = directory.read_offset(LOG_START) if LOG_START in names else None
        bases = sorted(base for name in names if (base := parse_offset(name, LOG)) is not None)
        self._segments = [directory.segment(base, now_ms) for base in bases]
        self._epochs_on_disk = directory.read(LEADER_EPOCHS) if LEADER_EPOCHS in names else None
        self._epochs = LeaderEpochs()
        self._producers = ProducerState()
        self._end_offset = 0
        # Written by the scan, to be synced at its end.
        self._unsynced: list[LazyFile] = []

    def run(self, *, was_clean: bool) -> Recovered:
        if not self._segments:
            self._start_empty(self._log_start or 0)
        else:
            if not (was_clean and self._open_clean()):
                self._recover()
            self._remove_deleted()
        start_offset = self._start_offset()
        if start_offset > self._end_offset:
            # As Kafka: the records up to the log start are deleted, so the log goes on from there.
            self._remove_from(0)
            self._start_empty(start_offset)
        self._segments[-1].guess_creation(self._now_ms)
        self._epochs.truncate_start(start_offset)
        self._epochs.is_dirty = self._is_epoch_file_stale()
        return Recovered(
            segments=self._segments,
            start_offset=start_offset,
            end_offset=self._end_offset,
            producers=self._producers,
            snapshots=self._snapshots,
            epochs=self._epochs,
            report=self._report,
        )

    def _is_epoch_file_stale(self) -> bool:
        if self._epochs_on_disk is None:
            return bool(self._epochs.entries())
        return self._epochs.format() != self._epochs_on_disk

    def _start_offset(self) -> int:
        return max(self._log_start or 0, self._segments[0].base_offset)

    def _tidy(self, names: list[str]) -> list[str]:
        """Remove what a crash left; the names that stay."""
        bases = {parse_offset(name, LOG) for name in names}
        kept = []
        for name in names:
            if is_leftover(name) or _is_orphan(name, bases):
                self._directory.file(name).remove()
                self._report.removed_files.append(name)
            else:
                kept.append(name)
        return kept

    def _start_empty(self, base_offset: int) -> None:
        segment = self._directory.segment(base_offset, self._now_ms)
        if self._is_new:
            segment.begin()
        else:
            segment.create()
        self._segments = [segment]
        self._snapshots.remove_after(-1)
        self._producers, self._epochs = ProducerState(), LeaderEpochs()
        self._end_offset = base_offset

    def _remove_deleted(self) -> None:
        """Segments below the log start, of which a crash has left some.

        Only now that the producers' state is read: the snapshot after them may be damaged.
        """
        while len(self._segments) > 1 and self._segments[1].base_offset <= (self._log_start or 0):
            files = self._segments.pop(0).files()
            for file in files:
                file.abandon()
            remove_in_order(self._directory.disk, self._directory.path, [[file.path for file in files]])

    # After a clean close.

    def _open_clean(self) -> bool:
        """Take the files at their word; False when they contradict themselves."""
        active = self._segments[-1]
        active.load(self._config)
        epochs = self._load_epochs()
        end_offset = self._find_end(active)
        if end_offset is None or epochs is None:
            return False
        if end_offset > self._start_offset() and not self._reach_the_start(epochs):
            return False
        self._epochs, self._end_offset = epochs, end_offset
        self._load_producers(end_offset)
        return True

    def _find_end(self, active: Segment) -> int | None:
        for _, batch in active.batches(0, BLOCKING):
            active.first_timestamp = batch.header.max_timestamp
            break
        end_offset, end = active.base_offset, active.last_indexed_position(BLOCKING)
        for position, batch in active.batches(end, BLOCKING):
            if not has_valid_crc(batch):
                return None
            active.on_found(batch.header)
            end_offset, end = batch.header.next_offset, position + batch.header.size
        return end_offset if end == active.size else None

    def _load_epochs(self) -> LeaderEpochs | None:
        content = self._epochs_on_disk
        return LeaderEpochs() if content is None else parse_epochs(content)

    def _reach_the_start(self, epochs: LeaderEpochs) -> bool:
        """Whether they are known from the log start on, so that none is missing in front."""
        return epochs.epoch_at(self._start_offset()) >= 0

    def _load_producers(self, end_offset: int) -> None:
        """The state before `end_offset`: the newest snapshot, and the batches since."""
        self._producers = replay_producers(self._segments, self._snapshots, end_offset, self._config)

    # After a crash.

    def _recover(self) -> None:
        if self._has_lost_its_front():
            self._remove_from(0)
            self._start_empty(self._log_start or 0)
        else:
            self._scan()

    def _has_lost_its_front(self) -> bool:
        """Whether the first segments were never durable, but a later one was.

        Segments go only after the log start is durable, or, should that file be gone, behind the recovery
        point.
        """
        first = self._segments[0].base_offset
        point = self._directory.read_offset(RECOVERY_POINT)
        return first > (self._log_start or 0) and (point is None or point < first)

    def _scan(self) -> None:
        self._report.was_scanned = True
        first = self._first_to_scan()
        start = self._segments[first].base_offset
        self._snapshots.remove_after(start)
        self._load_producers(start)
        # Before the first segment there are none, but after a reset the file may still have an older log's.
        self._epochs.truncate_end(start if first else 0)
        self._end_offset = start
        for number in range(first, len(self._segments)):
            segment = self._segments[number]
            if segment.base_offset != self._end_offset and not self._config.compacts:
                self._remove_from(number)
                break
            if number > first:
                self._seal(self._segments[number - 1])
            if not self._scan_segment(segment):
                self._remove_from(number + 1)
                break
        self._make_durable(first)

    def _first_to_scan(self) -> int:
        """The number of the segment at the recovery point; the first one when it, or the epochs, are not
        known.
        """
        point = self._directory.read_offset(RECOVERY_POINT)
        epochs = self._load_epochs()
        if point is None or epochs is None or not self._reach_the_start(epochs):
            return 0
        self._epochs = epochs
        bases = [segment.base_offset for segment in self._segments]
        return max(bisect_right(bases, point) - 1, 0)

    def _scan_segment(self, segment: Segment) -> bool:
        """Read all of it; False when it was cut short."""
        file = segment.log.open()
        size = file.size()
        segment.reset()
        for _, batch in iterate_batches(segment.log, 0, size, BLOCKING):
            if not self._is_next(batch):
                break
            header = batch.header
            segment.on_written(header.base_offset, header, self._config)
            self._epochs.on_batch(header.leader_epoch, header.base_offset)
            aborted = take_in(self._producers, batch, header.base_offset)
            if aborted is not None:
                segment.txns.append(aborted)
            self._end_offset = header.next_offset
        self._report.scanned_bytes += size
        if segment.size == size:
            return True
        self._report.truncated_bytes += size - segment.size
        segment.log.is_pinned = True
        file.truncate(segment.size)
        return False

    def _is_next(self, batch: Batch) -> bool:
        header = batch.header
        if header.leader_epoch < self._epochs.latest or not has_valid_crc(batch):
            return False
        if self._config.compacts:
            return header.base_offset >= self._end_offset
        return header.base_offset == self._end_offset

    def _remove_from(self, number: int) -> None:
        for segment in reversed(self._segments[number:]):
            self._report.removed_segments += 1
            for file in segment.files():
                file.remove()
        del self._segments[number:]

    def _seal(self, closed: Segment) -> None:
        """What a roll after `closed` would have written."""
        self._unsynced += closed.flush_indexes()
        snapshot = self._snapshots.write(self._end_offset, self._producers)
        if snapshot is not None:
            self._unsynced.append(snapshot)

    def _make_durable(self, first: int) -> None:
        """What was read may still be only in the kernel's memory; from now on it counts as committed."""
        logs = [segment.log for segment in self._segments[first:] if segment.size or segment.log.is_pinned]
        if not logs:
            return
        # Only where the recovery point passes what it describes: else recovery reads that anew, and
        # thousands of logs of one segment would wait for the device each.
        content = self._epochs.format()
        if content != self._epochs_on_disk and len(self._segments) > 1:
            self._unsynced.append(self._directory.write_epochs(content))
            self._epochs_on_disk = content
        for file in self._unsynced + logs:
            file.open().sync()
            file.is_pinned = False
        for directory in self._directory.syncs_of_names():
            directory.sync()
        if len(self._segments) > 1:
            self._directory.write_recovery_point(self._segments[-1].base_offset)


def _is_orphan(name: str, bases: set[int | None]) -> bool:
    for suffix in (OFFSET_INDEX, TIME_INDEX, TXN_INDEX):
        base = parse_offset(name, suffix)
        if base is not None:
            return base not in bases
    return False
