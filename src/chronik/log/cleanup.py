"""Removing files from the front of a log, after its start has moved.

In memory the start moves at once. On disk first the new start becomes durable and then the files go, in a
worker thread: a crash in between leaves segments below the log start, which recovery removes, and never a
gap.
"""

import asyncio
from collections.abc import Callable, Sequence

from chronik.log.disk import Disk, write_atomically
from chronik.log.log_directory import LogDirectory
from chronik.log.names import LOG_START
from chronik.log.segment import Segment

# The files of one segment, or one other file.
_Doomed = Sequence[str]


class Cleanup:
    """Pending removals. Owned by the PartitionLog."""

    __slots__ = ("_directory", "_doomed", "_durable_start_offset", "_lock", "_start_offset")

    def __init__(self, directory: LogDirectory) -> None:
        self._directory = directory
        # The start that is not on disk yet.
        self._start_offset: int | None = None
        self._durable_start_offset = 0
        # In ascending order.
        self._doomed: list[_Doomed] = []
        # Made when first needed: most logs never are.
        self._lock: asyncio.Lock | None = None

    @property
    def is_done(self) -> bool:
        return self._start_offset is None

    def add(self, start_offset: int, segments: Sequence[Segment], snapshots: Sequence[str]) -> None:
        """The log starts at `start_offset` now; these segments and files are not part of it any more."""
        self._start_offset = start_offset
        for segment in segments:
            files = segment.files()
            for file in files:
                file.abandon()
            self._doomed.append([file.path for file in files])
        if snapshots:
            self._doomed.append(snapshots)

    def on_reset(self, start_offset: int) -> None:
        """The log begins at `start_offset`, durably; a run under way may still write an older start."""
        if self._start_offset is not None:
            self._start_offset = start_offset

    async def run(self, bound: Callable[[], int]) -> int:
        """Carries out the pending removals, with a start of at most `bound`'s value then; returns the durable
        log start.

        Raises OSError; then it is tried again next time.
        """
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            while self._start_offset is not None:
                start_offset = min(self._start_offset, bound())
                await self._run_once(start_offset)
                if start_offset == bound():
                    break
        return self._durable_start_offset

    async def _run_once(self, start_offset: int) -> None:
        directory, doomed = self._directory, list(self._doomed)
        await directory.disk.run_blocking(lambda: _move_start(directory, start_offset, doomed))
        del self._doomed[: len(doomed)]
        self._durable_start_offset = start_offset
        if self._start_offset == start_offset:
            self._start_offset = None


def write_log_start(directory: LogDirectory, start_offset: int) -> None:
    """Durable when it returns. Raises OSError."""
    write_atomically(directory.disk, directory.join(LOG_START), directory.format_offset(start_offset))


def _move_start(directory: LogDirectory, start_offset: int, doomed: Sequence[_Doomed]) -> None:
    write_log_start(directory, start_offset)
    remove_in_order(directory.disk, directory.path, doomed)


def remove_in_order(disk: Disk, directory: str, doomed: Sequence[_Doomed]) -> None:
    """Remove files so that a crash never brings back earlier ones without the later."""
    for paths in doomed:
        for path in paths:
            if disk.exists(path):
                disk.remove(path)
        disk.sync_directory(directory)
