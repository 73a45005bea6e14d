"""The real disk: files below one data directory.

Implements `log.disk`. Everything blocks but `sync_many`, which uses a few threads of its own: a sync waits
for the device, and several in flight let the file system commit them together. Created and closed by the
node.
"""

import asyncio
import errno
import fcntl
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from chronik.log.disk import Buffer, File, Syncable
from chronik.node.partition_directories import METADATA_DIRECTORY
from chronik.server.descriptors import OUT_OF_DESCRIPTORS, SpareDescriptors
from chronik.server.disk_trouble import DiskTroubles, Trouble
from chronik.server.reserve import PIECE_BYTES, Reserve
from chronik.server.sync_threads import SyncThreads

_Result = TypeVar("_Result")

# Threads for syncs: more do not help a device that merges them, and each costs stack.
SYNC_THREADS = 4

# Threads for cold reads and removals, apart so that neither delays a sync.
READ_THREADS = 2

# The kernel's limit for one writev (IOV_MAX is 1024 on Linux and macOS).
_BUFFERS_PER_WRITE_MAX = 1024

_FULL = (errno.ENOSPC, errno.EDQUOT)
# The metadata, by which topics are deleted, and the terms and markers that go with its records
# (`raft.state_store.STATE_FILE`).
_RESERVED_FOR = (f"{METADATA_DIRECTORY}/", "raft-state")

_IS_MACOS = sys.platform == "darwin"
_HAS_CACHED_READS = hasattr(os, "RWF_NOWAIT")
_CACHED_READ_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class RealFile:
    """One open file; see `log.disk.File`. Reads and appends may come from different threads, appends from
    one.
    """

    __slots__ = ("_descriptor", "_path", "_reserve", "_size", "_troubles")

    def __init__(
        self, path: str, descriptor: int, troubles: DiskTroubles, reserve: Reserve | None = None
    ) -> None:
        self._path = path
        self._troubles = troubles
        # Set for files that may use up the reserve.
        self._reserve = reserve
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    @property
    def path(self) -> str:
        return self._path

    def size(self) -> int:
        return self._size

    def append(self, buffers: Sequence[Buffer]) -> None:
        position = self._size
        for start in range(0, len(buffers), _BUFFERS_PER_WRITE_MAX):
            position = self._write_all(list(buffers[start : start + _BUFFERS_PER_WRITE_MAX]), position)
        self._size = position

    def write_at(self, position: int, buffer: Buffer) -> None:
        self._size = max(self._size, self._write_all([buffer], position))

    def read_at(self, position: int, length: int) -> bytes:
        data = os.pread(self._descriptor, length, position)
        # Linux returns at most 2 GiB minus a page, and a signal may cut a read short.
        while len(data) < length:
            more = os.pread(self._descriptor, length - len(data), position + len(data))
            if not more:
                break
            data += more
        return data

    def read_cached(self, position: int, length: int) -> bytes | memoryview | None:
        if not _HAS_CACHED_READS:
            return self.read_at(position, length)
        buffer = bytearray(min(length, max(0, self._size - position)))
        if not buffer:
            return b""
        try:
            count = os.preadv(self._descriptor, [buffer], position, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in _CACHED_READ_UNSUPPORTED:
                return self.read_at(position, length)
            raise
        return memoryview(buffer) if count == len(buffer) else None

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)
        self._size = size

    def sync(self) -> None:
        if _IS_MACOS:
            # fsync on macOS leaves the data in the drive's volatile cache.
            fcntl.fcntl(self._descriptor, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined,unused-ignore]
        else:
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        # One removed in the middle of a sync has no owner left; see `log.disk.File`.
        self.close()

    def _write_all(self, buffers: list[Buffer], position: int) -> int:
        """Writes everything at `position`; returns the position after it. On an error the file is longer
        than `size`.
        """
        try:
            end = self._try_write(buffers, position)
        except OSError as error:
            self._troubles.on_error(error, self._path)
            if error.errno not in _FULL or self._reserve is None or not self._reserve.give():
                raise
            return self._try_write(buffers, position)
        if self._troubles.present and self._has_room():
            self._troubles.on_success(Trouble.DISK_FULL)
        return end

    def _has_room(self) -> bool:
        """False where a write only found the piece of the reserve that another one was given."""
        try:
            found = os.fstatvfs(self._descriptor)
        except OSError:
            return True
        return found.f_bavail * found.f_frsize > PIECE_BYTES

    def _try_write(self, buffers: list[Buffer], position: int) -> int:
        count = os.pwritev(self._descriptor, buffers, position)
        total = sum(map(len, buffers))
        while count < total:
            # The device took a part: it is full, or a signal came. The next try shows which.
            rest = b"".join(buffers)[count:]
            count += os.pwrite(self._descriptor, rest, position + count)
        return position + total


class RealDisk:
    """See the module and `log.disk.Disk`."""

    def __init__(self, root: str, troubles: DiskTroubles | None = None) -> None:
        self._root = os.path.abspath(root)
        self._troubles = DiskTroubles() if troubles is None else troubles
        os.makedirs(self._root, exist_ok=True)
        self._reserve = Reserve(self._root)
        self._spares = SpareDescriptors()
        self._syncs = SyncThreads(SYNC_THREADS)
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="chronik-read")

    @property
    def root(self) -> str:
        """The data directory, absolute."""
        return self._root

    def keep_reserve(self) -> None:
        """Keeps room for writes that must be possible on a full disk. Blocks."""
        self._reserve.keep(self.free_bytes())

    def close(self) -> None:
        """Wait for what runs and end the threads. Reads and removals that have not begun never will."""
        self._syncs.close()
        self._readers.shutdown(cancel_futures=True)
        self._spares.close()

    def open(self, path: str, *, create: bool = False) -> File:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        try:
            descriptor = os.open(self._at(path), flags, 0o644)
        except OSError as error:
            self._troubles.on_error(error, path)
            raise
        if self._troubles.present:
            self._troubles.on_success(Trouble.DESCRIPTORS)
        reserve = self._reserve if path.startswith(_RESERVED_FOR) else None
        return RealFile(path, descriptor, self._troubles, reserve)

    def exists(self, path: str) -> bool:
        return os.path.exists(self._at(path))

    def list(self, directory: str) -> list[str]:
        try:
            return sorted(os.listdir(self._at(directory)))
        except FileNotFoundError:
            return []

    def make_directory(self, path: str) -> None:
        try:
            os.mkdir(self._at(path))
        except (FileExistsError, FileNotFoundError):
            os.makedirs(self._at(path), exist_ok=True)
        except OSError as error:
            self._troubles.on_error(error, path)
            raise

    def rename(self, source: str, target: str) -> None:
        os.replace(self._at(source), self._at(target))

    def remove(self, path: str) -> None:
        os.remove(self._at(path))

    def remove_tree(self, path: str) -> None:
        # Imports compression, which few starts need.
        import shutil

        try:
            shutil.rmtree(self._at(path))
        except FileNotFoundError:
            return

    def sync_directory(self, path: str) -> None:
        try:
            self._sync_directory(path)
        except OSError as error:
            self._troubles.on_error(error, path)
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            with self._spares.lend():
                self._sync_directory(path)

    def _sync_directory(self, path: str) -> None:
        descriptor = os.open(self._at(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self) -> int:
        status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize

    async def run_blocking(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def sync_many(self, files: Sequence[Syncable]) -> Mapping[Syncable, OSError]:
        return await self._syncs.sync(files)

    def begin_sync(
        self, files: Sequence[Syncable], on_done: Callable[[Mapping[Syncable, OSError]], None]
    ) -> None:
        self._syncs.begin(files, on_done)

    def _at(self, path: str) -> str:
        return os.path.join(self._root, path)
