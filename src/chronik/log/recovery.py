"""Opens a log: after a clean close by trusting its files, after anything else by reading the part that may be
torn.

Durable for certain is everything below the *vouched end*: the end at the last clean stop (`log.vouched`), and
everything below the recovery point, which is the base offset of a segment. Records damaged or missing there
were once acknowledged. They are reported (`log.damage`) and left as they are, and the log goes on after them.

From the vouched end on every batch is read and its CRC checked; the log ends before the first batch that is
damaged, missing or out of order: it was never acknowledged. Indexes, producers and epochs are rebuilt on the
way.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from chronik.log.cleanup import remove_in_order, write_log_start
from chronik.log.config import LogConfig
from chronik.log.damage import Damage, DamageKind
from chronik.log.disk import is_out_of_space
from chronik.log.epochs import LeaderEpochs, parse_epochs
from chronik.log.handle_cache import LazyFile
from chronik.log.intact import Bounds, Damaged, Intact, iterate_intact
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
    offset_name,
    parse_offset,
)
from chronik.log.producer_state import ProducerState, apply_to_producer_state
from chronik.log.recovery_rules import (
    Front,
    Joint,
    OnDamage,
    judge_damage,
    judge_front,
    judge_joint,
)
from chronik.log.segment import OFFSETS_MAX, Segment
from chronik.log.snapshots import Snapshots, replay_producers
from chronik.log.source import BLOCKING
from chronik.log.vouched import VouchedLog
from chronik.records.batch import HEADER_BYTES, parse_header

# The vouched end after a clean stop that left no note of the log: all that is in the files.
_EVERYTHING = 2**63 - 1

# Limit of the record count in a damaged batch: more do not fit into the largest one.
_RECORDS_MAX = 1 << 27


class LastStop(NamedTuple):
    """How a log was left."""

    # Everything was synced and closed.
    was_clean: bool
    # The last clean stop's note of it, which may be several starts ago.
    vouched: VouchedLog | None = None
    # Others have the records, and a leader sends those that this replica lacks: one that lost its end is
    # shorter then. Without others it goes on where it would have, so that no offset is given twice.
    has_other_replicas: bool = False


@dataclass(slots=True)
class RecoveryReport:
    """The findings and actions of opening a log; for the node's log line and for tests."""

    was_scanned: bool = False
    scanned_bytes: int = 0
    # Bytes after the last good batch that were dropped, and the segments after it.
    truncated_bytes: int = 0
    removed_segments: int = 0
    removed_files: list[str] = field(default_factory=list)
    # Where the records ended that were durable, for all that is known, when the log was opened.
    vouched_end_offset: int = 0
    # From here on, up to the vouched end, they are lost; None when the end is there.
    lost_from_offset: int | None = None
    # The log start that is known to be durable. Records between it and the first segment are lost.
    log_start_offset: int = 0


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
    directory: LogDirectory, config: LogConfig, now_ms: int, last_stop: LastStop, *, is_new: bool = False
) -> Recovered:
    """Read a log's directory, which may be empty; one that `is_new` is not there. Raises OSError."""
    return _Recovery(directory, config, now_ms, last_stop, is_new=is_new).run()


class _Recovery:
    """One opening of one log; lives for the call of `recover`."""

    def __init__(
        self, directory: LogDirectory, config: LogConfig, now_ms: int, last_stop: LastStop, *, is_new: bool
    ) -> None:
        self._directory = directory
        self._config = config
        self._now_ms = now_ms
        self._last_stop = last_stop
        self._is_new = is_new
        self._report = RecoveryReport()
        # A topic of thousands of partitions need not look for files where there can be none.
        names = [] if is_new else self._tidy(directory.names())
        self._snapshots = Snapshots(directory, names)
        self._log_start = self._find_log_start(names)
        self._report.log_start_offset = self._log_start
        bases = sorted(base for name in names if (base := parse_offset(name, LOG)) is not None)
        self._segments = [directory.segment(base, now_ms) for base in bases]
        self._point = directory.read_offset(RECOVERY_POINT) if RECOVERY_POINT in names else None
        self._vouched_end = self._find_vouched_end()
        self._epochs_on_disk = directory.read(LEADER_EPOCHS) if LEADER_EPOCHS in names else None
        self._epochs = LeaderEpochs()
        self._producers = ProducerState()
        self._end_offset = 0
        # Stands for lost records at the end of the log; None when the end is there.
        self._lost: Damaged | None = None
        self._is_out_of_space = False
        # Written by the scan, to be synced at its end.
        self._unsynced: list[LazyFile] = []

    def _find_log_start(self, names: list[str]) -> int:
        vouched = self._last_stop.vouched
        found = self._directory.read_offset(LOG_START) if LOG_START in names else None
        self._durable_start = found or 0
        start = max(self._durable_start, 0 if vouched is None else vouched.start_offset)
        # A segment below the start, left by a crash, is no loss, whatever its content.
        self._directory.damages.forget_before(start)
        return start

    def _find_vouched_end(self) -> int:
        vouched, was_clean = self._last_stop.vouched, self._last_stop.was_clean
        if was_clean and vouched is None and self._segments:
            return _EVERYTHING
        return max(self._durable_up_to(), 0 if vouched is None else vouched.end_offset)

    def _durable_up_to(self) -> int:
        """The recovery point, or the segment below it: one that names no segment may be damaged itself."""
        point = self._point or 0
        if not self._segments:
            return point
        return max((one.base_offset for one in self._segments if one.base_offset <= point), default=0)

    def run(self) -> Recovered:
        self._look_for_segments()
        if not self._segments:
            self._start_without_segments()
        else:
            if self._is_copy_damaged or not (self._last_stop.was_clean and self._open_clean()):
                self._recover()
            if self._lost is not None:
                self._go_on_after(self._lost)
            self._remove_deleted()
        start_offset = self._start_offset()
        if start_offset > self._end_offset:
            # As Kafka: the records up to the log start are deleted, so the log goes on from there.
            self._remove_from(0)
            self._start_empty(start_offset)
        self._segments[-1].guess_creation(self._now_ms)
        self._epochs.truncate_start(start_offset)
        self._epochs.is_dirty = self._is_epoch_file_stale()
        is_known = self._vouched_end != _EVERYTHING
        self._report.vouched_end_offset = self._vouched_end if is_known else self._end_offset
        return Recovered(
            segments=self._segments,
            start_offset=start_offset,
            end_offset=self._end_offset,
            producers=self._producers,
            snapshots=self._snapshots,
            epochs=self._epochs,
            report=self._report,
        )

    @property
    def _is_copy_damaged(self) -> bool:
        """True if the last clean stop knew of damage in a log that others have, too.

        All of it is read then: what damage is left decides whether the replica must be replaced.
        """
        vouched = self._last_stop.vouched
        return vouched is not None and vouched.is_damaged and self._last_stop.has_other_replicas

    # What should be there.

    def _look_for_segments(self) -> None:
        """Sets the end of each segment, and compares all with the last clean stop's note."""
        for segment, following in pairwise(self._segments):
            segment.end_offset = following.base_offset
        vouched = self._last_stop.vouched
        if vouched is None or not self._segments:
            return
        found = {segment.base_offset: segment for segment in self._segments}
        first_noted = vouched.segments[0].base_offset if vouched.segments else self._log_start
        if self._log_start < first_noted and self._segments[0].base_offset >= first_noted:
            # It was missing before that stop.
            self._report_missing(self._log_start, self._log_start, first_noted)
        ends = [noted.base_offset for noted in vouched.segments[1:]] + [vouched.end_offset]
        for noted, end in zip(vouched.segments, ends, strict=False):
            present = found.get(noted.base_offset)
            if present is None:
                self._report_missing(noted.base_offset, max(noted.base_offset, self._log_start), end)
                continue
            present.vouched_size = noted.size
            if present.end_offset is not None:
                # The last one has grown since, if others came after it.
                if noted is not vouched.segments[-1]:
                    present.end_offset = end
                if self._last_stop.has_other_replicas and present.log.open().size() < noted.size:
                    # Not only at the first read: the replica must be replaced.
                    present.load(self._config)

    def _report_missing(self, base_offset: int, first_offset: int, end_offset: int) -> None:
        path = self._directory.join(offset_name(base_offset, LOG))
        self._directory.damages.report(Damage(DamageKind.MISSING_SEGMENT, path, 0, first_offset, end_offset))

    def _start_without_segments(self) -> None:
        """There is no file with records. Whether there should be one is known from the last clean stop, or
        the recovery point.
        """
        first, end = self._log_start, self._vouched_end
        if end > first:
            self._report.lost_from_offset = first
            if self._is_new:
                path, kind = self._directory.path, DamageKind.MISSING_DIRECTORY
                self._directory.damages.report(Damage(kind, path, 0, first, end))
            else:
                self._report_missing(first, first, end)
        self._start_empty(first if self._last_stop.has_other_replicas else max(first, end))

    # A lost end.

    def _go_on_after(self, lost: Damaged) -> None:
        """Durable records at the end of the log are damaged or missing, from `lost.first_offset` on."""
        last = self._segments[-1]
        end_offset = self._end_after(lost)
        self._report.lost_from_offset = lost.first_offset
        if lost.position < last.size:
            last.report(lost, end_offset)
        elif lost.first_offset < (last.end_offset or end_offset) and not self._is_noted(lost.first_offset):
            last.report_cut(lost.first_offset, last.end_offset or end_offset)
        if self._last_stop.has_other_replicas:
            self._drop(last, lost)
        else:
            self._begin_behind(last, end_offset)

    def _is_noted(self, base_offset: int) -> bool:
        """True if a segment began there: then that one is missing."""
        vouched = self._last_stop.vouched
        return vouched is not None and any(one.base_offset == base_offset for one in vouched.segments)

    def _drop(self, last: Segment, lost: Damaged) -> None:
        """The leader sends it again."""
        self._report.truncated_bytes += last.size - lost.position
        last.load(self._config)
        self._end_offset = lost.first_offset
        last.cut_at(lost.position, lost.first_offset)
        last.end_offset = None
        self._snapshots.remove_after(self._end_offset)
        self._epochs.truncate_end(self._end_offset)
        self._load_producers(self._end_offset)

    def _begin_behind(self, last: Segment, end_offset: int) -> None:
        """A new segment takes further appends: nothing is appended after bytes that are no batch, and the
        damaged rest stays as it is.
        """
        last.end_offset = min(last.end_offset or end_offset, end_offset)
        for file in last.flush_indexes():
            file.open().sync()
            file.is_pinned = False
        segment = self._directory.segment(end_offset, self._now_ms)
        segment.create()
        self._segments.append(segment)
        self._end_offset = end_offset
        self._load_producers(end_offset)
        for names in self._directory.syncs_of_names():
            names.sync()
        # From now on the damage is below it: a crash must not take it for a torn end.
        self._directory.write_recovery_point_durably(end_offset)

    def _end_after(self, lost: Damaged) -> int:
        """The offset that comes next. Without a note of it nothing is sure but that it is not below these."""
        if self._vouched_end != _EVERYTHING:
            return self._vouched_end
        return max(lost.first_offset + 1, self._snapshots.latest or 0, self._claimed_end(lost))

    def _claimed_end(self, lost: Damaged) -> int:
        """Returns the end by the damaged batch's own header."""
        data = self._segments[-1].log.open().read_at(lost.position, HEADER_BYTES)
        if len(data) < HEADER_BYTES:
            return 0
        claimed = lost.first_offset + parse_header(data).last_offset_delta + 1
        return claimed if lost.first_offset < claimed <= lost.first_offset + _RECORDS_MAX else 0

    def _is_epoch_file_stale(self) -> bool:
        if self._epochs_on_disk is None:
            return bool(self._epochs.entries())
        return self._epochs.format() != self._epochs_on_disk

    def _start_offset(self) -> int:
        return max(self._log_start, self._segments[0].base_offset)

    def _tidy(self, names: list[str]) -> list[str]:
        """Removes files left by a crash; returns the remaining names."""
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

        Only now that the producers' state is read: the snapshot after them may be damaged. And only below a
        start that is durable itself: where the last clean stop alone knows it, a crash would find the older
        one, take the log for one with a gap in front, and drop all of it.
        """
        if len(self._segments) > 1 and self._segments[1].base_offset <= self._log_start > self._durable_start:
            with self._without_room():
                write_log_start(self._directory, self._log_start)
                self._durable_start = self._log_start
        start = min(self._log_start, self._durable_start)
        while len(self._segments) > 1 and self._segments[1].base_offset <= start:
            files = self._segments.pop(0).files()
            for file in files:
                file.abandon()
            remove_in_order(self._directory.disk, self._directory.path, [[file.path for file in files]])

    # After a clean close.

    def _open_clean(self) -> bool:
        """Take the files at their word; False when the epochs are to be worked out again."""
        active = self._segments[-1]
        active.load(self._config)
        epochs = self._load_epochs()
        if epochs is None:
            return False
        vouched = self._last_stop.vouched
        if vouched is None or vouched.is_damaged:
            self._check_ends(self._segments[:-1])
        end_offset = self._find_end(active, epochs)
        if end_offset > self._start_offset() and not self._reach_the_start(epochs):
            self._lost = None
            return False
        self._epochs, self._end_offset = epochs, end_offset
        if self._lost is None:
            self._load_producers(end_offset)
        return True

    def _find_end(self, active: Segment, epochs: LeaderEpochs) -> int:
        """Returns the end of the intact records; reads only the part after the last index entry."""
        start = active.last_indexed_position(BLOCKING)
        if active.has_damaged_index or not active.confirm_times(BLOCKING):
            active.rebuild_indexes(self._config)
            start = active.last_indexed_position(BLOCKING)
        for _, batch in active.batches(0, BLOCKING):
            active.first_timestamp = batch.header.max_timestamp
            break
        bounds = active.bounds(start, BLOCKING)
        if epochs.latest >= 0:
            bounds = bounds._replace(leader_epoch_max=epochs.latest)
        end_offset = active.base_offset
        for found in iterate_intact(active.log, bounds, BLOCKING):
            if isinstance(found, Intact):
                active.on_found(found.batch.header)
                end_offset = found.batch.header.next_offset
            elif found.next_offset is None:
                self._lost = found
                return found.first_offset
            else:
                active.report(found)
        if end_offset < self._vouched_end != _EVERYTHING:
            self._lost = Damaged(active.size, active.size, end_offset, None)
        return end_offset

    def _check_ends(self, closed: Sequence[Segment]) -> None:
        """Without a note of their content, each is checked at its end to reach the next."""
        for segment in closed:
            segment.load(self._config)
            segment.check_end()

    def _load_epochs(self) -> LeaderEpochs | None:
        content = self._epochs_on_disk
        return LeaderEpochs() if content is None else parse_epochs(content)

    def _reach_the_start(self, epochs: LeaderEpochs) -> bool:
        """True if they are known from the log start on, so that none is missing in front."""
        return epochs.epoch_at(self._start_offset()) >= 0

    def _load_producers(self, end_offset: int) -> None:
        """The state before `end_offset`: the newest snapshot, and the batches since."""
        self._producers = replay_producers(self._segments, self._snapshots, end_offset, self._config)

    # After a crash.

    def _recover(self) -> None:
        first = self._segments[0].base_offset
        front = judge_front(
            first,
            log_start=self._log_start,
            vouched_end=self._vouched_end,
            is_noted=self._last_stop.vouched is not None,
        )
        if front is Front.REMOVED:
            self._remove_from(0)
            self._start_empty(self._log_start)
            return
        if front is Front.GAP:
            self._report_missing(self._log_start, self._log_start, first)
        self._scan()

    def _scan(self) -> None:
        self._report.was_scanned = True
        first = self._first_to_scan()
        start = self._segments[first].base_offset
        self._check_ends(self._segments[:first])
        self._snapshots.remove_after(start)
        self._load_producers(start)
        # Before the first segment there are none, but after a reset the file may still have an older log's.
        self._epochs.truncate_end(start if first else 0)
        self._end_offset = start
        for number in range(first, len(self._segments)):
            if not self._follows(number):
                self._remove_from(number)
                break
            if number > first:
                self._seal(self._segments[number - 1])
            if not self._scan_segment(number):
                self._remove_from(number + 1)
                break
        if self._lost is None and self._end_offset < self._vouched_end != _EVERYTHING:
            size = self._segments[-1].size
            self._lost = Damaged(size, size, self._end_offset, None)
        self._check_point()
        self._make_durable(first)

    def _check_point(self) -> None:
        """The segment at the recovery point was durable, whatever else was not."""
        point = self._point
        if point is not None and point >= self._end_offset and point > self._segments[-1].base_offset:
            self._report_missing(point, self._end_offset, point)

    def _first_to_scan(self) -> int:
        """The number of the segment at the recovery point; the first one when it, or the epochs, are not
        known.
        """
        epochs = self._load_epochs()
        is_known = self._point is not None and epochs is not None and self._reach_the_start(epochs)
        if self._point is None or epochs is None or not is_known or self._is_copy_damaged:
            return 0
        self._epochs = epochs
        bases = [segment.base_offset for segment in self._segments]
        return max(bisect_right(bases, self._point) - 1, 0)

    def _follows(self, number: int) -> bool:
        """True if the segment belongs to the log. Records that are missing before it are reported."""
        base, end_offset = self._segments[number].base_offset, self._end_offset
        joint = judge_joint(
            base, end_offset=end_offset, vouched_end=self._vouched_end, has_gaps=self._config.compacts
        )
        if joint is Joint.BEHIND_GAP:
            previous = self._segments[number - 1]
            if previous.end_offset is not None and end_offset < previous.end_offset:
                previous.report_cut(end_offset, previous.end_offset)
            self._end_offset = base
        return joint is not Joint.FOREIGN

    def _scan_segment(self, number: int) -> bool:
        """Read all of it; False when the log ends in it."""
        segment = self._segments[number]
        file = segment.log.open()
        size = file.size()
        self._report.scanned_bytes += size
        segment.reset()
        for found in iterate_intact(segment.log, self._scan_bounds(segment, size), BLOCKING):
            if isinstance(found, Intact):
                self._apply_intact(segment, found)
                continue
            found_to_be = judge_damage(found, segment_end=segment.end_offset, vouched_end=self._vouched_end)
            if found_to_be is not OnDamage.STEP_OVER:
                return self._end_segment(segment, found, size, found_to_be)
            assert found.next_offset is not None
            segment.report(found)
            self._end_offset = found.next_offset
        segment.size = size
        return True

    def _end_segment(self, segment: Segment, found: Damaged, size: int, found_to_be: OnDamage) -> bool:
        """Nothing after `found` is read in the segment. True if the log goes on in the next."""
        if found_to_be is OnDamage.CUT:
            self._cut(segment, found, size)
            return False
        segment.size = size
        if found_to_be is OnDamage.END_LOST:
            self._lost = found
            return False
        assert segment.end_offset is not None
        segment.report(found, segment.end_offset)
        self._end_offset = segment.end_offset
        return True

    def _scan_bounds(self, segment: Segment, size: int) -> Bounds:
        is_end_certain = segment.end_offset is not None and segment.end_offset <= self._vouched_end
        return Bounds(
            position=0,
            end=size,
            next_offset=self._end_offset,
            offset_min=self._end_offset,
            # A later segment that is not durable for certain may be a remnant of an older log.
            offset_max=(is_end_certain and segment.end_offset) or segment.base_offset + OFFSETS_MAX,
            leader_epoch=self._epochs.latest,
            has_gaps=self._config.compacts,
        )

    def _apply_intact(self, segment: Segment, found: Intact) -> None:
        header = found.batch.header
        # Damage before it keeps its place.
        segment.size = found.position
        segment.on_written(header.base_offset, header, self._config)
        self._epochs.on_batch(header.leader_epoch, header.base_offset)
        aborted = apply_to_producer_state(self._producers, found.batch, header.base_offset)
        if aborted is not None:
            segment.txns.append(aborted)
        self._end_offset = header.next_offset

    def _cut(self, segment: Segment, torn: Damaged, size: int) -> None:
        segment.size = torn.position
        self._report.truncated_bytes += size - torn.position
        segment.log.is_pinned = True
        segment.log.open().truncate(torn.position)

    def _remove_from(self, number: int) -> None:
        for segment in reversed(self._segments[number:]):
            self._report.removed_segments += 1
            for file in segment.files():
                file.remove()
        del self._segments[number:]

    def _seal(self, closed: Segment) -> None:
        """Writes the files that a roll after `closed` would have written."""
        with self._without_room():
            self._unsynced += closed.flush_indexes()
            snapshot = self._snapshots.write(self._end_offset, self._producers)
            if snapshot is not None:
                self._unsynced.append(snapshot)

    @contextmanager
    def _without_room(self) -> Iterator[None]:
        """On a full disk the log is read all the same. Files that cannot be written besides it are rebuilt
        at the next start, for the recovery point stays where it is.
        """
        try:
            yield
        except OSError as error:
            if not is_out_of_space(error):
                raise
            self._is_out_of_space = True

    def _make_durable(self, first: int) -> None:
        """The records read may still be only in the kernel's memory; from now on they count as committed."""
        logs = [segment.log for segment in self._segments[first:] if segment.size or segment.log.is_pinned]
        if not logs:
            return
        # Only where the recovery point passes the records it describes: else recovery reads them again, and
        # thousands of logs of one segment would wait for the device each.
        content = self._epochs.format()
        if content != self._epochs_on_disk and len(self._segments) > 1:
            with self._without_room():
                self._unsynced.append(self._directory.write_epochs(content))
                self._epochs_on_disk = content
        for file in self._unsynced + logs:
            file.open().sync()
            file.is_pinned = False
        for directory in self._directory.syncs_of_names():
            directory.sync()
        point = self._segments[-1].base_offset
        if len(self._segments) > 1 and point != self._point and not self._is_out_of_space:
            with self._without_room():
                self._directory.write_recovery_point(point)


def _is_orphan(name: str, bases: set[int | None]) -> bool:
    for suffix in (OFFSET_INDEX, TIME_INDEX, TXN_INDEX):
        base = parse_offset(name, suffix)
        if base is not None:
            return base not in bases
    return False
