"""Kafka's primitive types, as far as records of coordinators and a consumer's subscription use them."""

import struct
from collections.abc import Mapping
from typing import Final

_INT16: Final = struct.Struct(">h")
_INT32: Final = struct.Struct(">i")
_INT64: Final = struct.Struct(">q")

# An unsigned varint of 32 bits has at most five bytes.
_VARINT_BYTES_MAX: Final = 5


class MalformedRecord(Exception):
    """Bytes that do not follow their schema."""


class Writer:
    """Writes the inflexible forms, and of the flexible ones what committed offsets need."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def int16(self, value: int) -> None:
        self._buffer += _INT16.pack(value)

    def int32(self, value: int) -> None:
        self._buffer += _INT32.pack(value)

    def int64(self, value: int) -> None:
        self._buffer += _INT64.pack(value)

    def string(self, value: str) -> None:
        encoded = value.encode()
        self.int16(len(encoded))
        self._buffer += encoded

    def nullable_string(self, value: str | None) -> None:
        if value is None:
            self.int16(-1)
        else:
            self.string(value)

    def compact_string(self, value: str) -> None:
        encoded = value.encode()
        self._varint(len(encoded) + 1)
        self._buffer += encoded

    def tagged_fields(self, fields: Mapping[int, bytes]) -> None:
        self._varint(len(fields))
        for tag in sorted(fields):
            self._varint(tag)
            self._varint(len(fields[tag]))
            self._buffer += fields[tag]

    def _varint(self, value: int) -> None:
        while value >= 0x80:
            self._buffer.append(value & 0x7F | 0x80)
            value >>= 7
        self._buffer.append(value)

    def byte_string(self, value: bytes) -> None:
        self.int32(len(value))
        self._buffer += value

    def finish(self) -> bytes:
        return bytes(self._buffer)


class Reader:
    """Reads both forms, by `is_flexible`. Every method raises MalformedRecord at the end of the bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self.is_flexible = False

    def int16(self) -> int:
        return int.from_bytes(self._take(2), "big", signed=True)

    def int32(self) -> int:
        return int.from_bytes(self._take(4), "big", signed=True)

    def int64(self) -> int:
        return int.from_bytes(self._take(8), "big", signed=True)

    def string(self) -> str:
        value = self.nullable_string()
        if value is None:
            raise MalformedRecord("null where a string must be")
        return value

    def nullable_string(self) -> str | None:
        length = self._compact_length() if self.is_flexible else self.int16()
        if length < 0:
            return None
        try:
            return self._take(length).decode()
        except UnicodeDecodeError as error:
            raise MalformedRecord("a string is not UTF-8") from error

    def byte_string(self) -> bytes:
        length = self._compact_length() if self.is_flexible else self.int32()
        # Null stands for empty here, as it does for Kafka's reader of assignments.
        return self._take(length) if length >= 0 else b""

    def array_length(self) -> int:
        length = self._compact_length() if self.is_flexible else self.int32()
        # Every element has at least one byte, so a longer array is garbage, and must not size a loop.
        if not 0 <= length <= len(self._data) - self._position:
            raise MalformedRecord(f"an array of {length} does not fit")
        return length

    def tagged_fields(self) -> dict[int, bytes]:
        fields = {}
        for _ in range(self._varint()):
            tag = self._varint()
            fields[tag] = self._take(self._varint())
        return fields

    def _compact_length(self) -> int:
        return self._varint() - 1

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 7 * _VARINT_BYTES_MAX, 7):
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise MalformedRecord("a varint does not end")

    def _take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise MalformedRecord(f"{length} bytes wanted at {self._position} of {len(self._data)}")
        taken = self._data[self._position : end]
        self._position = end
        return taken
