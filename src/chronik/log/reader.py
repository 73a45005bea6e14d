"""Warm reads of one log, and the positions of its sequential readers.

A consumer requests the offset at which its last read ended. That position in the file is remembered, so that
such a read neither searches an index nor steps over batches.
"""

from collections.abc import Sequence

from chronik.log.config import LogConfig
from chronik.log.reading import ColdRead, LogSlice, Place, ReadRequest, read_slice
from chronik.log.segment import Segment
from chronik.log.source import CACHED, NotCached

# Readers whose position is remembered; a log with more of them at different positions searches its index for
# the others, which costs microseconds.
PLACES_MAX = 16


class LogReader:
    """Owned by the PartitionLog; used on its event loop."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        # By the offset of the batch there, or that will be there; the oldest first.
        self._places: dict[int, Place] = {}

    def read(
        self, segments: Sequence[Segment], first: int, request: ReadRequest, config: LogConfig
    ) -> LogSlice | ColdRead:
        """Reads data in memory; `segments[first]` holds the offset. Returns a ColdRead where the device is
        needed.
        """
        readable = _load(segments, first, request.max_bytes, config)
        start = self._places.get(request.offset)
        if start is not None and start.segment is not readable[0]:
            start = None
        try:
            found, place = read_slice(readable, request, start, CACHED)
        except NotCached:
            return ColdRead(readable, request, start)
        self.remember(found.end_offset, place)
        return found

    def remember(self, offset: int, place: Place) -> None:
        """The batch of `offset` starts, or will start, at `place`."""
        places = self._places
        if offset not in places and len(places) >= PLACES_MAX:
            del places[next(iter(places))]
        places[offset] = place

    def forget(self) -> None:
        """Segments are gone or were cut."""
        self._places.clear()


def _load(segments: Sequence[Segment], first: int, max_bytes: int, config: LogConfig) -> list[Segment]:
    """The segment at `first` and as many after it as may be read, loaded."""
    found: list[Segment] = []
    after_first = 0
    for number in range(first, len(segments)):
        segment = segments[number]
        segment.load(config)
        if found:
            after_first += segment.size
        found.append(segment)
        if after_first >= max_bytes:
            break
    return found
