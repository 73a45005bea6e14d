"""Three ways to read a log's files: only from the page cache, in a worker thread, or blocking in place.

Reads are written once against `Source`. The event loop tries `cached` first; a read of other data is repeated
from the start by a `PrivateSource` in a thread, with handles of its own.
"""

from types import TracebackType
from typing import Protocol, Self

from chronik.log.disk import File
from chronik.log.handle_cache import LazyFile


class NotCached(Exception):
    """The bytes would have to come from the device."""


class Source(Protocol):
    def read(self, file: LazyFile, position: int, length: int) -> bytes | memoryview:
        """Up to `length` bytes; fewer only at the end of the file."""
        ...


class CachedSource:
    """Never waits for the device: raises NotCached instead. For the event loop."""

    __slots__ = ()

    def read(self, file: LazyFile, position: int, length: int) -> bytes | memoryview:
        data = file.open().read_cached(position, length)
        if data is None:
            raise NotCached
        return data


class BlockingSource:
    """Waits for the device on the log's own handles. For recovery, and for rare small reads."""

    __slots__ = ()

    def read(self, file: LazyFile, position: int, length: int) -> bytes | memoryview:
        return file.open().read_at(position, length)


class PrivateSource:
    """Waits for the device on handles of its own, so a worker thread shares nothing with the event loop."""

    __slots__ = ("_files",)

    def __init__(self) -> None:
        self._files: dict[str, File] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def read(self, file: LazyFile, position: int, length: int) -> bytes | memoryview:
        handle = self._files.get(file.path)
        if handle is None:
            handle = self._files[file.path] = file.open_private()
        return handle.read_at(position, length)


CACHED = CachedSource()
BLOCKING = BlockingSource()
