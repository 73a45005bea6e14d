"""Removing files from the front of a log, after its start has moved.

In memory the start moves at once. On disk first the new start becomes durable and then the files go, in a
worker thread: a crash in between leaves segments below the log start, which recovery removes, and never a
gap.
"""

import asyncio
from collections.abc import Sequence

from chronik.log.disk import Disk, write_atomically
from chronik.log.log_directory import LogDirectory
from chronik.log.names import LOG_START
from chronik.log.segment import Segment


class Cleanup:
    """What is to be removed. Owned by the PartitionLog."""

    __slots__ = ("_directory", "_lock", "_paths", "_start_offset")

    def __init__(self, directory: LogDirectory) -> None:
        self._directory = directory
        # The start that is not on disk yet.
        self._start_offset: int | None = None
        self._paths: list[str] = []
        # Made when first needed: most logs never are.
        self._lock: asyncio.Lock | None = None

    @property
    def is_done(self) -> bool:
        return self._start_offset is None

    def add(self, start_offset: int, segments: Sequence[Segment], snapshots: Sequence[str]) -> None:
        """The log starts at `start_offset` now; these segments and files are not part of it any more."""
        self._start_offset = start_offset
        for segment in segments:
            for file in segment.files():
                file.abandon()
                self._paths.append(file.path)
        self._paths += snapshots

    async def run(self) -> None:
        """Do all that was added. Raises OSError; then it is tried again next time."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            while self._start_offset is not None:
                await self._run_once(self._start_offset)

    async def _run_once(self, start_offset: int) -> None:
        directory, paths = self._directory, list(self._paths)
        path, content = directory.join(LOG_START), directory.format_offset(start_offset)
        await directory.disk.run_blocking(lambda: _remove(directory.disk, path, content, paths))
        del self._paths[: len(paths)]
        if self._start_offset == start_offset:
            self._start_offset = None


def _remove(disk: Disk, path: str, content: bytes, paths: Sequence[str]) -> None:
    write_atomically(disk, path, content)
    for doomed in paths:
        if disk.exists(doomed):
            disk.remove(doomed)
