"""Walking batch headers: through a chunk of bytes for a read, through a whole file for a scan.

The scan is the hot loop of every fetch, so it unpacks only the six fields it needs and builds no header
objects.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from chronik.log.handle_cache import LazyFile
from chronik.log.source import Source
from chronik.records.batch import HEADER_BYTES, LENGTH_MIN, LOG_OVERHEAD, MAGIC, Batch, Buffer, parse_header
from chronik.records.crc import crc32c

# Base offset, length, leader epoch, magic, crc, (attributes), last offset delta.
_unpack_bounds = struct.Struct(">qiibI2xi").unpack_from
_BOUNDS_BYTES = 27
_CRC_FROM = 21

# One read of a scan; also the least, so that a scan costs few system calls.
SCAN_CHUNK_BYTES = 1 << 20

# One read of a lookup that steps over few batches: the distance between two index entries at Kafka's default
# interval, and a usual batch.
SEEK_CHUNK_BYTES = 4096 + 16384


class BatchScan(NamedTuple):
    """The whole batches of a chunk that answer a read, and the reason why the scan ended."""

    # chunk[start:end] are the batches; base_offset and next_offset bound them. Empty when start == end.
    start: int
    end: int
    base_offset: int
    next_offset: int
    # Bytes from `end` that the batch there needs, when the chunk ended inside it; 0 when it ended elsewhere.
    missing: int
    # The batch at `end` is damaged.
    is_corrupt: bool
    # The read is complete: its offset or byte limit was met.
    is_complete: bool
    # Where the batch at `end` should begin, by the one before it; UNKNOWN when none was seen.
    expected_offset: int = -1


class Epochs(NamedTuple):
    """The leader epochs that the batches of a scan may have, both inclusive."""

    first: int
    last: int


# For a log that does not know its own.
ANY_EPOCH = Epochs(-(2**31), 2**31 - 1)

# The first batch of a scan begins at an offset that is not known beforehand.
UNKNOWN = -1


def scan_batches(
    chunk: bytes | memoryview,
    offset: int,
    end_offset: int,
    max_bytes: int,
    *,
    at_least_one: bool,
    expected_offset: int = UNKNOWN,
    epochs: Epochs = ANY_EPOCH,
    has_gaps: bool = False,
) -> BatchScan:
    """Returns the batches, from the one that holds `offset` on, that end by `end_offset` and fit `max_bytes`
    (but at least one).

    Every batch returned has a valid CRC and, unless the log `has_gaps`, begins where the one before it ended
    (the first at `expected_offset`): base offsets are not covered by the CRC. Batches before `offset` are
    stepped over, their CRCs unchecked.
    """
    view = memoryview(chunk)
    size = len(chunk)
    start = position = 0
    base_offset = next_offset = offset
    expected = expected_offset
    first_epoch, last_epoch = epochs
    while position < size:
        if size - position < _BOUNDS_BYTES:
            return BatchScan(start, position, base_offset, next_offset, HEADER_BYTES, False, False, expected)
        base, length, epoch, magic, crc, last_delta = _unpack_bounds(chunk, position)
        if length < LENGTH_MIN or magic != MAGIC or last_delta < 0:
            return BatchScan(start, position, base_offset, next_offset, 0, True, False, expected)
        if base != expected and not has_gaps and (expected >= 0 or base > offset):
            return BatchScan(start, position, base_offset, next_offset, 0, True, False, expected)
        batch_end = position + length + LOG_OVERHEAD
        last_offset = base + last_delta
        if last_offset < offset:
            start = position = batch_end
            expected = last_offset + 1
            continue
        if last_offset >= end_offset or (
            batch_end - start > max_bytes and (position > start or not at_least_one)
        ):
            # Bounds are between batches: a batch that extends beyond the readable end has a damaged delta.
            is_corrupt = position == start and base < end_offset <= last_offset
            return BatchScan(
                start, position, base_offset, next_offset, 0, is_corrupt, not is_corrupt, expected
            )
        if batch_end > size:
            missing = length + LOG_OVERHEAD
            return BatchScan(start, position, base_offset, next_offset, missing, False, False, expected)
        if crc32c(view[position + _CRC_FROM : batch_end]) != crc or not first_epoch <= epoch <= last_epoch:
            return BatchScan(start, position, base_offset, next_offset, 0, True, False, expected)
        if position == start:
            base_offset = base
        expected = next_offset = last_offset + 1
        position = batch_end
    return BatchScan(start, position, base_offset, next_offset, 0, False, False, expected)


def iterate_batches(
    file: LazyFile, position: int, end: int, source: Source, *, chunk_bytes: int = SCAN_CHUNK_BYTES
) -> Iterator[tuple[int, Batch]]:
    """Position and batch, one after another from `position`; ends before the first that is no whole batch.

    Checks the form, not the CRC: a scan that must trust nothing checks it itself.
    """
    while position < end:
        wanted = min(chunk_bytes, end - position)
        data = source.read(file, position, wanted)
        chunk, used = memoryview(data), 0
        while size := _whole_size(data, used):
            batch = chunk[used : used + size]
            yield position + used, Batch(parse_header(batch), batch)
            used += size
        if not used:
            # Either the next batch is larger than a chunk, or there is none.
            chunk_bytes = _claimed_size(data, 0)
            if chunk_bytes <= len(data) or chunk_bytes > end - position or len(data) < wanted:
                return
        position += used


def ends_at(chunk: bytes | memoryview, last_offset: int) -> bool:
    """True if the chunk begins with a batch that has this last offset, by its header."""
    if len(chunk) < _BOUNDS_BYTES:
        return False
    base, length, _, magic, _, last_delta = _unpack_bounds(chunk, 0)
    return bool(base + last_delta == last_offset and magic == MAGIC and length >= LENGTH_MIN)


def read_base_offset(file: LazyFile, position: int, source: Source) -> int | None:
    """The base offset of the batch that begins at `position`; None when none begins there."""
    data = source.read(file, position, HEADER_BYTES)
    return int(_unpack_bounds(data, 0)[0]) if _claimed_size(data, 0) else None


def read_last_offset(file: LazyFile, position: int, source: Source) -> int | None:
    """The last offset of the batch that begins at `position`, by its header; None when none begins there."""
    data = source.read(file, position, HEADER_BYTES)
    if not _claimed_size(data, 0):
        return None
    base, *_, last_delta = _unpack_bounds(data, 0)
    return int(base) + int(last_delta)


def _whole_size(data: Buffer, position: int) -> int:
    """The size of the batch at `position`, 0 when the data does not hold all of one."""
    size = _claimed_size(data, position)
    return size if size <= len(data) - position else 0


def _claimed_size(data: Buffer, position: int) -> int:
    """The size the header at `position` gives, 0 when there is none or it makes no sense."""
    if len(data) - position < HEADER_BYTES:
        return 0
    _, length, _, magic, _, last_delta = _unpack_bounds(data, position)
    if length < LENGTH_MIN or magic != MAGIC or last_delta < 0:
        return 0
    return int(length) + LOG_OVERHEAD
