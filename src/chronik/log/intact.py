"""Iterates over intact batches, past damage between them.

CRCs leave out a batch's first 16 bytes (base offset, length, epoch), because the broker stamps them. So a
batch is intact when its CRC is right, it begins at the offset at which the one before it ended, and its epoch
is not below the one before. After a damaged batch the next intact one is searched for: at the end given by
the damaged one's own length, or else byte by byte.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from chronik.log.batch_scan import iterate_batches
from chronik.log.handle_cache import LazyFile
from chronik.log.source import Source
from chronik.records.batch import HEADER_BYTES, LENGTH_MIN, MAGIC, Batch, has_valid_crc, parse_header

# How much is looked through at a time for the next intact batch.
_SEARCH_BYTES = 1 << 20


class Intact(NamedTuple):
    """A batch as it was written."""

    position: int
    batch: Batch


class Damaged(NamedTuple):
    """Bytes that are no batch that belongs there; `next_offset` is None when nothing intact follows."""

    position: int
    end: int
    first_offset: int
    next_offset: int | None


class Bounds(NamedTuple):
    """Known limits of a stretch of batches before it is read."""

    # Where they are in the file.
    position: int
    end: int
    # The first batch's base offset; None when it is not known, and then that of the first one is believed.
    next_offset: int | None
    # All offsets are in [offset_min, offset_max): limits the values of a damaged base offset.
    offset_min: int
    offset_max: int
    # Epochs do not decrease, and none is above the known one.
    leader_epoch: int = -1
    leader_epoch_max: int = 2**31 - 1
    # Whether offsets may be missing between batches (compaction).
    has_gaps: bool = False


def iterate_intact(file: LazyFile, bounds: Bounds, source: Source) -> Iterator[Intact | Damaged]:
    """Yields all from `bounds.position` to `bounds.end`. Ends with a Damaged that has no next offset."""
    position, expected, epoch = bounds.position, bounds.next_offset, bounds.leader_epoch
    while position < bounds.end:
        for found, batch in iterate_batches(file, position, bounds.end, source):
            header = batch.header
            if not _belongs(batch, expected, epoch, bounds) or _has_damaged_epoch(
                file, found, batch, epoch, bounds, source
            ):
                break
            yield Intact(found, batch)
            position, expected, epoch = found + header.size, header.next_offset, header.leader_epoch
        if position >= bounds.end:
            return
        first = expected if expected is not None else bounds.offset_min
        resumed = _find_next(file, position, first, epoch, bounds, source)
        if resumed is None:
            yield Damaged(position, bounds.end, first, None)
            return
        next_position, next_offset = resumed
        yield Damaged(position, next_position, first, next_offset)
        position, expected = next_position, next_offset


def _belongs(batch: Batch, expected: int | None, epoch: int, bounds: Bounds) -> bool:
    header = batch.header
    if expected is not None and header.base_offset != expected:
        is_gap = bounds.has_gaps and header.base_offset > expected
        if not is_gap:
            return False
    is_possible = header.next_offset <= bounds.offset_max and header.leader_epoch <= bounds.leader_epoch_max
    return is_possible and epoch <= header.leader_epoch and has_valid_crc(batch)


def _has_damaged_epoch(
    file: LazyFile, position: int, batch: Batch, epoch: int, bounds: Bounds, source: Source
) -> bool:
    """A new epoch is believed unless the batch that follows is older, and intact."""
    header = batch.header
    if header.leader_epoch == epoch or epoch < 0:
        return False
    following = _batch_at(file, position + header.size, bounds.end, source)
    return (
        following is not None
        and following.header.base_offset == header.next_offset
        and epoch <= following.header.leader_epoch < header.leader_epoch
        and has_valid_crc(following)
    )


def _batch_at(file: LazyFile, position: int, end: int, source: Source) -> Batch | None:
    """The whole batch there; its CRC is not checked."""
    for found, batch in iterate_batches(file, position, end, source, chunk_bytes=HEADER_BYTES):
        return batch if found == position else None
    return None


def _find_next(
    file: LazyFile, position: int, first: int, epoch: int, bounds: Bounds, source: Source
) -> tuple[int, int] | None:
    """Position and base offset of the next intact batch behind what stands at `position`."""
    claimed = _claimed_end(file, position, bounds.end, source)
    if claimed is not None:
        following = _batch_at(file, claimed, bounds.end, source)
        if following is not None and _may_follow(following, first, epoch, bounds):
            return claimed, following.header.base_offset
    return _search(file, position + 1, first, epoch, bounds, source)


def _claimed_end(file: LazyFile, position: int, end: int, source: Source) -> int | None:
    data = source.read(file, position, min(HEADER_BYTES, end - position))
    if len(data) < HEADER_BYTES:
        return None
    header = parse_header(data)
    if header.magic != MAGIC or header.length < LENGTH_MIN or position + header.size > end:
        return None
    return position + header.size


def _may_follow(batch: Batch, first: int, epoch: int, bounds: Bounds) -> bool:
    header = batch.header
    return (
        first < header.base_offset
        and header.next_offset <= bounds.offset_max
        and epoch <= header.leader_epoch <= bounds.leader_epoch_max
        and has_valid_crc(batch)
    )


def _search(
    file: LazyFile, position: int, first: int, epoch: int, bounds: Bounds, source: Source
) -> tuple[int, int] | None:
    """Checks every byte; bytes that cannot start a valid offset are skipped at the speed of a regular
    expression.
    """
    pattern = _start_of_batch(first, bounds.offset_max)
    while position < bounds.end:
        data = bytes(source.read(file, position, min(_SEARCH_BYTES, bounds.end - position)))
        for match in pattern.finditer(data):
            batch = _batch_at(file, position + match.start(), bounds.end, source)
            if batch is not None and _may_follow(batch, first, epoch, bounds):
                return position + match.start(), batch.header.base_offset
        if len(data) <= HEADER_BYTES or position + len(data) >= bounds.end:
            return None
        # A header may begin in this piece and end in the next.
        position += len(data) - HEADER_BYTES
    return None


def _start_of_batch(first: int, offset_max: int) -> "re.Pattern[bytes]":
    """Matches, without consuming, where the upper half of an offset between the two is, and the magic."""
    low, high = first >> 32, min(offset_max, 2**63 - 1) >> 32
    halves = range(low, min(high, low + 2) + 1)
    starts = b"|".join(re.escape(half.to_bytes(4)) for half in halves)
    return re.compile(rb"(?s)(?=(?:" + starts + rb").{12}" + re.escape(bytes([MAGIC])) + rb")")
