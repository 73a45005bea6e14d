"""A log segment: one `.log` file with its indexes. Created by `PartitionLog` at a roll, or when the log is
opened.

Only the active segment, the last of a log, is written. The state of a closed one is read at the first use.
"""

from collections.abc import Iterator

from chronik.log.batch_scan import SEEK_CHUNK_BYTES, iterate_batches, read_base_offset, read_last_offset
from chronik.log.config import LogConfig
from chronik.log.damage import Damage, DamageKind, Damages
from chronik.log.disk import Buffer, Disk
from chronik.log.handle_cache import HandleCache, LazyFile
from chronik.log.index import OFFSET_ENTRY, TIME_ENTRY, SparseIndex
from chronik.log.intact import Bounds, Damaged, Intact, iterate_intact
from chronik.log.names import LOG, OFFSET_INDEX, REBUILT, TIME_INDEX, TXN_INDEX, offset_name
from chronik.log.source import BLOCKING, Source
from chronik.log.txn_index import TXN_ENTRY, TxnIndex
from chronik.records.batch import LOG_OVERHEAD, NO_TIMESTAMP, Batch, BatchHeader
from chronik.records.crc import crc32c

# Relative offsets in the indexes are 4 bytes, signed.
RELATIVE_OFFSET_MAX = 2**31 - 1
# Offsets that one segment can have.
OFFSETS_MAX = RELATIVE_OFFSET_MAX + 1

# Entries that a lookup tries, each before the last, until one matches the log. Mostly one entry is damaged or
# all of them, and a search from the segment's start always succeeds.
_ENTRIES_TRIED_MAX = 4


class Segment:
    """Batches from `base_offset` on, in one file."""

    __slots__ = (
        "_bytes_since_index",
        "_damages",
        "_indexed_timestamp",
        "_is_loaded",
        "_offset_of_max_timestamp",
        "base_offset",
        "created_ms",
        "end_offset",
        "first_timestamp",
        "has_damaged_index",
        "is_damaged",
        "is_time_confirmed",
        "log",
        "max_timestamp",
        "offsets",
        "size",
        "times",
        "txns",
        "vouched_size",
    )

    def __init__(
        self,
        disk: Disk,
        handles: HandleCache,
        directory: str,
        base_offset: int,
        created_ms: int,
        damages: Damages | None = None,
    ) -> None:
        def file(suffix: str) -> LazyFile:
            return LazyFile(disk, handles, f"{directory}/{offset_name(base_offset, suffix)}")

        self._damages = Damages() if damages is None else damages
        self.base_offset = base_offset
        # Where the next segment begins; None for the active one.
        self.end_offset: int | None = None
        # The minimum size by a clean stop's note; None without one.
        self.vouched_size: int | None = None
        # Entries were found that the log does not bear out. Lookups do without them until a rebuild.
        self.has_damaged_index = False
        # Whether the log bears out the last entry of the time index, which `max_timestamp` comes from.
        self.is_time_confirmed = False
        # When this process made or found the segment.
        self.created_ms = created_ms
        self.log = file(LOG)
        self.offsets = SparseIndex(file(OFFSET_INDEX), OFFSET_ENTRY)
        self.times = SparseIndex(file(TIME_INDEX), TIME_ENTRY)
        self.txns = TxnIndex(file(TXN_INDEX), TXN_ENTRY)
        # False for a segment found on disk until `load`; then the fields below mean nothing yet.
        self._is_loaded = False
        self.size = 0
        self.max_timestamp = NO_TIMESTAMP
        # The last offset of the batch that has it.
        self._offset_of_max_timestamp = base_offset
        # The first batch's max timestamp: what rolling by time counts from, as in Kafka.
        self.first_timestamp: int | None = None
        self._bytes_since_index = 0
        # The greatest timestamp in the time index.
        self._indexed_timestamp = NO_TIMESTAMP
        # A write failed and so did the attempt to take it back: where the file ends is unknown.
        self.is_damaged = False

    # Life.

    def begin(self) -> None:
        """The segment is empty, and has no file yet: `create` makes it."""
        self._is_loaded = self.is_time_confirmed = True

    def create(self) -> None:
        """Creates the `.log` file, empty. Remains of an earlier one under this name are removed."""
        for index in self._indexes():
            index.clear()
        file = self.log.open(create=True)
        if file.size():
            self.log.is_pinned = True
            file.truncate(0)
        self._is_loaded = self.is_time_confirmed = True

    def load(self, config: LogConfig) -> None:
        """Reads the files of a closed segment; invalid indexes are rebuilt."""
        if self._is_loaded:
            return
        self.size = self.log.open().size()
        self._is_loaded = True
        if not self._has_sane_indexes(config):
            found = self._outline_of_indexes()
            self.rebuild_indexes(config)
            if found != self._outline_of_indexes():
                self._damages.report(self._index_damage(self.offsets.file.path, 0, self.base_offset))
        self._learn_from_index()
        if self.vouched_size is not None and self.size < self.vouched_size:
            self.check_end()

    @property
    def known_size(self) -> int:
        """Minimum size in bytes: a segment that was not read yet is not opened for it."""
        return self.size if self._is_loaded else self.vouched_size or 0

    def flush_indexes(self) -> list[LazyFile]:
        """Write the index entries that wait in memory, with a last one for the time index; the files to
        sync.
        """
        self._index_time()
        return [
            index.file for index in self._indexes() if index.flush() or len(index) or index.file.is_pinned
        ]

    @property
    def has_unwritten_entries(self) -> bool:
        return any(index.is_waiting for index in self._indexes())

    def unpin(self) -> None:
        """Everything written so far is durable."""
        self.log.is_pinned = False
        for index in self._indexes():
            index.file.is_pinned = False

    def close(self) -> None:
        for file in self.files():
            file.close()

    def files(self) -> list[LazyFile]:
        """All its files, whether they exist or not."""
        return [self.log, *(index.file for index in self._indexes())]

    def guess_creation(self, now_ms: int) -> None:
        """Date a segment found on disk by its first record, for rolling by time."""
        if self.first_timestamp is not None and 0 <= self.first_timestamp < now_ms:
            self.created_ms = self.first_timestamp

    # Writing.

    def must_roll(self, size: int, last_offset: int, max_timestamp: int, config: LogConfig) -> bool:
        """True if batches of `size` bytes that end at `last_offset` belong into a new segment."""
        if not self.size:
            return False
        first = self.first_timestamp
        return (
            self.size > config.segment_bytes - size
            or last_offset - self.base_offset > RELATIVE_OFFSET_MAX
            or (first is not None and first >= 0 and max_timestamp - first > self.lifetime_ms(config))
            or len(self.offsets) >= config.segment_index_bytes // OFFSET_ENTRY.size
            or len(self.times) >= config.segment_index_bytes // TIME_ENTRY.size - 1
        )

    def lifetime_ms(self, config: LogConfig) -> int:
        """segment.ms less this segment's share of the jitter, which keeps many logs from rolling at once.

        Follows from the file's name, so that it needs no chance.
        """
        if not config.segment_jitter_ms:
            return config.segment_ms
        jitter_max = min(config.segment_jitter_ms, config.segment_ms)
        return config.segment_ms - int(crc32c(self.log.path.encode())) % (jitter_max + 1)

    def write(self, buffers: list[Buffer]) -> None:
        """Append to the file. After an OSError the file ends as before, unless `is_damaged`."""
        self.log.is_pinned = True
        file = self.log.open()
        try:
            file.append(buffers)
        except OSError:
            # Until the file ends again where it should. Synced, because otherwise a crash could bring the
            # half-written bytes back behind a later batch.
            self.is_damaged = True
            file.truncate(self.size)
            file.sync()
            self.is_damaged = False
            raise

    def on_written(self, base_offset: int, header: BatchHeader, config: LogConfig) -> None:
        """Index one batch that was written at the end. `header` may still have the base offset of its
        producer.
        """
        position = self.size
        size = header.length + LOG_OVERHEAD
        if header.max_timestamp > self.max_timestamp:
            self.max_timestamp = header.max_timestamp
            self._offset_of_max_timestamp = base_offset + header.last_offset_delta
        if self.first_timestamp is None:
            self.first_timestamp = header.max_timestamp
        if self._bytes_since_index > config.index_interval_bytes:
            self.offsets.append(base_offset + header.last_offset_delta - self.base_offset, position)
            self._index_time()
            self._bytes_since_index = 0
        self._bytes_since_index += size
        self.size = position + size

    def on_found(self, header: BatchHeader) -> None:
        """Applies one of the last batches, which the indexes may not know, when the log is opened."""
        if header.max_timestamp > self.max_timestamp:
            self.max_timestamp = header.max_timestamp
            self._offset_of_max_timestamp = header.last_offset
        self._bytes_since_index += header.size

    def _index_time(self) -> None:
        # Kafka leaves out entries that do not advance; its tools complain about them.
        if self.max_timestamp > self._indexed_timestamp:
            self.times.append(self.max_timestamp, self._offset_of_max_timestamp - self.base_offset)
            self._indexed_timestamp = self.max_timestamp

    # Finding.

    def position_before(self, offset: int, source: Source) -> int:
        """The position of a batch at or before the one that holds `offset`, near it. An entry is believed
        only where the log bears it out.
        """
        relative = offset - self.base_offset
        for _ in range(_ENTRIES_TRIED_MAX):
            entry = self.offsets.floor(relative, source)
            if entry is None:
                return 0
            key, position = entry
            if self.offsets.is_in_memory(relative) or self._is_borne_out(key, position, source):
                return position
            self._report_index(self.offsets.file.path, position, offset)
            relative = min(key, relative) - 1
        return 0

    def last_indexed_position(self, source: Source) -> int:
        """Returns the position of the last entry that matches the log; 0 when there is none."""
        entry = self.offsets.last(source)
        if entry is None:
            return 0
        key, position = entry
        if self._is_borne_out(key, position, source):
            return position
        self._report_index(self.offsets.file.path, position, self.base_offset)
        return self.position_before(self.base_offset + RELATIVE_OFFSET_MAX, source)

    def _is_borne_out(self, key: int, position: int, source: Source) -> bool:
        """True if a batch that ends at this relative offset begins there."""
        if not 0 < position < self.size:
            return False
        return read_last_offset(self.log, position, source) == self.base_offset + key

    def position_before_time(self, timestamp: int, source: Source) -> int:
        """The position of a batch before which no record has `timestamp` or a greater one."""
        wanted = timestamp - 1
        for _ in range(_ENTRIES_TRIED_MAX):
            # An entry means that up to its offset no timestamp is greater than its own.
            entry = self.times.floor(wanted, source)
            if entry is None:
                return 0
            position = self._confirm_time(*entry, source)
            if position is not None:
                return position
            wanted = min(entry[0], wanted) - 1
        return 0

    def _confirm_time(self, timestamp: int, relative: int, source: Source) -> int | None:
        """The position of the batch that an entry of the time index names; None when the log does not bear it
        out.
        """
        offset = self.base_offset + relative
        start = self.position_before(offset, source)
        for position, batch in iterate_batches(self.log, start, self.size, source):
            header = batch.header
            if header.last_offset == offset and header.max_timestamp == timestamp:
                return position
            if header.last_offset >= offset:
                break
        self._report_index(self.times.file.path, 0, offset)
        return None

    def confirm_times(self, source: Source) -> bool:
        """True if `max_timestamp` can be believed: else the index is to be rebuilt first."""
        if not self.is_time_confirmed:
            last = self.times.last(source)
            if last is not None and self._confirm_time(*last, source) is None:
                return False
            self.is_time_confirmed = True
        return True

    def intact(self, position: int, source: Source) -> Iterator[Intact | Damaged]:
        """Yields batches from `position`, which must be the start of one, to the end of the segment, and
        the damage between them.
        """
        return iterate_intact(self.log, self.bounds(position, source), source)

    def bounds(self, position: int, source: Source) -> Bounds:
        """Returns the bounds of everything from `position` on, which is 0 or from an index entry."""
        first = read_base_offset(self.log, position, source) if position else self.base_offset
        return Bounds(
            position=position,
            end=self.size,
            next_offset=first,
            offset_min=self.base_offset if first is None else first,
            offset_max=self._offset_bound,
        )

    @property
    def _offset_bound(self) -> int:
        """No offset in it reaches this one."""
        return self.end_offset if self.end_offset is not None else self.base_offset + OFFSETS_MAX

    def batches(self, position: int, source: Source) -> Iterator[tuple[int, Batch]]:
        """As `intact`, without damage, which is reported."""
        for found in self.intact(position, source):
            if isinstance(found, Intact):
                yield found
            else:
                self.report(found)

    # Damage.

    def report(self, damaged: Damaged, end_offset: int | None = None) -> Damage:
        """Have it known that records are damaged: up to the next intact batch, or to `end_offset`."""
        next_offset = damaged.next_offset
        if next_offset is None:
            next_offset = end_offset if end_offset is not None else self.end_offset
        end = damaged.first_offset + 1 if next_offset is None else next_offset
        return self._report(DamageKind.CORRUPT_BATCH, damaged.position, damaged.first_offset, end)

    def report_cut(self, first_offset: int, end_offset: int) -> Damage:
        """Have it known that the records between the two are not in the file any more."""
        return self._report(DamageKind.CUT_SEGMENT, self.size, first_offset, end_offset)

    def report_missing(self, next_base: int) -> Damage:
        """Have it known that there is no segment between this one and the one at `next_base`."""
        assert self.end_offset is not None
        directory = self.log.path.rpartition("/")[0]
        path = f"{directory}/{offset_name(self.end_offset, LOG)}"
        damage = Damage(DamageKind.MISSING_SEGMENT, path, 0, self.end_offset, next_base)
        self._damages.report(damage)
        return damage

    def _report(self, kind: DamageKind, position: int, first_offset: int, end_offset: int) -> Damage:
        damage = Damage(kind, self.log.path, position, first_offset, end_offset)
        self._damages.report(damage)
        return damage

    def _report_index(self, path: str, position: int, offset: int) -> None:
        self.has_damaged_index = True
        self._damages.report(self._index_damage(path, position, offset))

    def _index_damage(self, path: str, position: int, offset: int) -> Damage:
        return Damage(DamageKind.INDEX, path, position, offset, max(self._offset_bound, offset + 1))

    def check_end(self) -> None:
        """Checks the part after the last index entry of a closed segment, and reports damaged or missing
        records there. The segment is loaded.
        """
        start = self.last_indexed_position(BLOCKING)
        end_offset = self.base_offset
        for found in self.intact(start, BLOCKING):
            if isinstance(found, Intact):
                end_offset = found.batch.header.next_offset
            else:
                self.report(found)
                end_offset = found.next_offset if found.next_offset is not None else self._offset_bound
        if self.end_offset is not None and end_offset < self.end_offset:
            self.report_cut(end_offset, self.end_offset)

    # Cutting and rebuilding.

    def cut(self, end_offset: int) -> int:
        """Drop all from the batch on that holds `end_offset`, durably; the segment's end offset then."""
        position, kept_end = self._find_cut(end_offset)
        self.cut_at(position, kept_end)
        return kept_end

    def cut_at(self, position: int, end_offset: int) -> None:
        """Drop all from `position` on, durably: the records before it end at `end_offset`."""
        file = self.log.open()
        file.truncate(position)
        file.sync()
        self.size = position
        kept = end_offset - self.base_offset
        self.offsets.keep(lambda relative, _: relative < kept, BLOCKING)
        self.times.keep(lambda _, relative: relative < kept, BLOCKING)
        self.txns.keep(end_offset, BLOCKING)
        self._learn_tail()

    def _find_cut(self, end_offset: int) -> tuple[int, int]:
        kept_end = self.base_offset
        for found in self.intact(self.position_before(end_offset, BLOCKING), BLOCKING):
            if isinstance(found, Intact):
                if found.batch.header.last_offset >= end_offset:
                    return found.position, max(kept_end, found.batch.header.base_offset)
                kept_end = found.batch.header.next_offset
            elif found.next_offset is None or found.next_offset > end_offset:
                return found.position, max(kept_end, found.first_offset)
            else:
                kept_end = found.next_offset
        return self.size, kept_end

    def _learn_tail(self) -> None:
        self._learn_from_index()
        self._bytes_since_index = 0
        if not self.size:
            self.first_timestamp = None
        for _, batch in self.batches(self.last_indexed_position(BLOCKING), BLOCKING):
            self.on_found(batch.header)

    def _learn_from_index(self) -> None:
        last = self.times.last(BLOCKING)
        self.max_timestamp, relative = last if last is not None else (NO_TIMESTAMP, 0)
        self._offset_of_max_timestamp = self.base_offset + relative
        self._indexed_timestamp = self.max_timestamp

    def reset(self) -> None:
        """Forget the content and empty the indexes; `on_written` then teaches it batch by batch."""
        for index in self._indexes():
            index.clear()
        self.size = 0
        self._forget_times()
        self._is_loaded = self.is_time_confirmed = True

    def rebuild_indexes(self, config: LogConfig) -> None:
        """Work out the indexes from the log, which is read from its start. Blocks."""
        size = self.size
        self.offsets.clear()
        self.times.clear()
        self._forget_times()
        for found in self.intact(0, BLOCKING):
            if isinstance(found, Intact):
                # Damage is passed over, and takes its place.
                self.size = found.position
                self.on_written(found.batch.header.base_offset, found.batch.header, config)
                self.size = size
        self._index_time()
        self.size = size
        for index in (self.offsets, self.times):
            index.try_flush()
            # Nothing waits for these to be durable: they can be rebuilt again.
            index.file.is_pinned = False
        self.has_damaged_index, self.is_time_confirmed = False, True

    def begin_rebuild(self, disk: Disk) -> "Segment":
        """Returns a copy of this closed segment that shares no handles with it, and writes its indexes
        next to them.
        """
        directory = self.log.path.rpartition("/")[0]
        apart = Segment(disk, HandleCache(), directory, self.base_offset, self.created_ms)
        apart.end_offset, apart.size = self.end_offset, self.size
        for index in (apart.offsets, apart.times):
            index.file.path += REBUILT
        return apart

    def rebuild_apart(self, config: LogConfig) -> None:
        """For a thread: `rebuild_indexes`, durably, then closes the files. Blocks."""
        try:
            self.rebuild_indexes(config)
            for index in (self.offsets, self.times):
                index.flush()
                if len(index):
                    index.file.open().sync()
        finally:
            self.close()

    def take_indexes(self, apart: "Segment", disk: Disk) -> None:
        """Replaces the indexes by those of a copy that has rebuilt them."""
        for own, rebuilt in ((self.offsets, apart.offsets), (self.times, apart.times)):
            own.file.close()
            own.clear()
            if len(rebuilt):
                disk.rename(rebuilt.file.path, own.file.path)
                own.file.close()
            own.load()
        self._learn_from_index()
        self.has_damaged_index, self.is_time_confirmed = False, True

    def _forget_times(self) -> None:
        self.max_timestamp = self._indexed_timestamp = NO_TIMESTAMP
        self._offset_of_max_timestamp = self.base_offset
        self.first_timestamp = None
        self._bytes_since_index = 0

    def _has_sane_indexes(self, config: LogConfig) -> bool:
        # What Kafka checks when it opens a log: a whole number of entries, and a last one that can be true.
        whole = [index.load() for index in self._indexes()]
        if not all(whole):
            return False
        if self.size and not len(self.times):
            return False
        if not len(self.offsets) and self._needs_entries(config):
            return False
        last_offset, last_time = self.offsets.last(BLOCKING), self.times.last(BLOCKING)
        return (last_offset is None or (last_offset[0] >= 0 and 0 < last_offset[1] < self.size)) and (
            last_time is None or last_time[1] >= 0
        )

    def _needs_entries(self, config: LogConfig) -> bool:
        """True if an index of this segment has entries: a batch begins behind the first interval."""
        if self.size <= config.index_interval_bytes:
            return False
        for position, _ in iterate_batches(self.log, 0, self.size, BLOCKING, chunk_bytes=SEEK_CHUNK_BYTES):
            if position > config.index_interval_bytes:
                return True
        return False

    def _outline_of_indexes(self) -> tuple[object, ...]:
        """Enough to see whether a rebuild has changed anything."""
        offsets, times = self.offsets, self.times
        return (len(offsets), len(times), offsets.last(BLOCKING), times.last(BLOCKING))

    def _indexes(self) -> tuple[SparseIndex, SparseIndex, TxnIndex]:
        return self.offsets, self.times, self.txns
