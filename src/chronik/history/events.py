"""The events of a history: the actions of clients and their answers. Stored as lines of JSON, one event each.

A place is a partition: `topic-number`. Times are seconds of one clock that all clients of a run share: the
monotonic one of a machine, or the simulator's. A record is known by its number, given once per place.
"""

import json
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import NamedTuple

Place = str

# (offset, number) of records, in the order of a log, or in which they were given.
Records = Sequence[tuple[int, int]]

# For a record that was acknowledged without an offset: a leader answers so to a duplicate whose first attempt
# it no longer knows.
UNTOLD = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One record of a producer; with neither offset nor error it was never answered."""

    place: Place
    number: int
    sent_at: float
    done_at: float
    # Negative (`UNTOLD`) when it was acknowledged and no offset was named.
    offset: int | None = None
    error: str | None = None
    # Needed where several write to one place: each keeps its own order.
    producer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """The result of one poll of a group's member, in its order."""

    group: str
    began: float
    ended: float
    records: dict[Place, list[tuple[int, int]]]
    # Needed in groups of several.
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit of a group's member, which may have been applied even if it has an error."""

    group: str
    began: float
    ended: float
    offsets: dict[Place, int]
    error: str | None = None
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The committed offsets that a member received; -1 where there is none."""

    group: str
    began: float
    ended: float
    offsets: dict[Place, int]
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The end offsets that an observer received."""

    began: float
    ended: float
    ends: dict[Place, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A client's log line, for the search for a cause."""

    at: float
    text: str


Event = Send | Poll | Commit | Committed | Look | Note

_KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind for kind in (Send, Poll, Commit, Committed, Look, Note)
}


class _Value(NamedTuple):
    name: str
    default: object


_VALUES = {
    kind: tuple(_Value(field.name, field.default) for field in fields(kind)) for kind in _KINDS.values()
}


def as_line(event: Event) -> str:
    """Returns the line with a newline at its end, and without fields at their defaults."""
    values: dict[str, object] = {"event": type(event).__name__.lower()}
    for name, default in _VALUES[type(event)]:
        value = getattr(event, name)
        if default is MISSING or value != default:
            values[name] = value
    return json.dumps(values, separators=(",", ":")) + "\n"


def from_line(line: str) -> Event:
    """Raises ValueError, KeyError, TypeError for a line that is none."""
    values = json.loads(line)
    kind = _KINDS[values.pop("event")]
    if kind is Poll:
        values["records"] = {
            place: [(offset, number) for offset, number in records]
            for place, records in values["records"].items()
        }
    return kind(**values)
