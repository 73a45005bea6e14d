"""What clients did and saw, written by their processes as it happens and read back by the checker.

A file has one event a line, in the order in which the process saw them. Times are seconds of the monotonic
clock, which all processes of a machine share. A place is a partition: `topic-number`.
"""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

Place = str

# What a process that is killed may owe its file.
_FLUSH_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One record of a producer; with neither offset nor error it was never answered."""

    place: Place
    number: int
    sent_at: float
    done_at: float
    offset: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What one poll of a group's member gave; (offset, number) in the order in which they were given."""

    group: str
    began: float
    ended: float
    records: dict[Place, list[tuple[int, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit of a group's member, which may have come about also when it says an error."""

    group: str
    began: float
    ended: float
    offsets: dict[Place, int]
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What a member was told is committed; -1 where nothing is."""

    group: str
    began: float
    ended: float
    offsets: dict[Place, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The end offsets that an onlooker was told."""

    began: float
    ended: float
    ends: dict[Place, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that a client said, for whoever looks for a cause."""

    at: float
    text: str


Event = Send | Poll | Commit | Committed | Look | Note

_KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind for kind in (Send, Poll, Commit, Committed, Look, Note)
}


class Recorder:
    """Writes a file of events; for one thread at a time."""

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


def as_line(event: Event) -> str:
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return json.dumps({"event": type(event).__name__.lower(), **values}, separators=(",", ":")) + "\n"


def read_events(paths: Iterable[Path]) -> Iterator[Event]:
    """All events of files, one file after the other. Raises ValueError for a line that is none."""
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield from_line(line)


def from_line(line: str) -> Event:
    values = json.loads(line)
    kind = _KINDS[values.pop("event")]
    if kind is Poll:
        values["records"] = {
            place: [(offset, number) for offset, number in records]
            for place, records in values["records"].items()
        }
    return kind(**values)
