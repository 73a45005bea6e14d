"""The disk as one life of a process has it: no operation takes effect when the process is dead.

Every change is shown to a watch before it is made, which may have the process die before it, in the middle of
it, or just after it. Operations that run in threads on a real disk take time here.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import TypeVar

from chronik.log.disk import Buffer, File, Syncable
from chronik.sim.disk import CrashDisk, PowerLost, begin_task
from chronik.sim.process import SimProcess

R = TypeVar("R")


class Change(Enum):
    """The kinds of changes of a disk."""

    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    CREATE = "create"
    RENAME = "rename"
    REMOVE = "remove"
    SYNC_DIRECTORY = "sync directory"


class Where(Enum):
    """The owner of the change."""

    LOOP = "loop"
    ROUND = "round"
    THREAD = "thread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One change. `path` is the target of a rename."""

    change: Change
    path: str
    where: Where
    data: bytes = b""
    source: str = ""

    def __str__(self) -> str:
        return f"{self.change.value} {self.path}"


class Death(Enum):
    """How an operation ends the process."""

    BEFORE = "before"
    AFTER = "after"


# Whether, and where, the process dies.
Watch = Callable[[Operation], Death | None]


class ProcessDisk:
    """Implements `log.disk.Disk` on the disk of a machine, for one life of a process."""

    def __init__(
        self, disk: CrashDisk, process: SimProcess, watch: Watch, die: Callable[[], None], random: Random
    ) -> None:
        """`die` ends the process, perhaps with its machine's power."""
        self._disk = disk
        self._process = process
        self._watch = watch
        self._die = die
        self._random = random
        self._where = Where.LOOP

    # Dying.

    def check(self) -> None:
        if self._process.is_dead:
            raise PowerLost(f"{self._process.name} is dead")

    def change(self, operation: Operation, work: Callable[[], R]) -> R:
        """Do `work`, or die of it."""
        self.check()
        death = self._watch(operation)
        if death is None:
            return work()
        if death is Death.AFTER:
            work()
        self._end(operation, work, is_begun=death is Death.BEFORE)
        raise PowerLost(f"{self._process.name} died {death.value} {operation}")

    def _end(self, operation: Operation, work: Callable[[], R], *, is_begun: bool) -> None:
        if is_begun and operation.change is Change.WRITE and self._random.random() < 0.5:
            # A part of it may have arrived; the disk knows how to do half.
            self._disk.lose_power_at(0)
            try:
                work()
            except PowerLost:
                pass
            finally:
                self._disk.lose_power_at(None)
        self._die()

    def operation(self, change: Change, path: str, data: bytes = b"", source: str = "") -> Operation:
        return Operation(change=change, path=path, where=self._where, data=data, source=source)

    # `log.disk.Disk`.

    def open(self, path: str, *, create: bool = False) -> File:
        self.check()
        if create and not self._disk.exists(path):
            operation = self.operation(Change.CREATE, path)
            return ProcessFile(self, self.change(operation, lambda: self._disk.open(path, create=True)))
        return ProcessFile(self, self._disk.open(path))

    def exists(self, path: str) -> bool:
        self.check()
        return self._disk.exists(path)

    def list(self, directory: str) -> list[str]:
        self.check()
        return self._disk.list(directory)

    def make_directory(self, path: str) -> None:
        self.check()
        if not self._disk.exists(path):
            self.change(self.operation(Change.CREATE, path), lambda: self._disk.make_directory(path))

    def rename(self, source: str, target: str) -> None:
        operation = self.operation(Change.RENAME, target, source=source)
        self.change(operation, lambda: self._disk.rename(source, target))

    def remove(self, path: str) -> None:
        self.change(self.operation(Change.REMOVE, path), lambda: self._disk.remove(path))

    def remove_tree(self, path: str) -> None:
        self.check()
        if self._disk.exists(path):
            # One by one, as it is done: a crash leaves some.
            for name in self._disk.list(path):
                self.remove(f"{path}/{name}")
            self.change(self.operation(Change.REMOVE, path), lambda: self._disk.remove_tree(path))

    def sync_directory(self, path: str) -> None:
        operation = self.operation(Change.SYNC_DIRECTORY, path)
        self.change(operation, lambda: self._disk.sync_directory(path))

    def free_bytes(self) -> int:
        self.check()
        return self._disk.free_bytes()

    async def sync_many(self, files: Sequence[Syncable]) -> Mapping[Syncable, OSError]:
        failures: dict[Syncable, OSError] = {}
        await self._wait()
        for file in files:
            try:
                self._as(Where.ROUND, file.sync)
            except OSError as error:
                failures[file] = error
        await self._wait()
        return failures

    def begin_sync(
        self, files: Sequence[Syncable], on_done: Callable[[Mapping[Syncable, OSError]], None]
    ) -> None:
        begin_task(lambda: self.sync_many(files), on_done)

    async def run_blocking(self, work: Callable[[], R]) -> R:
        await self._wait()
        result = self._as(Where.THREAD, work)
        await self._wait()
        return result

    async def _wait(self) -> None:
        await asyncio.sleep(self._random.random() * self._disk.wait_seconds_max)
        self.check()

    def _as(self, where: Where, work: Callable[[], R]) -> R:
        self._where = where
        try:
            return work()
        finally:
            self._where = Where.LOOP


class ProcessFile:
    """Implements `log.disk.File` on another."""

    def __init__(self, disk: ProcessDisk, file: File) -> None:
        self._disk = disk
        self._file = file

    @property
    def path(self) -> str:
        return self._file.path

    def size(self) -> int:
        self._disk.check()
        return self._file.size()

    def append(self, buffers: Sequence[Buffer]) -> None:
        data = b"".join(buffers)
        self._disk.change(
            self._disk.operation(Change.WRITE, self.path, data), lambda: self._file.append([data])
        )

    def write_at(self, position: int, buffer: Buffer) -> None:
        operation = self._disk.operation(Change.WRITE, self.path, bytes(buffer))
        self._disk.change(operation, lambda: self._file.write_at(position, buffer))

    def read_at(self, position: int, length: int) -> bytes:
        self._disk.check()
        return self._file.read_at(position, length)

    def read_cached(self, position: int, length: int) -> bytes | memoryview | None:
        self._disk.check()
        return self._file.read_cached(position, length)

    def truncate(self, size: int) -> None:
        operation = self._disk.operation(Change.TRUNCATE, self.path)
        self._disk.change(operation, lambda: self._file.truncate(size))

    def sync(self) -> None:
        self._disk.change(self._disk.operation(Change.SYNC, self.path), self._file.sync)

    def close(self) -> None:
        # Also of a dead process: its objects close their files when they are collected.
        self._file.close()
