"""The durable part of a log, and the files that the next sync must cover.

The caller syncs in rounds, one at a time per log: `begin` returns the files, `end` reports that they are
durable.
"""

from collections.abc import Sequence
from typing import NamedTuple

from chronik.log.disk import Syncable
from chronik.log.handle_cache import LazyFile
from chronik.log.segment import Segment


class _Round(NamedTuple):
    """The part of the pending syncs that a round covers."""

    end_offset: int
    names: int
    files: int
    segments: int


class SyncState:
    """Owned by the PartitionLog; knows files, not their content."""

    __slots__ = ("_files", "_names", "_round", "_segments", "synced_offset")

    def __init__(self, synced_offset: int) -> None:
        # Invariant: every batch below is durable, with the names of the files it is in.
        self.synced_offset = synced_offset
        # Directories with new names, files other than the active segment's, and closed segments: not yet
        # synced.
        self._names: list[Syncable] = []
        self._files: list[LazyFile] = []
        self._segments: list[Segment] = []
        # Not None from `begin` to `end`; stays when a round fails, and the next `begin` replaces it.
        self._round: _Round | None = None

    def add_names(self, directories: Sequence[Syncable]) -> None:
        self._names += directories

    def add_files(self, files: Sequence[LazyFile]) -> None:
        self._files += files

    def add_rolled(self, segment: Segment) -> None:
        self._segments.append(segment)

    @property
    def is_waiting(self) -> bool:
        """True if anything but the active segment waits for a sync; names alone do not."""
        return bool(self._files or self._segments)

    def first_waiting(self, active: Segment) -> Segment:
        """The first segment that waits, or the active one."""
        return self._segments[0] if self._segments else active

    def begin(self, active: Segment, end_offset: int) -> list[Syncable]:
        """Returns the files of a round that makes everything below `end_offset` durable.

        Directory entries are synced only together with file contents; losing an empty log's directory loses
        nothing.
        """
        files: list[Syncable] = [active.log.to_sync()] if active.log.is_pinned else []
        if self._segments:
            files += [segment.log.to_sync() for segment in self._segments]
        if self._files:
            files += [file.to_sync() for file in self._files if not file.is_abandoned]
        names = self._names if files else []
        self._round = _Round(end_offset, len(names), len(self._files), len(self._segments))
        return [*files, *names] if names else files

    def end(self, active: Segment, end_offset: int) -> bool:
        """The round succeeded, and the log ends at `end_offset` now; whether it covered closed segments."""
        done, self._round = self._round, None
        if done is None:
            return False
        self.synced_offset = max(self.synced_offset, done.end_offset)
        if self.synced_offset == end_offset:
            active.log.is_pinned = False
        if not (done.names or done.files or done.segments):
            return False
        for segment in self._segments[: done.segments]:
            segment.unpin()
        for file in self._files[: done.files]:
            file.is_pinned = False
            file.close()
        del self._names[: done.names], self._files[: done.files], self._segments[: done.segments]
        return done.segments > 0

    def truncate(self, active: Segment, end_offset: int) -> None:
        """The log was cut at `end_offset`, inside the present active segment, and the cut is durable."""
        self.synced_offset = min(self.synced_offset, end_offset)
        waiting = [s for s in self._segments if not s.log.is_abandoned and s is not active]
        if self._round is not None:
            # Segments covered by a running round are cut, too.
            covered = self._segments[: self._round.segments]
            self._round = self._round._replace(
                end_offset=min(self._round.end_offset, end_offset),
                segments=sum(segment in waiting for segment in covered),
            )
        self._segments = waiting
