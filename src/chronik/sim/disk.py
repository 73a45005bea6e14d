"""A disk in memory that loses unsynced writes in a crash, as `log.disk` allows.

Files keep their durable content and the writes since; directories likewise their names. `crash` keeps any
subset of the unsynced ones, in order, and of a write perhaps only some parts. The disk can also lose power in
the middle of any operation (`lose_power_at`) and fail single operations (`fail`).
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from chronik.log.disk import Buffer, File, Syncable

_Result = TypeVar("_Result")

# Small, so that the small writes of tests have several.
_SECTOR_BYTES = 64

WAIT_SECONDS_MAX = 0.002


class PowerLost(BaseException):
    """The machine went off in the middle of an operation; open files are gone.

    No Exception, because nothing that runs on the machine may catch it.
    """


@dataclass(slots=True)
class _Write:
    position: int
    data: bytes

    def survivors(self, random: Random) -> "list[_Write]":
        """Returns the part that a crash leaves: all, nothing, the first part, or any of its sectors."""
        match random.randrange(6):
            case 0 | 1:
                return []
            case 2:
                return [_Write(self.position, self.data[: random.randrange(0, len(self.data) + 1)])]
            case 3:
                starts = range(0, len(self.data), _SECTOR_BYTES)
                return [
                    _Write(self.position + start, self.data[start : start + _SECTOR_BYTES])
                    for start in starts
                    if random.random() < 0.7
                ]
            case _:
                return [self]

    def apply(self, content: bytearray) -> None:
        if len(content) < self.position:
            content.extend(bytes(self.position - len(content)))
        content[self.position : self.position + len(self.data)] = self.data


@dataclass(slots=True)
class _Truncate:
    size: int

    def survivors(self, random: Random) -> "list[_Truncate]":
        return [self] if random.random() < 0.6 else []

    def apply(self, content: bytearray) -> None:
        del content[self.size :]
        content.extend(bytes(self.size - len(content)))


@dataclass(slots=True)
class _Content:
    """A file's bytes, whatever its name."""

    now: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    unsynced: list[_Write | _Truncate] = field(default_factory=list)

    def change(self, change: _Write | _Truncate) -> None:
        change.apply(self.now)
        self.unsynced.append(change)

    def sync(self) -> None:
        self.durable = bytes(self.now)
        self.unsynced.clear()

    def crash(self, random: Random) -> None:
        content = bytearray(self.durable)
        for change in self.unsynced:
            for part in change.survivors(random):
                part.apply(content)
        self.now = content
        self.sync()


@dataclass(slots=True)
class _Directory:
    """Names, now and on the device."""

    now: "dict[str, _Content | _Directory]" = field(default_factory=dict)
    durable: "dict[str, _Content | _Directory]" = field(default_factory=dict)
    unsynced: "list[Callable[[dict[str, _Content | _Directory]], None]]" = field(default_factory=list)

    def change(self, change: "Callable[[dict[str, _Content | _Directory]], None]") -> None:
        change(self.now)
        self.unsynced.append(change)

    def sync(self) -> None:
        self.durable = dict(self.now)
        self.unsynced.clear()

    def crash(self, random: Random) -> None:
        names = dict(self.durable)
        for change in self.unsynced:
            if random.random() < 0.6:
                change(names)
        self.now = names
        self.sync()
        for node in names.values():
            node.crash(random)


class CrashFile:
    """Implements `log.disk.File`."""

    def __init__(self, disk: "CrashDisk", path: str, content: _Content) -> None:
        self._disk = disk
        self._path = path
        self._content = content
        # Like a real one, it counts its own writes, and does not know the remains of a failed write.
        self._size = len(content.now)
        self._life = disk.life
        self.is_open = True
        disk.open_files += 1

    @property
    def path(self) -> str:
        return self._path

    def size(self) -> int:
        self._check()
        return self._size

    def append(self, buffers: Sequence[Buffer]) -> None:
        self.write_at(self._size, b"".join(buffers))

    def write_at(self, position: int, buffer: Buffer) -> None:
        self._check()
        data = bytes(buffer)
        try:
            self._disk.step("write", self._path)
        except (PowerLost, OSError):
            # A part of it may have arrived.
            self._content.change(_Write(position, data[: len(data) // 2]))
            raise
        self._content.change(_Write(position, data))
        self._size = max(self._size, position + len(data))

    def read_at(self, position: int, length: int) -> bytes:
        self._check()
        self._disk.on_read(self._path)
        return bytes(self._content.now[position : position + length])

    def read_cached(self, position: int, length: int) -> bytes | None:
        return None if self._disk.is_cold else self.read_at(position, length)

    def truncate(self, size: int) -> None:
        self._check()
        self._disk.step("truncate", self._path)
        self._content.change(_Truncate(size))
        self._size = size

    def sync(self) -> None:
        self._check()
        self._disk.step("sync", self._path)
        self._content.sync()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._disk.open_files -= 1

    def __del__(self) -> None:
        # A file without references closes itself; see `log.disk.File`.
        if self._life == self._disk.life:
            self.close()

    def _check(self) -> None:
        if self._life != self._disk.life:
            raise PowerLost(f"{self._path} was opened before the crash")
        if not self.is_open:
            raise ValueError(f"{self._path} is closed")


class CrashDisk:
    """Implements `log.disk.Disk`. One life ends and the next begins at `crash`."""

    def __init__(self) -> None:
        self._root = _Directory()
        # Counts crashes; files of an earlier life are of no use.
        self.life = 0
        # Makes every `read_cached` return None.
        self.is_cold = False
        # The time that a sync, or other work in a thread, takes before and after it has its effect; for
        # processes.
        self.wait_seconds_max = WAIT_SECONDS_MAX
        # No write and no new file succeeds.
        self.is_full = False
        # Opening one file more fails; None for no limit.
        self.descriptors_max: int | None = None
        self.descriptor_error = errno.EMFILE
        self.open_files = 0
        self.reads = 0
        # Operations that changed something, since the beginning.
        self.steps = 0
        self._power_lost_at: int | None = None
        self._faults: dict[tuple[str, str], OSError] = {}

    # What tests do to it.

    @property
    def is_off(self) -> bool:
        """True once the power is lost: every change raises PowerLost, also in tasks that nobody awaits."""
        return self._power_lost_at is not None and self.steps >= self._power_lost_at

    @contextmanager
    def unlimited_descriptors(self) -> Iterator[None]:
        """Lets files be opened inside the context, whatever the limit."""
        limit, self.descriptors_max = self.descriptors_max, None
        try:
            yield
        finally:
            self.descriptors_max = limit

    def lose_power_at(self, step: int | None) -> None:
        """Raise PowerLost in the operation after `step` more; None takes it back."""
        self._power_lost_at = None if step is None else self.steps + step

    def fail(self, operation: str, suffix: str, error: OSError) -> None:
        """Make `operation` on paths ending with `suffix` fail until `heal`."""
        self._faults[operation, suffix] = error

    def heal(self) -> None:
        self._faults.clear()

    def crash(self, random: Random) -> None:
        """Loses any part of the unsynced writes."""
        self._root.crash(random)
        self._begin_life()

    def kill(self) -> None:
        """The process dies, the machine lives: nothing is lost."""
        self._begin_life()

    def rot(self, path: str, position: int, mask: int) -> None:
        """The device gives back other bits than it was given."""
        file = self._file(path)
        durable = bytearray(file.durable)
        for content in (file.now, durable):
            if position < len(content):
                content[position] ^= mask
        file.durable = bytes(durable)

    def lose(self, path: str) -> None:
        """A file or a directory with all in it is gone, durably."""
        directory, name = self._split(path)
        del directory.now[name]
        directory.sync()

    def cut(self, path: str, size: int) -> None:
        """A file has lost everything from `size` on, durably."""
        file = self._file(path)
        del file.now[size:]
        file.sync()

    def files(self) -> "list[str]":
        """The paths of all, in order."""
        return sorted(self._files("", self._root))

    def _files(self, path: str, directory: _Directory) -> Iterator[str]:
        for name, node in directory.now.items():
            if isinstance(node, _Directory):
                yield from self._files(f"{path}{name}/", node)
            else:
                yield path + name

    def content(self, path: str) -> bytes:
        """A file's bytes as they are now."""
        return bytes(self._file(path).now)

    def write(self, path: str, content: bytes) -> None:
        """Put a file there, durably."""
        directory, name = self._split(path)
        file = _Content(bytearray(content), content)
        directory.now[name] = file
        directory.durable[name] = file

    def step(self, operation: str, path: str) -> None:
        """Called before every change."""
        if self.is_off:
            raise PowerLost(f"at {operation} {path}")
        self.steps += 1
        if self.is_full and operation in ("write", "create"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        for (failing, suffix), error in self._faults.items():
            if failing == operation and path.endswith(suffix):
                raise error

    def on_read(self, path: str) -> None:
        """Called before every read of a file."""
        self.reads += 1
        for (failing, suffix), error in self._faults.items():
            if failing == "read" and path.endswith(suffix):
                raise error

    # Disk.

    def open(self, path: str, *, create: bool = False) -> File:
        self._check_descriptors(path)
        directory, name = self._split(path)
        node = directory.now.get(name)
        if node is None:
            if not create:
                raise FileNotFoundError(path)
            self.step("create", path)
            node = _Content()
            directory.change(_set(name, node))
        assert isinstance(node, _Content)
        return CrashFile(self, path, node)

    def _check_descriptors(self, path: str) -> None:
        if self.descriptors_max is not None and self.open_files >= self.descriptors_max:
            raise OSError(self.descriptor_error, os.strerror(self.descriptor_error), path)

    def exists(self, path: str) -> bool:
        return self._node(path) is not None

    def list(self, directory: str) -> list[str]:
        node = self._node(directory)
        return sorted(node.now) if isinstance(node, _Directory) else []

    def make_directory(self, path: str) -> None:
        directory = self._root
        for name in filter(None, path.split("/")):
            child = directory.now.get(name)
            if child is None:
                self.step("create", path)
                child = _Directory()
                directory.change(_set(name, child))
            assert isinstance(child, _Directory)
            directory = child

    def rename(self, source: str, target: str) -> None:
        self.step("rename", target)
        directory, old = self._split(source)
        target_directory, new = self._split(target)
        if directory is not target_directory:
            raise NotImplementedError("renames between directories are not used")
        if old not in directory.now:
            raise FileNotFoundError(source)
        directory.change(_move(old, new))

    def remove(self, path: str) -> None:
        self.step("remove", path)
        directory, name = self._split(path)
        if name not in directory.now:
            raise FileNotFoundError(path)
        directory.change(_drop(name))

    def remove_tree(self, path: str) -> None:
        if self.exists(path):
            self.step("remove", path)
            directory, name = self._split(path)
            directory.change(_drop(name))

    def sync_directory(self, path: str) -> None:
        self.step("sync", path)
        node = self._node(path)
        if not isinstance(node, _Directory):
            raise FileNotFoundError(path)
        node.sync()

    def free_bytes(self) -> int:
        return 0 if self.is_full else 1 << 40

    async def sync_many(self, files: Sequence[Syncable]) -> Mapping[Syncable, OSError]:
        failures = {}
        for file in files:
            try:
                file.sync()
            except OSError as error:
                failures[file] = error
        return failures

    def begin_sync(
        self, files: Sequence[Syncable], on_done: Callable[[Mapping[Syncable, OSError]], None]
    ) -> None:
        begin_task(lambda: self.sync_many(files), on_done)

    async def run_blocking(self, work: Callable[[], _Result]) -> _Result:
        return work()

    def _begin_life(self) -> None:
        self.life += 1
        self.open_files = 0
        self._power_lost_at = None
        self.heal()

    def _node(self, path: str) -> "_Content | _Directory | None":
        node: _Content | _Directory | None = self._root
        for name in filter(None, path.split("/")):
            if not isinstance(node, _Directory):
                return None
            node = node.now.get(name)
        return node

    def _file(self, path: str) -> _Content:
        node = self._node(path)
        if not isinstance(node, _Content):
            raise FileNotFoundError(path)
        return node

    def _split(self, path: str) -> tuple[_Directory, str]:
        parent, _, name = path.rpartition("/")
        node = self._node(parent)
        if not isinstance(node, _Directory):
            raise FileNotFoundError(parent)
        return node, name


_Names = dict[str, _Content | _Directory]


def _set(name: str, node: _Content | _Directory) -> Callable[[_Names], None]:
    def change(names: _Names) -> None:
        names[name] = node

    return change


def _move(old: str, new: str) -> Callable[[_Names], None]:
    def change(names: _Names) -> None:
        # In a crash the create before it may be lost.
        if old in names:
            names[new] = names.pop(old)

    return change


def _drop(name: str) -> Callable[[_Names], None]:
    def change(names: _Names) -> None:
        names.pop(name, None)

    return change


# The loop holds tasks only weakly.
_tasks: set[asyncio.Task[None]] = set()


def begin_task(work: Callable[[], Awaitable[_Result]], on_done: Callable[[_Result], None]) -> None:
    """Have a task do `work` and call `on_done` with its result; not if it raises or is cancelled."""

    async def run() -> None:
        on_done(await work())

    task = asyncio.get_running_loop().create_task(run())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
