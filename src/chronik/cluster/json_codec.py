"""Converts values of this room to JSON and back, by their declared types: for messages between nodes and for
the log.

Dataclasses and named tuples, sequences, mappings, enumerations, optional values, bytes and texts. Readers
ignore fields they do not know and fill missing ones with their defaults, so that nodes of two releases work
together while one replaces the other. Anything else that is not of its type is a ValueError.

Stored values have topic ids as Kafka's tools print them, for human readers; messages have them as any other
bytes.
"""

import base64
import json
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, TypeVar

from chronik.vocab.ids import TopicId, format_topic_id, parse_topic_id

T = TypeVar("T")
Write = Callable[[Any], Any]
Read = Callable[[Any], Any]

_to_json = json.JSONEncoder(separators=(",", ":")).encode


class Plain(NamedTuple):
    """How a field is written, if not always and under its own name: `Annotated[..., Plain(...)]`.

    Fields of earlier releases' formats are renamed here, and added without a trace.
    """

    # None: that of the field.
    name: str | None = None
    # Left out when it has its default.
    is_omitted: bool = False


def to_plain(kind: type[T], value: T) -> Any:
    """`value`, which is of the type `kind`, as what JSON can hold."""
    return _codec(kind)[0](value)


def from_plain(kind: type[T], found: Any) -> T:
    """The inverse of `to_plain`. Raises ValueError."""
    value: T = _codec(kind)[1](found)
    return value


def format_object(fields: Mapping[str, Any]) -> bytes:
    """Formats a result of `to_plain`."""
    return _to_json(fields).encode()


def parse_object(data: bytes) -> Mapping[str, Any]:
    """The inverse of `format_object`. Raises ValueError, also for data that is no object."""
    fields = json.loads(data)
    return _checked(fields, dict)


def to_json(kind: type[T], value: T) -> bytes:
    """`to_plain`, and that as JSON."""
    return _to_json(to_plain(kind, value)).encode()


def from_json(kind: type[T], data: bytes) -> T:
    """The inverse of `to_json`. Raises ValueError."""
    return from_plain(kind, json.loads(data))


def stored_codec(kind: type[T]) -> tuple[Callable[[T], dict[str, Any]], Callable[[Mapping[str, Any]], T]]:
    """Returns the functions that convert stored values of a dataclass to JSON's types, and back
    (ValueError).
    """
    return _codec(kind, True)


def _codec(kind: Any, is_stored: bool = False) -> tuple[Write, Read]:
    """Returns the functions that write and read values of a type, computed once."""
    return _worked_out(kind, is_stored)


@cache
def _worked_out(kind: Any, is_stored: bool) -> tuple[Write, Read]:
    if is_stored and kind is TopicId:
        return format_topic_id, lambda found: parse_topic_id(_checked(found, str))
    if typing.get_origin(kind) is Annotated:
        return _codec(typing.get_args(kind)[0], is_stored)
    kind = getattr(kind, "__supertype__", kind)
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, UnionType):
        return _optional(arguments, is_stored)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(arguments[0], arguments[1], is_stored)
    if origin is not None and issubclass(origin, Sequence):
        return _sequence(arguments[0], is_stored)
    if is_dataclass(kind):
        return _record(kind, {f.name for f in fields(kind) if _is_required(f)}, is_stored)
    if hasattr(kind, "_field_defaults"):
        return _record(kind, set(kind._fields) - set(kind._field_defaults), is_stored)
    if issubclass(kind, Enum):
        return (lambda value: value.name), (lambda read: _member(kind, read))
    raise TypeError(f"no codec for {kind}")


def _is_required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _record(kind: Any, required: set[str], is_stored: bool) -> tuple[Write, Read]:
    # The own name of each field, its name outside and its type.
    declared = [
        (name, _plain(hint).name or name, hint)
        for name, hint in typing.get_type_hints(kind, include_extras=True).items()
    ]
    names = tuple(outside for _, outside, _ in declared)
    codecs = [(name, outside, _codec(hint, is_stored)) for name, outside, hint in declared]
    # What JSON takes as it is stays: records are replayed by the ten thousand.
    writes = [(outside, codec[0]) for _, outside, codec in codecs if codec[0] is not _as_is]
    reads = [(name, outside, codec[1], name in required) for name, outside, codec in codecs]
    defaults = _defaults(kind)
    omitted = [(name, outside, defaults[name]) for name, outside, hint in declared if _plain(hint).is_omitted]
    own = [name for name, _, _ in declared]
    values = attrgetter(*own) if len(own) > 1 else lambda value: (getattr(value, own[0]),)

    def write(value: Any) -> dict[str, Any]:
        found = dict(zip(names, values(value), strict=True))
        for name, write in writes:
            found[name] = write(found[name])
        for name, outside, default in omitted:
            if getattr(value, name) == default:
                del found[outside]
        return found

    def read(read: Any) -> Any:
        found = _checked(read, dict)
        arguments = {}
        for name, outside, read_field, is_required in reads:
            if outside in found:
                arguments[name] = read_field(found[outside])
            elif is_required:
                raise ValueError(f"{kind.__name__} lacks {outside}")
        return kind(**arguments)

    return write, read


def _plain(hint: Any) -> Plain:
    found = (extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Plain))
    return next(found, Plain())


def _defaults(kind: Any) -> Mapping[str, Any]:
    if is_dataclass(kind):
        return {field.name: field.default for field in fields(kind)}
    defaults: Mapping[str, Any] = kind._field_defaults
    return defaults


def _sequence(item: Any, is_stored: bool) -> tuple[Write, Read]:
    write, read = _codec(item, is_stored)
    return (
        list if write is _as_is else lambda values: [write(value) for value in values],
        lambda found: tuple(map(read, _checked(found, list))),
    )


def _mapping(key: Any, item: Any, is_stored: bool) -> tuple[Write, Read]:
    """As pairs, for keys of JSON objects are texts."""
    (write_key, read_key), (write, read) = _codec(key, is_stored), _codec(item, is_stored)
    return (
        lambda values: [[write_key(name), write(value)] for name, value in values.items()],
        lambda found: {read_key(pair[0]): read(pair[1]) for pair in map(_pair, _checked(found, list))},
    )


def _optional(choices: tuple[Any, ...], is_stored: bool) -> tuple[Write, Read]:
    others = [choice for choice in choices if choice is not NoneType]
    if len(others) != 1:
        raise TypeError(f"no codec for a choice of {choices}")
    write, read = _codec(others[0], is_stored)
    return (
        lambda value: None if value is None else write(value),
        lambda found: None if found is None else read(found),
    )


def _checked(found: Any, kind: type[T]) -> T:
    if type(found) is not kind:
        raise ValueError(f"{found!r} is no {kind.__name__}")
    return found


def _pair(found: Any) -> list[Any]:
    pair = _checked(found, list)
    if len(pair) != 2:
        raise ValueError(f"{found!r} is no pair")
    return pair


def _member(kind: Any, found: Any) -> Any:
    try:
        return kind[_checked(found, str)]
    except KeyError:
        raise ValueError(f"{found!r} is no {kind.__name__}") from None


def _as_is(value: Any) -> Any:
    return value


def _read_int(found: Any) -> int:
    return _checked(found, int)


def _read_text(found: Any) -> str:
    """Names and directory ids come again and again, in images that are kept."""
    return sys.intern(_checked(found, str))


_PLAIN: dict[Any, tuple[Write, Read]] = {
    int: (_as_is, _read_int),
    bool: (_as_is, lambda found: _checked(found, bool)),
    str: (_as_is, _read_text),
    bytes: (
        lambda value: base64.b64encode(value).decode(),
        lambda found: base64.b64decode(_checked(found, str), validate=True),
    ),
}
