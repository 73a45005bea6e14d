"""The disk as the log sees it. The server passes the real one; tests and the simulator pass one that can
crash.

Data is durable only after a sync that began after the write returns; a crash may lose any subset of unsynced
writes, tear the last one, and undo unsynced creates, renames and removes. Operating failures raise OSError.
"""

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Buffer = bytes | bytearray | memoryview
_Result = TypeVar("_Result")


class Syncable(Protocol):
    """An object that can be made durable: a file's content, or a directory's names (`DirectorySync`)."""

    def sync(self) -> None:
        """Blocks until everything written before is durable (fdatasync; F_FULLFSYNC where the platform
        needs it).
        """
        ...


class File(Syncable, Protocol):
    """One open file. Created by `Disk.open`; reads and writes block until the kernel has taken or given the
    bytes.

    A file without references closes itself, so that one removed in the middle of a sync needs no owner.
    """

    @property
    def path(self) -> str: ...

    def size(self) -> int:
        """Bytes in the file now."""
        ...

    def append(self, buffers: Sequence[Buffer]) -> None:
        """Writes all buffers, joined, at the end (one writev where the platform has it); all of it or
        OSError.

        After an error the end is unknown: the caller truncates to the size it knows, or stops.
        """
        ...

    def write_at(self, position: int, buffer: Buffer) -> None: ...

    def read_at(self, position: int, length: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""
        ...

    def read_cached(self, position: int, length: int) -> bytes | memoryview | None:
        """As `read_at`, but None when the bytes would have to come from the device (preadv2 RWF_NOWAIT)."""
        ...

    def truncate(self, size: int) -> None: ...

    def close(self) -> None: ...


class Disk(Protocol):
    """Files below one data directory; paths are relative to it, with `/`."""

    def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and writing. FileNotFoundError unless it exists or `create`."""
        ...

    def exists(self, path: str) -> bool: ...

    def list(self, directory: str) -> list[str]:
        """Names in a directory, sorted; empty when there is no such directory."""
        ...

    def make_directory(self, path: str) -> None:
        """Create it and its parents; nothing happens when it exists."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Atomic; replaces `target`."""
        ...

    def remove(self, path: str) -> None:
        """Remove one file. FileNotFoundError when it is not there."""
        ...

    def remove_tree(self, path: str) -> None:
        """Remove a directory and all in it; nothing happens when it is not there."""
        ...

    def sync_directory(self, path: str) -> None:
        """Make creates, renames and removes in this directory durable."""
        ...

    def free_bytes(self) -> int:
        """Bytes an unprivileged process may still write."""
        ...

    async def sync_many(self, files: Sequence[Syncable]) -> Mapping[Syncable, OSError]:
        """Sync all of them without blocking the loop; the failures by file, so empty when all is durable."""
        ...

    def begin_sync(
        self, files: Sequence[Syncable], on_done: Callable[[Mapping[Syncable, OSError]], None]
    ) -> None:
        """Begin what `sync_many` does. `on_done` is called with its result in a later turn of the loop."""
        ...

    async def run_blocking(self, work: Callable[[], _Result]) -> _Result:
        """Runs work that waits for the device (a cold read, removals) without blocking the loop.

        Everything but syncs of many and this may be called from inside `work`.
        """
        ...


@dataclass(frozen=True, slots=True)
class DirectorySync:
    """A directory's names as something to sync, besides the files in it. Equal for one directory: many
    logs request the parent they share, and a round syncs it once.
    """

    _disk: Disk
    _path: str

    def __eq__(self, other: object) -> bool:
        """True for the same directory: all logs of a node are in one, which a round syncs once."""
        return isinstance(other, DirectorySync) and self._path == other._path and self._disk is other._disk

    def __hash__(self) -> int:
        return hash(self._path)

    def sync(self) -> None:
        self._disk.sync_directory(self._path)


def is_out_of_space(error: OSError) -> bool:
    """True if there may be room later: the disk is full, or a quota or limit on sizes is reached."""
    return error.errno in _OUT_OF_SPACE


def write_atomically(disk: Disk, path: str, content: bytes) -> None:
    """Replace a small file so that a crash leaves the old content or the new, and the new once this
    returns.
    """
    temporary = path + ".tmp"
    if disk.exists(temporary):
        disk.remove(temporary)
    file = disk.open(temporary, create=True)
    try:
        file.append([content])
        file.sync()
    finally:
        file.close()
    disk.rename(temporary, path)
    disk.sync_directory(path.rpartition("/")[0])
