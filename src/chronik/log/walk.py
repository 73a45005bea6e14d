"""Walking batch headers: through a chunk of bytes for a read, through a whole file for a scan.

The walk is the hot loop of every fetch, so it unpacks only the five fields it needs and builds no header
objects.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from crc32c import crc32c

from chronik.log.handles import LazyFile
from chronik.log.source import Source
from chronik.records.batch import HEADER_BYTES, LENGTH_MIN, LOG_OVERHEAD, MAGIC, Batch, Buffer, parse_header

# Base offset, length, (leader epoch), magic, crc, (attributes), last offset delta.
_unpack_bounds = struct.Struct(">qi4xbI2xi").unpack_from
_BOUNDS_BYTES = 27
_CRC_FROM = 21

# One read of a scan; also the least, so that a scan costs few system calls.
SCAN_CHUNK_BYTES = 1 << 20


class Walk(NamedTuple):
    """Which whole batches of a chunk answer a read, and why the walk ended."""

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


def walk(
    chunk: bytes | memoryview, offset: int, end_offset: int, max_bytes: int, *, at_least_one: bool
) -> Walk:
    """From the batch that holds `offset` on, those that end by `end_offset` and fit `max_bytes` (but at
    least one).

    Every batch returned has a valid CRC; batches before `offset` are stepped over unchecked.
    """
    view = memoryview(chunk)
    size = len(chunk)
    start = position = 0
    base_offset = next_offset = offset
    while position < size:
        if size - position < _BOUNDS_BYTES:
            return Walk(start, position, base_offset, next_offset, HEADER_BYTES, False, False)
        base, length, magic, crc, last_delta = _unpack_bounds(chunk, position)
        if length < LENGTH_MIN or magic != MAGIC or last_delta < 0:
            return Walk(start, position, base_offset, next_offset, 0, True, False)
        batch_end = position + length + LOG_OVERHEAD
        last_offset = base + last_delta
        if last_offset < offset:
            start = position = batch_end
            continue
        if last_offset >= end_offset or (
            batch_end - start > max_bytes and (position > start or not at_least_one)
        ):
            return Walk(start, position, base_offset, next_offset, 0, False, True)
        if batch_end > size:
            return Walk(start, position, base_offset, next_offset, length + LOG_OVERHEAD, False, False)
        if crc32c(view[position + _CRC_FROM : batch_end]) != crc:
            return Walk(start, position, base_offset, next_offset, 0, True, False)
        if position == start:
            base_offset = base
        next_offset = last_offset + 1
        position = batch_end
    return Walk(start, position, base_offset, next_offset, 0, False, False)


def iterate_batches(
    file: LazyFile, position: int, end: int, source: Source, *, chunk_bytes: int = SCAN_CHUNK_BYTES
) -> Iterator[tuple[int, Batch]]:
    """Position and batch, one after another from `position`; ends before the first that is no whole batch.

    Checks the form, not the CRC: a scan that must trust nothing checks it itself.
    """
    while position < end:
        data = source.read(file, position, min(chunk_bytes, end - position))
        chunk, used = memoryview(data), 0
        while size := _whole_size(data, used):
            batch = chunk[used : used + size]
            yield position + used, Batch(parse_header(batch), batch)
            used += size
        if not used:
            # Either the next batch is larger than a chunk, or there is none.
            chunk_bytes = _claimed_size(data, 0)
            if chunk_bytes <= len(data) or chunk_bytes > end - position:
                return
        position += used


def _whole_size(data: Buffer, position: int) -> int:
    """The size of the batch at `position`, 0 when the data does not hold all of one."""
    size = _claimed_size(data, position)
    return size if size <= len(data) - position else 0


def _claimed_size(data: Buffer, position: int) -> int:
    """The size the header at `position` gives, 0 when there is none or it makes no sense."""
    if len(data) - position < HEADER_BYTES:
        return 0
    _, length, magic, _, last_delta = _unpack_bounds(data, position)
    if length < LENGTH_MIN or magic != MAGIC or last_delta < 0:
        return 0
    return int(length) + LOG_OVERHEAD
