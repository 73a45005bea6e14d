"""Reads: whole batches between two offsets, as bytes.

A read is tried on the event loop with what the kernel has in memory; when it would wait for the device, it
becomes a `ColdRead`, to be loaded in a worker thread.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chronik.log.segment import Segment
from chronik.log.source import PrivateSource, Source
from chronik.log.walk import Walk, walk
from chronik.records.batch import HEADER_BYTES, Batch, split_batches
from chronik.vocab.errors import ErrorCode, KafkaError

# Read more than was asked for by so much when the position of the first batch is not known exactly: the
# distance between two index entries at Kafka's default interval, and a usual batch.
_SEEK_BYTES = 4096 + 16384


class CorruptBatch(KafkaError):
    """A batch on disk is not what was written. The client gets CORRUPT_MESSAGE; the log line names the
    place.
    """

    def __init__(self, path: str, position: int, offset: int) -> None:
        message = f"corrupt batch at offset {offset}: {path} position {position}"
        super().__init__(ErrorCode.CORRUPT_MESSAGE, message)
        self.path = path
        self.position = position
        self.offset = offset


class LogSlice(NamedTuple):
    """Whole batches, in order. Empty (no buffers) when there is nothing to read between the bounds."""

    # Of the first batch: at most the offset that was asked for, which may be inside it.
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


class ReadRequest(NamedTuple):
    """What a read was asked for."""

    offset: int
    max_bytes: int
    # Exclusive: the high watermark or the last stable offset.
    end_offset: int
    at_least_one: bool


class ColdRead:
    """A read that must wait for the device. Made by `PartitionLog.read`; `load` runs in any thread, once.

    It holds no open files, so the log may roll, delete segments and close meanwhile.
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
            place = Place(segment, 0, True)
        place = reader.read(place)
        if reader.is_complete:
            break
    return reader.result(), place


def _find(segment: Segment, offset: int, source: Source) -> Place:
    return Place(segment, segment.position_before(offset, source), False)


class _Reader:
    """Collects one read's buffers over segments."""

    def __init__(self, request: ReadRequest, source: Source) -> None:
        self._source = source
        self._end_offset = request.end_offset
        self._left = request.max_bytes
        self._at_least_one = request.at_least_one
        self._next_offset = request.offset
        self._base_offset = request.offset
        self._buffers: list[bytes | memoryview] = []
        self.is_complete = request.offset >= request.end_offset

    def result(self) -> LogSlice:
        size = sum(map(len, self._buffers))
        return LogSlice(self._base_offset, self._next_offset, self._buffers, size)

    def read(self, place: Place) -> Place:
        """Read on from `place` to the end of its segment, or of the request; where that is."""
        segment, position, is_exact = place
        # Never nothing: only a file that ends too early answers with no bytes, and that is damage.
        wanted = max(self._left, HEADER_BYTES) + (0 if is_exact else _SEEK_BYTES)
        while not self.is_complete and position < segment.size:
            length = min(wanted, segment.size - position)
            chunk = self._source.read(segment.log, position, length)
            found = self._walk(chunk)
            position += found.end
            is_cut = not found.end and 0 < found.missing <= length
            is_torn = found.missing > segment.size - position
            if found.is_corrupt or is_cut or is_torn or not chunk:
                self._on_damage(segment, position)
            # A batch that the chunk holds only the start of is read again, whole.
            wanted = max(found.missing, self._left, HEADER_BYTES)
        return Place(segment, position, True)

    def _walk(self, chunk: bytes | memoryview) -> Walk:
        at_least_one = self._at_least_one and not self._buffers
        found = walk(chunk, self._next_offset, self._end_offset, self._left, at_least_one=at_least_one)
        if found.end > found.start:
            self._take(chunk, found)
        self.is_complete = found.is_complete or (bool(self._buffers) and self._left < HEADER_BYTES)
        return found

    def _take(self, chunk: bytes | memoryview, found: Walk) -> None:
        if not self._buffers:
            self._base_offset = found.base_offset
        self._next_offset = found.next_offset
        size = found.end - found.start
        self._buffers.append(chunk if size == len(chunk) else memoryview(chunk)[found.start : found.end])
        self._left -= size

    def _on_damage(self, segment: Segment, position: int) -> None:
        if not self._buffers:
            raise CorruptBatch(segment.log.path, position, self._next_offset)
        self.is_complete = True
