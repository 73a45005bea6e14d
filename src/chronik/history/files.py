"""Files of events: written by each client's process as they happen, and read back by the check."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from chronik.history.events import Event, as_line, from_line

# The period whose events a killed process may not have written.
_FLUSH_SECONDS = 0.5


class Recorder:
    """Writes a file of events; for one thread at a time. Made by a client, which leaves its context."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._flushed_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, event: Event) -> None:
        self._file.write(as_line(event))
        if time.monotonic() > self._flushed_at + _FLUSH_SECONDS:
            self._file.flush()
            self._flushed_at = time.monotonic()


def read_events(paths: Iterable[Path]) -> Iterator[Event]:
    """Yields all events of files, one file after the other. Raises ValueError for a malformed line."""
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield from_line(line)
