"""Requests from plain values and answers to plain values, field by field and slowly.

Unlike the server's codec it writes what must not be written: null where null is not allowed, and `Raw` bytes
in the place of any field. It reads strictly: nothing is skipped, and what is left over is an error.
"""

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from chronik.wire.schema import Field, Struct, field_names, fields_in
from tests.parity.schemas import Layout

Values = Mapping[str, Any]

_FIXED = {
    "bool": ">?",
    "int8": ">b",
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "int64": ">q",
    "float64": ">d",
}
_WIDE = frozenset({"bytes", "records"})


class Raw(NamedTuple):
    """Bytes that stand for a field as they are."""

    data: bytes


class Unreadable(ValueError):
    """The bytes are not what the layout says."""


def encode(layout: Layout, version: int, values: Values) -> bytes:
    """The body of a message. Fields not given have their defaults; KeyError for fields that do not exist.

    A version may be beyond those of the layout: then it is written as the nearest one.
    """
    first, last = layout.message.VERSIONS
    return _Writer(min(max(version, first), last), layout.is_flexible(version)).struct(layout.message, values)


def decode(layout: Layout, version: int, data: bytes) -> dict[str, Any]:
    """The fields of a message, unknown tagged ones under `tag N`. Raises Unreadable."""
    reader = _Reader(version, layout.is_flexible(version), data)
    if version not in layout.message.VERSIONS:
        raise Unreadable("no layout for this version")
    values = reader.struct(layout.message)
    if reader.position != len(data):
        raise Unreadable(f"{len(data) - reader.position} bytes behind the end")
    return values


def skip_header_tags(data: bytes) -> bytes:
    """What follows the tagged fields of a response header."""
    reader = _Reader(0, True, data)
    reader.tags({}, {})
    return data[reader.position :]


def uvarint(value: int) -> bytes:
    """An unsigned varint."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class _Writer:
    def __init__(self, version: int, flexible: bool) -> None:
        self._version = version
        self._flexible = flexible

    def struct(self, kind: type[Struct], values: Values) -> bytes:
        unknown = set(values) - set(field_names(kind))
        if unknown:
            raise KeyError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
        default = kind()
        plain, tagged = bytearray(), []
        for field in fields_in(kind, self._version):
            is_given = field.name in values
            value = values[field.name] if is_given else self._default(field, getattr(default, field.name))
            if field.tag is None:
                plain += self._field(field, value)
            elif is_given:
                tagged.append((field.tag, self._field(field, value)))
        if self._flexible:
            plain += uvarint(len(tagged))
            for tag, data in sorted(tagged):
                plain += uvarint(tag) + uvarint(len(data)) + data
        return bytes(plain)

    def _default(self, field: Field, value: Any) -> Any:
        """Empty instead of null in versions that have no null."""
        if value is None and self._version not in field.nullable:
            return [] if field.is_array else b"" if field.type_name in _WIDE else ""
        return value

    def _field(self, field: Field, value: Any) -> bytes:
        if isinstance(value, Raw):
            return value.data
        if not field.is_array:
            return self._value(field, value)
        if value is None:
            return self._null(">i")
        return self._length(len(value), ">i") + b"".join(self._value(field, each) for each in value)

    def _value(self, field: Field, value: Any) -> bytes:
        if isinstance(value, Raw):
            return value.data
        if field.struct is not None:
            return self._single_struct(field, field.struct, value)
        if field.type_name == "uuid":
            return value.bytes if isinstance(value, UUID) else bytes(value)
        if field.type_name in _FIXED:
            return struct.pack(_FIXED[field.type_name], value)
        code = ">i" if field.type_name in _WIDE else ">h"
        if value is None:
            return self._null(code)
        data = value.encode() if isinstance(value, str) else bytes(value)
        return self._length(len(data), code) + data

    def _single_struct(self, field: Field, kind: type[Struct], value: Any) -> bytes:
        is_nullable = self._version in field.nullable and not field.is_array
        if value is None:
            return b"\xff"
        values = {} if isinstance(value, Struct) else value
        return (b"\x01" if is_nullable else b"") + self.struct(kind, values)

    def _length(self, length: int, code: str) -> bytes:
        return uvarint(length + 1) if self._flexible else struct.pack(code, length)

    def _null(self, code: str) -> bytes:
        return b"\0" if self._flexible else struct.pack(code, -1)


class _Reader:
    def __init__(self, version: int, flexible: bool, data: bytes) -> None:
        self._version = version
        self._flexible = flexible
        self._data = data
        self.position = 0

    def struct(self, kind: type[Struct]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        tagged = {}
        default = kind()
        for field in fields_in(kind, self._version):
            if field.tag is None:
                values[field.name] = self._field(field)
            else:
                tagged[field.tag] = field
                value = getattr(default, field.name)
                values[field.name] = "absent" if isinstance(value, Struct) else value
        if self._flexible:
            self.tags(tagged, values)
        return values

    def tags(self, tagged: Mapping[int, Field], values: dict[str, Any]) -> None:
        for _ in range(self._uvarint()):
            tag, size = self._uvarint(), self._uvarint()
            end = self.position + size
            if tag in tagged:
                values[tagged[tag].name] = self._field(tagged[tag])
                if self.position != end:
                    raise Unreadable(f"{tagged[tag].name} does not fill its tagged field")
            else:
                values[f"tag {tag}"] = self._take(size)

    def _field(self, field: Field) -> Any:
        if not field.is_array:
            return self._value(field)
        length = self._length(">i")
        if length < 0:
            self._check_null(field)
            return None
        return [self._value(field) for _ in range(length)]

    def _value(self, field: Field) -> Any:
        if field.struct is not None:
            is_nullable = self._version in field.nullable and not field.is_array and field.tag is None
            return None if is_nullable and self._take(1)[0] > 127 else self.struct(field.struct)
        if field.type_name == "uuid":
            return UUID(bytes=self._take(16))
        if field.type_name in _FIXED:
            return self._fixed(_FIXED[field.type_name])
        is_wide = field.type_name in _WIDE
        length = self._length(">i" if is_wide else ">h")
        if length < 0:
            self._check_null(field)
            return None
        data = self._take(length)
        return data if is_wide else data.decode()

    def _check_null(self, field: Field) -> None:
        if self._version not in field.nullable:
            raise Unreadable(f"{field.name} is null, which it may not be")

    def _length(self, code: str) -> int:
        if not self._flexible:
            return int(self._fixed(code))
        return self._uvarint() - 1

    def _fixed(self, code: str) -> Any:
        return struct.unpack(code, self._take(struct.calcsize(code)))[0]

    def _uvarint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = self._take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise Unreadable("a varint is longer than 5 bytes")

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise Unreadable("ends too early")
        taken = self._data[self.position : end]
        self.position = end
        return taken
