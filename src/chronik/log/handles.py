"""Open files with a bound. A node has many more segments than a process may have descriptors.

Every file of a log is a `LazyFile`: opened when first used, closed by the cache when it was not used for
long. A file with unsynced writes is pinned, because its descriptor is about to be synced.
"""

from collections import OrderedDict

from chronik.log.disk import Disk, File

# Half of the 1024 descriptors that Linux gives a process by default; connections need the rest. A node that
# raised its limit passes a larger one.
OPEN_FILES_MAX = 512

# How many files an addition looks at to get below the limit. While all of them are pinned the cache grows;
# more than one, so that it shrinks again afterwards.
_EVICTION_STEPS_MAX = 8


class HandleCache:
    """The files held open for all logs of a node, the least recently used first."""

    __slots__ = ("_limit", "_open")

    def __init__(self, limit: int = OPEN_FILES_MAX) -> None:
        self._limit = limit
        self._open: OrderedDict[LazyFile, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def touch(self, file: "LazyFile") -> None:
        self._open.move_to_end(file)

    def add(self, file: "LazyFile") -> None:
        steps = _EVICTION_STEPS_MAX
        # Others go: it is about to be used.
        while len(self._open) >= self._limit and steps:
            self._step_eviction()
            steps -= 1
        self._open[file] = None

    def forget(self, file: "LazyFile") -> None:
        self._open.pop(file, None)

    def _step_eviction(self) -> None:
        oldest = next(iter(self._open))
        if oldest.is_pinned:
            self._open.move_to_end(oldest)
        else:
            oldest.close()


class LazyFile:
    """One file of a log, open or not. Lives as long as the segment it belongs to."""

    __slots__ = ("_disk", "_file", "_handles", "is_abandoned", "is_pinned", "path")

    def __init__(self, disk: Disk, handles: HandleCache, path: str) -> None:
        self._disk = disk
        self._handles = handles
        self._file: File | None = None
        self.path = path
        # Set from the first unsynced write until a sync has covered it.
        self.is_pinned = False
        # Removed or about to be: not part of the log any more.
        self.is_abandoned = False

    def open(self, *, create: bool = False) -> File:
        """The open file. FileNotFoundError unless it exists or `create`."""
        file = self._file
        if file is not None:
            self._handles.touch(self)
            return file
        file = self._file = self._disk.open(self.path, create=create)
        self._handles.add(self)
        return file

    def open_private(self) -> File:
        """A handle of its own for a worker thread, which closes it; the shared one may be evicted
        meanwhile.
        """
        return self._disk.open(self.path)

    def close(self) -> None:
        """Close the handle if it is open; the next use opens it again."""
        file, self._file = self._file, None
        if file is not None:
            self._handles.forget(self)
            file.close()

    def exists(self) -> bool:
        return self._file is not None or self._disk.exists(self.path)

    def abandon(self) -> None:
        """Let go of the handle. A pinned one is not closed, as a sync may be using it: it closes itself
        later.
        """
        self.is_abandoned = True
        if not self.is_pinned:
            self.close()
            return
        self._file = None
        self._handles.forget(self)

    def remove(self) -> None:
        """Remove the file, if it is there."""
        exists = self.exists()
        self.abandon()
        if exists:
            self._disk.remove(self.path)
