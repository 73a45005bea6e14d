"""Reads: whole batches between two offsets, as bytes.

A read is tried on the event loop with the data in the page cache; when it would wait for the device, it
becomes a `ColdRead`, to be loaded in a worker thread.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chronik.log.batch_scan import (
    ANY_EPOCH,
    SEEK_CHUNK_BYTES,
    UNKNOWN,
    BatchScan,
    Epochs,
    ends_at,
    scan_batches,
)
from chronik.log.damage import Damage, DamageKind
from chronik.log.intact import Intact, iterate_intact
from chronik.log.segment import Segment
from chronik.log.source import CACHED, NotCached, PrivateSource, Source
from chronik.records.batch import HEADER_BYTES, Batch, split_batches
from chronik.vocab.errors import ErrorCode, KafkaError


class CorruptBatch(KafkaError):
    """Records on disk are damaged or missing. The client gets CORRUPT_MESSAGE; the log line names the
    place.
    """

    def __init__(self, damage: Damage, offset: int) -> None:
        place = f"{damage.path} position {damage.position}"
        message = f"{damage.kind.value} at offset {offset}: {place}"
        super().__init__(ErrorCode.CORRUPT_MESSAGE, message)
        self.damage = damage
        self.offset = offset


class LogSlice(NamedTuple):
    """Whole batches, in order. Empty (no buffers) when there is nothing to read between the bounds."""

    # Of the first batch: at most the requested offset, which may be inside the batch.
    base_offset: int
    # Where the next read goes on.
    end_offset: int
    buffers: list[bytes | memoryview]
    size: int

    def batches(self) -> Iterator[Batch]:
        """One batch after another, as views into the buffers."""
        for buffer in self.buffers:
            yield from split_batches(buffer)


class Place(NamedTuple):
    """A batch's start: the segment and the position in its file."""

    segment: Segment
    position: int
    # False when the batch starts at or shortly after the position.
    is_exact: bool
    # The base offset of the batch that is at the position; UNKNOWN where an index led.
    expected_offset: int = UNKNOWN
    # Where an index led: the batch's last offset, by which the entry is believed.
    last_offset: int = UNKNOWN


class ReadRequest(NamedTuple):
    """The parameters of a read."""

    offset: int
    max_bytes: int
    # Exclusive: the high watermark or the last stable offset.
    end_offset: int
    at_least_one: bool
    # Those of the log from the offset on.
    epochs: Epochs = ANY_EPOCH
    # Offsets may be missing between batches.
    has_gaps: bool = False


class ColdRead:
    """A read that must wait for the device. Created by `PartitionLog.read`; `load` runs in any thread, once.

    It holds no open files, so the log may roll, delete segments and close in the meantime.
    """

    __slots__ = ("_request", "_segments", "_start")

    def __init__(self, segments: Sequence[Segment], request: ReadRequest, start: Place | None) -> None:
        self._segments = segments
        self._request = request
        self._start = start

    def load(self) -> LogSlice:
        """Blocks. Raises CorruptBatch, OSError, and KafkaError OFFSET_OUT_OF_RANGE when retention was
        faster.
        """
        try:
            with PrivateSource() as source:
                return read_slice(self._segments, self._request, self._start, source)[0]
        except FileNotFoundError as error:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, "the segment was deleted") from error


def read_slice(
    segments: Sequence[Segment], request: ReadRequest, start: Place | None, source: Source
) -> tuple[LogSlice, Place]:
    """Read from `segments`, of which the first holds the offset; also where a sequential read goes on.

    `start` is where the first batch is, if that is known. Raises what `source` does, and CorruptBatch when
    the first batch is damaged; before a later one the read ends.
    """
    reader = _Reader(request, source)
    place = start if start is not None else _find(segments[0], request.offset, source)
    for segment in segments:
        if segment is not place.segment:
            reader.step_over_to(segment, place.segment)
            if reader.is_complete:
                break
            place = Place(segment, 0, True, segment.base_offset)
        place = reader.read(place)
        if reader.is_complete:
            break
    reader.finish(segments)
    return reader.result(), place


def _find(segment: Segment, offset: int, source: Source) -> Place:
    entry = segment.offsets.floor(offset - segment.base_offset, source)
    if entry is None:
        return Place(segment, 0, False, segment.base_offset)
    return Place(segment, entry[1], False, UNKNOWN, segment.base_offset + entry[0])


class _Reader:
    """Collects one read's buffers over segments."""

    def __init__(self, request: ReadRequest, source: Source) -> None:
        self._source = source
        self._request = request
        self._left = request.max_bytes
        self._next_offset = request.offset
        self._base_offset = request.offset
        self._buffers: list[bytes | memoryview] = []
        self.is_complete = request.offset >= request.end_offset

    def result(self) -> LogSlice:
        size = sum(map(len, self._buffers))
        return LogSlice(self._base_offset, self._next_offset, self._buffers, size)

    def read(self, place: Place) -> Place:
        """Read on from `place` to the end of its segment, or of the request; where that is."""
        segment, position, is_exact, expected, last_offset = place
        resumed_at = -1
        # Never nothing: only a file that ends too early answers with no bytes, and that is damage.
        wanted = max(self._left, HEADER_BYTES) + (0 if is_exact else SEEK_CHUNK_BYTES)
        while not self.is_complete and (position < segment.size or last_offset != UNKNOWN):
            length = min(wanted, segment.size - position)
            chunk = self._source.read(segment.log, position, length) if position >= 0 < length else b""
            if last_offset != UNKNOWN:
                if not ends_at(chunk, last_offset):
                    # It reports damage of the index, and finds an entry that matches the log.
                    position = segment.position_before(self._next_offset, self._source)
                    expected, last_offset = UNKNOWN if position else segment.base_offset, UNKNOWN
                    continue
                last_offset = UNKNOWN
            found = self._scan(chunk, expected)
            position += found.end
            expected = found.expected_offset
            is_cut = not found.end and 0 < found.missing <= length
            is_torn = found.missing > segment.size - position
            if found.is_corrupt or is_cut or is_torn or not chunk:
                position, expected = self._on_damage(segment, position, resumed_at)
                resumed_at = position
            # A batch that the chunk holds only the start of is read again, whole.
            wanted = max(found.missing, self._left, HEADER_BYTES)
        return Place(segment, position, True, expected)

    def _scan(self, chunk: bytes | memoryview, expected_offset: int) -> BatchScan:
        request = self._request
        found = scan_batches(
            chunk,
            self._next_offset,
            request.end_offset,
            self._left,
            at_least_one=request.at_least_one and not self._buffers,
            expected_offset=expected_offset,
            epochs=request.epochs,
            has_gaps=request.has_gaps,
        )
        if found.end > found.start:
            self._take(chunk, found)
        self.is_complete = found.is_complete or (bool(self._buffers) and self._left < HEADER_BYTES)
        return found

    def _take(self, chunk: bytes | memoryview, found: BatchScan) -> None:
        if not self._buffers:
            self._base_offset = found.base_offset
        self._next_offset = found.next_offset
        size = found.end - found.start
        self._buffers.append(chunk if size == len(chunk) else memoryview(chunk)[found.start : found.end])
        self._left -= size

    # Damage. A read of several batches ends before it; the next read begins with it.

    def _on_damage(self, segment: Segment, position: int, resumed_at: int) -> tuple[int, int]:
        """Returns where to read on, and the base offset there: the damage may be before the requested
        offset.
        """
        if self._buffers:
            self.is_complete = True
            return position, UNKNOWN
        if self._source is CACHED:
            # The search for intact batches takes a while.
            raise NotCached
        if position == resumed_at:
            offset = self._next_offset
            raise CorruptBatch(
                Damage(DamageKind.CORRUPT_BATCH, segment.log.path, position, offset, offset + 1), offset
            )
        return self._find_intact(segment)

    def _find_intact(self, segment: Segment) -> tuple[int, int]:
        """The batch that holds the offset. Raises CorruptBatch when that is the damaged one."""
        offset, source = self._next_offset, self._source
        start = segment.position_before(offset, source)
        bounds = segment.bounds(start, source)._replace(
            leader_epoch_max=self._request.epochs.last, has_gaps=self._request.has_gaps
        )
        end_offset = bounds.offset_min
        for found in iterate_intact(segment.log, bounds, source):
            if isinstance(found, Intact):
                header = found.batch.header
                end_offset = header.next_offset
                if offset < end_offset:
                    self.is_complete = end_offset > self._request.end_offset
                    return found.position, header.base_offset
            elif found.next_offset is None or offset < found.next_offset:
                raise CorruptBatch(segment.report(found), offset)
        raise CorruptBatch(segment.report_cut(end_offset, segment.end_offset or offset + 1), offset)

    def step_over_to(self, following: Segment, previous: Segment) -> None:
        """Read on in the segment behind `previous`, if it is the next one."""
        offset = self._next_offset
        if following.base_offset <= offset or self._request.has_gaps:
            return
        self.is_complete = bool(self._buffers)
        if self.is_complete:
            return
        end_offset = previous.end_offset
        if end_offset is not None and offset < end_offset:
            if self._source is CACHED:
                raise NotCached
            self._find_intact(previous)
        raise CorruptBatch(previous.report_missing(following.base_offset), offset)

    def finish(self, segments: Sequence[Segment]) -> None:
        """A read below the end that found nothing has met damage, wherever that is."""
        if self.is_complete or self._buffers or not self._request.at_least_one:
            return
        if self._source is CACHED:
            raise NotCached
        last = segments[-1]
        raise CorruptBatch(
            last.report_cut(self._next_offset, last.end_offset or self._next_offset + 1), self._next_offset
        )
