"""Values of this room as JSON and back, by their declared types: for what nodes say to each other and never
keep.

Dataclasses and named tuples, sequences, mappings, enumerations, optional values, bytes and texts. Readers
ignore fields they do not know and fill missing ones with their defaults, so that nodes of two releases work
together while one replaces the other. Anything else that is not of its type is a ValueError.
"""

import base64
import json
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar

T = TypeVar("T")
Write = Callable[[Any], Any]
Read = Callable[[Any], Any]

_to_json = json.JSONEncoder(separators=(",", ":")).encode


def to_json(kind: type[T], value: T) -> bytes:
    """`value`, which is of the type `kind`."""
    return _to_json(_codec(kind)[0](value)).encode()


def from_json(kind: type[T], data: bytes) -> T:
    """The inverse of `to_json`. Raises ValueError."""
    value: T = _codec(kind)[1](json.loads(data))
    return value


def _codec(kind: Any) -> tuple[Write, Read]:
    """How values of a type are written and read, worked out once."""
    return _worked_out(kind)


@cache
def _worked_out(kind: Any) -> tuple[Write, Read]:
    kind = getattr(kind, "__supertype__", kind)
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, UnionType):
        return _optional(arguments)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(*arguments)
    if origin is not None and issubclass(origin, Sequence):
        return _sequence(arguments[0])
    if is_dataclass(kind):
        return _record(kind, {f.name for f in fields(kind) if _is_required(f)})
    if hasattr(kind, "_field_defaults"):
        return _record(kind, set(kind._fields) - set(kind._field_defaults))
    if issubclass(kind, Enum):
        return (lambda value: value.name), (lambda read: _member(kind, read))
    raise TypeError(f"no codec for {kind}")


def _is_required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _record(kind: Any, required: set[str]) -> tuple[Write, Read]:
    hints = typing.get_type_hints(kind)
    writes = [(name, _codec(hint)[0]) for name, hint in hints.items()]
    reads = {name: _codec(hint)[1] for name, hint in hints.items()}

    def write(value: Any) -> dict[str, Any]:
        return {name: write(getattr(value, name)) for name, write in writes}

    def read(read: Any) -> Any:
        found = _checked(read, dict)
        if not required <= found.keys():
            raise ValueError(f"{kind.__name__} lacks {sorted(required - found.keys())}")
        return kind(**{name: reads[name](value) for name, value in found.items() if name in reads})

    return write, read


def _sequence(item: Any) -> tuple[Write, Read]:
    write, read = _codec(item)
    return (
        lambda values: [write(value) for value in values],
        lambda found: tuple(read(value) for value in _checked(found, list)),
    )


def _mapping(key: Any, item: Any) -> tuple[Write, Read]:
    """As pairs, for keys of JSON objects are texts."""
    (write_key, read_key), (write, read) = _codec(key), _codec(item)
    return (
        lambda values: [[write_key(name), write(value)] for name, value in values.items()],
        lambda found: {read_key(pair[0]): read(pair[1]) for pair in map(_pair, _checked(found, list))},
    )


def _optional(choices: tuple[Any, ...]) -> tuple[Write, Read]:
    others = [choice for choice in choices if choice is not NoneType]
    if len(others) != 1:
        raise TypeError(f"no codec for a choice of {choices}")
    write, read = _codec(others[0])
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


_PLAIN: dict[Any, tuple[Write, Read]] = {
    int: (lambda value: int(value), lambda found: _checked(found, int)),
    bool: (lambda value: value, lambda found: _checked(found, bool)),
    # Names and directory ids come again and again, in images that are kept.
    str: (lambda value: value, lambda found: sys.intern(_checked(found, str))),
    bytes: (
        lambda value: base64.b64encode(value).decode(),
        lambda found: base64.b64decode(_checked(found, str), validate=True),
    ),
}
