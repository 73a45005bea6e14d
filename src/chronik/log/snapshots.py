"""The producer snapshots of one log: written at each roll and clean close, read by recovery and truncation.

A log without producers has none. Once a log has one, every later roll and close writes one too, even an
empty one: so no snapshot at or before an offset means that there were no producers then.
"""

from bisect import bisect_left, bisect_right

from chronik.log.config import LogConfig
from chronik.log.handle_cache import LazyFile
from chronik.log.log_directory import LogDirectory
from chronik.log.names import SNAPSHOT, offset_name, parse_offset
from chronik.log.producer_snapshot import format_snapshot, parse_snapshot
from chronik.log.producer_state import ProducerState, apply_to_producer_state
from chronik.log.segment import Segment
from chronik.log.source import BLOCKING


class Snapshots:
    """Knows which snapshots exist. Owned by the PartitionLog."""

    __slots__ = ("_directory", "_offsets")

    def __init__(self, directory: LogDirectory, names: list[str]) -> None:
        self._directory = directory
        offsets = (parse_offset(name, SNAPSHOT) for name in names)
        self._offsets = sorted(offset for offset in offsets if offset is not None)

    @property
    def latest(self) -> int | None:
        return self._offsets[-1] if self._offsets else None

    def write(self, offset: int, state: ProducerState) -> LazyFile | None:
        """Write the state before `offset`; the file to sync, or None when there is nothing to write."""
        if not self._offsets and not len(state):
            return None
        if self.latest == offset:
            return None
        file = self._directory.file(offset_name(offset, SNAPSHOT))
        file.is_pinned = True
        handle = file.open(create=True)
        handle.truncate(0)
        handle.append([format_snapshot(state)])
        self._offsets.append(offset)
        return file

    def load(self, end_offset: int) -> tuple[int, ProducerState] | None:
        """The newest whole snapshot at or before `end_offset`; damaged ones are removed on the way."""
        for offset in reversed(self._offsets[: bisect_right(self._offsets, end_offset)]):
            content = self._directory.read(offset_name(offset, SNAPSHOT))
            state = None if content is None else parse_snapshot(content)
            if state is not None:
                return offset, state
            self._remove([offset])
        return None

    def has_any(self, end_offset: int) -> bool:
        return bool(self._offsets) and self._offsets[0] <= end_offset

    def remove_after(self, offset: int) -> None:
        """Drops the snapshots of a log that now ends at `offset`."""
        self._remove(self._offsets[bisect_right(self._offsets, offset) :])

    def forget_before(self, offset: int) -> list[str]:
        """The paths of those before `offset` but the newest, for the caller to remove: they are not used
        any more.
        """
        count = min(bisect_left(self._offsets, offset), max(len(self._offsets) - 1, 0))
        paths = [self._directory.join(offset_name(old, SNAPSHOT)) for old in self._offsets[:count]]
        del self._offsets[:count]
        return paths

    def _remove(self, offsets: list[int]) -> None:
        for offset in offsets:
            self._directory.file(offset_name(offset, SNAPSHOT)).remove()
            self._offsets.remove(offset)


def replay_producers(
    segments: list[Segment], snapshots: Snapshots, end_offset: int, config: LogConfig
) -> ProducerState:
    """The producers before `end_offset`: the newest snapshot at or before it, and the batches since."""
    had_any = snapshots.has_any(end_offset)
    loaded = snapshots.load(end_offset)
    bases = [segment.base_offset for segment in segments]
    if loaded is not None:
        start, state = loaded
    else:
        # No snapshot means no producers before the segment; damaged ones mean that the whole log must be
        # read.
        state = ProducerState()
        start = bases[0] if had_any else bases[max(bisect_right(bases, end_offset) - 1, 0)]
    for segment in segments[max(bisect_right(bases, start) - 1, 0) :]:
        if segment.base_offset >= end_offset:
            break
        segment.load(config)
        for _, batch in segment.batches(segment.position_before(start, BLOCKING), BLOCKING):
            if start <= batch.header.base_offset < end_offset:
                apply_to_producer_state(state, batch, batch.header.base_offset)
    return state
