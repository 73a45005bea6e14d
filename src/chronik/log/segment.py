"""A log segment: one `.log` file with its indexes. Made by `PartitionLog` at a roll, or when the log is
opened.

Only the active segment, the last of a log, is written. What is known of a closed one is read when first
asked for.
"""

from collections.abc import Iterator

from crc32c import crc32c

from chronik.log.config import LogConfig
from chronik.log.disk import Buffer, Disk
from chronik.log.handles import HandleCache, LazyFile
from chronik.log.index import OFFSET_ENTRY, TIME_ENTRY, SparseIndex
from chronik.log.names import LOG, OFFSET_INDEX, TIME_INDEX, TXN_INDEX, offset_name
from chronik.log.source import BLOCKING, Source
from chronik.log.txn_index import TXN_ENTRY, TxnIndex
from chronik.log.walk import iterate_batches
from chronik.records.batch import LOG_OVERHEAD, NO_TIMESTAMP, Batch, BatchHeader

# Relative offsets in the indexes are 4 bytes, signed.
RELATIVE_OFFSET_MAX = 2**31 - 1


class Segment:
    """Batches from `base_offset` on, in one file."""

    __slots__ = (
        "_bytes_since_index",
        "_indexed_timestamp",
        "_is_loaded",
        "_offset_of_max_timestamp",
        "base_offset",
        "created_ms",
        "first_timestamp",
        "is_damaged",
        "log",
        "max_timestamp",
        "offsets",
        "size",
        "times",
        "txns",
    )

    def __init__(
        self, disk: Disk, handles: HandleCache, directory: str, base_offset: int, created_ms: int
    ) -> None:
        def file(suffix: str) -> LazyFile:
            return LazyFile(disk, handles, f"{directory}/{offset_name(base_offset, suffix)}")

        self.base_offset = base_offset
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
        """There is nothing in it, and no file yet: `create` makes it."""
        self._is_loaded = True

    def create(self) -> None:
        """Make the `.log` file, empty. What a crash left of an earlier one under this name goes."""
        for index in self._indexes():
            index.clear()
        file = self.log.open(create=True)
        if file.size():
            self.log.is_pinned = True
            file.truncate(0)
        self._is_loaded = True

    def load(self, config: LogConfig) -> None:
        """Learn what the files of a closed segment say; indexes that make no sense are rebuilt."""
        if self._is_loaded:
            return
        self.size = self.log.open().size()
        self._is_loaded = True
        if not self._has_sane_indexes():
            self._rebuild_indexes(config)
        self._learn_from_index()

    def flush_indexes(self) -> list[LazyFile]:
        """Write the index entries that wait in memory, with a last one for the time index; the files to
        sync.
        """
        self._index_time()
        return [
            index.file for index in self._indexes() if index.flush() or len(index) or index.file.is_pinned
        ]

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
        """Whether batches of `size` bytes that end at `last_offset` belong into a new segment."""
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
        """Learn of one of the last batches, which the indexes may not know, when the log is opened."""
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
        """A position at or before the batch that holds `offset`, near it."""
        entry = self.offsets.floor(offset - self.base_offset, source)
        return entry[1] if entry is not None else 0

    def last_indexed_position(self, source: Source) -> int:
        entry = self.offsets.last(source)
        return entry[1] if entry is not None else 0

    def batches(self, position: int, source: Source) -> Iterator[tuple[int, Batch]]:
        """Batches from `position`, which must be the start of one, to the end of the segment."""
        return iterate_batches(self.log, position, self.size, source)

    # Cutting and rebuilding.

    def cut(self, end_offset: int) -> int:
        """Drop all from the batch on that holds `end_offset`, durably; the segment's end offset then."""
        position, kept_end = self._find_cut(end_offset)
        file = self.log.open()
        file.truncate(position)
        file.sync()
        self.size = position
        kept = kept_end - self.base_offset
        self.offsets.keep(lambda relative, _: relative < kept, BLOCKING)
        self.times.keep(lambda _, relative: relative < kept, BLOCKING)
        self.txns.keep(kept_end, BLOCKING)
        self._learn_tail()
        return kept_end

    def _find_cut(self, end_offset: int) -> tuple[int, int]:
        kept_end = self.base_offset
        for position, batch in self.batches(self.position_before(end_offset, BLOCKING), BLOCKING):
            if batch.header.last_offset >= end_offset:
                return position, max(kept_end, batch.header.base_offset)
            kept_end = batch.header.next_offset
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
        self.max_timestamp = self._indexed_timestamp = NO_TIMESTAMP
        self._offset_of_max_timestamp = self.base_offset
        self.first_timestamp = None
        self._bytes_since_index = 0
        self._is_loaded = True

    def _rebuild_indexes(self, config: LogConfig) -> None:
        size = self.size
        self.offsets.clear()
        self.times.clear()
        self.size = 0
        for _, batch in iterate_batches(self.log, 0, size, BLOCKING):
            self.on_written(batch.header.base_offset, batch.header, config)
        self._index_time()
        self.size = size
        for index in (self.offsets, self.times):
            index.try_flush()
            # Nothing waits for these to be durable: they can be rebuilt again.
            index.file.is_pinned = False

    def _has_sane_indexes(self) -> bool:
        # What Kafka checks when it opens a log: a whole number of entries, and a last one that can be true.
        whole = [index.load() for index in self._indexes()]
        if not all(whole):
            return False
        if self.size and not len(self.times):
            return False
        last_offset, last_time = self.offsets.last(BLOCKING), self.times.last(BLOCKING)
        return (last_offset is None or (last_offset[0] >= 0 and 0 < last_offset[1] < self.size)) and (
            last_time is None or last_time[1] >= 0
        )

    def _indexes(self) -> tuple[SparseIndex, SparseIndex, TxnIndex]:
        return self.offsets, self.times, self.txns
