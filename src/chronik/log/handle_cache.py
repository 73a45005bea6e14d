"""Open files with a bound. A node has many more segments than a process may have descriptors.

Every file of a log is a `LazyFile`: opened when first used, closed by the cache when it was not used for
long. A file with unsynced writes is pinned, because its descriptor is about to be synced: it stays open
longer than others. When all are pinned, the oldest is let go of all the same. A sync that runs holds its own
reference to the open file; one that comes later opens the file again, which syncs what any descriptor wrote.
"""

import errno
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

from chronik.log.disk import Disk, File, Syncable

# Half of the 1024 descriptors that Linux gives a process by default; connections need the rest. A node that
# raised its limit passes a larger one.
OPEN_FILES_MAX = 512

# How many files an addition looks at for one that is not pinned.
_EVICTION_STEPS_MAX = 8

# Handles closed at once when the process has no descriptor left.
_SHED = 64

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)

T = TypeVar("T")


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
        if len(self._open) >= self._limit:
            next(iter(self._open)).let_go()
        self._open[file] = None

    def make_room_for(self, work: Callable[[], T]) -> T:
        """Does `work`, which opens a file, once more where others have used up the process's descriptors and
        some of these are given back. It begins from the start then.
        """
        try:
            return work()
        except OSError as error:
            if error.errno not in _OUT_OF_DESCRIPTORS:
                raise
            for file in list(islice(self._open, _SHED)):
                file.let_go()
            return work()

    def forget(self, file: "LazyFile") -> None:
        self._open.pop(file, None)

    def _step_eviction(self) -> None:
        oldest = next(iter(self._open))
        if oldest.is_pinned:
            self._open.move_to_end(oldest)
        else:
            oldest.let_go()


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
        file = self._file = self._handles.make_room_for(lambda: self._disk.open(self.path, create=create))
        self._handles.add(self)
        return file

    def to_sync(self) -> Syncable:
        """Returns the object to sync: the open file, or this one, which then opens for the duration."""
        return self if self._file is None else self._file

    def sync(self) -> None:
        """Makes writes of any handle durable. Blocks; in any thread."""
        try:
            file = self._disk.open(self.path)
        except FileNotFoundError:
            if self.is_abandoned:
                return
            raise
        try:
            file.sync()
        finally:
            file.close()

    def let_go(self) -> None:
        """Give up the handle, which closes itself when nothing uses it. A sync may, in a thread, also of a
        file that is not pinned any more: a truncation that is durable unpins what the running round has.
        """
        self._file = None
        self._handles.forget(self)

    def open_private(self) -> File:
        """Opens a handle of its own for a worker thread, which closes it; the shared one may be evicted at
        any time.
        """
        return self._disk.open(self.path)

    def close(self) -> None:
        """Close the handle if it is open; the next use opens it again. For who knows that no sync has it."""
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
        self.let_go()

    def remove(self) -> None:
        """Remove the file, if it is there."""
        exists = self.exists()
        self.abandon()
        if exists:
            self._disk.remove(self.path)
