"""Definition of a message class: named fields, and a table of the protocol versions in which each exists.

The classes in `wire/messages` are generated and carry the fields of all versions; the codec decides which of
them are sent. They are plain slotted classes with a written-out `__init__` rather than dataclasses: those
build their methods with `exec` at import, which costs more than all else in starting a broker. They are not
frozen, because decoders fill them, and a frozen instance is three times as slow to fill.

A row of a table, in Kafka's notation, is `name: type versions [nullable versions] [tag number]`:

    partition_max_bytes: int32 4+
    topics: []FetchTopic 4+ nullable 7-12
    cluster_id: string 12+ nullable 12+ tag 0
"""

import sys
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

# A buffer that goes to the socket as it is. Memoryviews have one byte per item.
Buffer = bytes | memoryview

# Record batches in a response: one buffer, or those a log read returned, which are sent without being joined.
Records = bytes | memoryview | Sequence[Buffer]

ZERO_UUID = bytes(16)  # Kafka's way to say "no uuid"


class VersionRange(NamedTuple):
    """Versions first to last, both included. An open end (`4+`) is `VERSION_LAST`."""

    first: int
    last: int

    def __contains__(self, version: object) -> bool:
        return isinstance(version, int) and self.first <= version <= self.last


VERSION_LAST = 32767  # the api version is an int16
NO_VERSIONS = VersionRange(0, -1)


class Field(NamedTuple):
    """One parsed row of a table. `struct` is the class of a struct or of an array's structs, else None."""

    name: str
    type_name: str
    is_array: bool
    struct: "type[Struct] | None"
    versions: VersionRange
    nullable: VersionRange
    tag: int | None


class Struct:
    """A part of a message. Two are equal when they are of one class and all fields are equal."""

    __slots__ = ()

    FIELDS: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in field_names(type(self)))

    __hash__ = None  # type: ignore[assignment]  # mutable, like the dataclasses these stand for

    def __repr__(self) -> str:
        """Shows the fields that differ from their defaults."""
        default = type(self)()
        shown = [
            f"{name}={getattr(self, name)!r}"
            for name in field_names(type(self))
            if getattr(self, name) != getattr(default, name)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


class Message(Struct):
    """A whole request, response or piece of data.

    `FLEXIBLE_FROM` is the first version with compact lengths and tagged fields (KIP-482), or None.
    """

    __slots__ = ()

    VERSIONS: ClassVar[VersionRange] = NO_VERSIONS
    FLEXIBLE_FROM: ClassVar[int | None] = None


def field_names(struct: type[Struct]) -> list[str]:
    """Names of all fields of all versions, in the order of the wire."""
    return [row.partition(":")[0] for row in struct.FIELDS]


def fields(struct: type[Struct]) -> list[Field]:
    """The parsed table of a class. Not cached: the codec asks once per version it compiles."""
    return [_parse(row, struct.__module__) for row in struct.FIELDS]


def fields_in(struct: type[Struct], version: int) -> list[Field]:
    """The fields that exist in one version."""
    return [field for field in fields(struct) if version in field.versions]


def parse_versions(text: str) -> VersionRange:
    """`4`, `4+` or `4-12`."""
    first, dash, last = text.rstrip("+").partition("-")
    if dash:
        return VersionRange(int(first), int(last))
    return VersionRange(int(first), VERSION_LAST if text.endswith("+") else int(first))


def _parse(row: str, module: str) -> Field:
    name, _, rest = row.partition(": ")
    type_name, versions, *options = rest.split(" ")
    given = dict(zip(options[::2], options[1::2], strict=True))
    element = type_name.removeprefix("[]")
    return Field(
        name=name,
        type_name=element,
        is_array=type_name.startswith("[]"),
        struct=getattr(sys.modules[module], element) if element[0].isupper() else None,
        versions=parse_versions(versions),
        nullable=parse_versions(given["nullable"]) if "nullable" in given else NO_VERSIONS,
        tag=int(given["tag"]) if "tag" in given else None,
    )
