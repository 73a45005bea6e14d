"""Lines that become records: text with or without a key, or JSON as `chronik consume --json` prints it."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from chronik.records.record import Headers

# Further output of `chronik consume --json`: the position of a record, which does not decide its target.
_PASSED_OVER = frozenset({"topic", "partition", "offset", "time"})
_TAKEN = frozenset({"key", "value", "headers", "timestamp"})

_SHOWN_CHARACTERS = 60
_TIMESTAMP_MAX = 2**63 - 1


class BadLine(ValueError):
    """The line has none of the accepted forms; the text has the reason."""


class LineRecord(NamedTuple):
    """The record of a line. `timestamp_ms` is None for now."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None


ReadLine = Callable[[bytes], LineRecord]


def text_lines(separator: str | None, key: str | None, null_marker: str | None) -> ReadLine:
    """Returns a function that reads lines as values, or keys and values around `separator`; `key` is for
    all records. A `null_marker` is null. The function raises BadLine.
    """
    split, marker = (text.encode() if text is not None else None for text in (separator, null_marker))
    common = None if key is None else key.encode()

    def read(line: bytes) -> LineRecord:
        record_key, value = common, line
        if split is not None:
            record_key, found, value = line.partition(split)
            if not found:
                raise BadLine(f"it has no {separator!r} between key and value: {_shown(line)}")
        return LineRecord(_unless(marker, record_key), _unless(marker, value))

    return read


def _unless(marker: bytes | None, data: bytes | None) -> bytes | None:
    return None if marker is not None and data == marker else data


def json_lines(line: bytes) -> LineRecord:
    """Reads an object with `value` and, optionally, `key`, `headers` and `timestamp`. Raises BadLine."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        raise BadLine(f"it is not JSON: {_shown(line)}") from None
    if not isinstance(content, dict):
        raise BadLine(f"it is not an object: {_shown(line)}")
    unknown = sorted(content.keys() - _TAKEN - _PASSED_OVER)
    if unknown:
        raise BadLine(f"there is no field {unknown[0]!r}; there are {', '.join(sorted(_TAKEN))}")
    if "value" not in content:
        raise BadLine('it has no "value"; null is a tombstone')
    return LineRecord(
        key=_bytes("key", content.get("key")),
        value=_bytes("value", content["value"]),
        headers=_headers(content.get("headers")),
        timestamp_ms=_timestamp(content.get("timestamp")),
    )


def _bytes(field: str, value: object) -> bytes | None:
    match value:
        case None:
            return None
        case str():
            try:
                return value.encode()
            except UnicodeEncodeError:
                raise BadLine(f"{field!r} is no text that UTF-8 has") from None
        case {"base64": str() as text, **rest} if not rest:
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise BadLine(f"{field!r} is not base64") from None
    raise BadLine(f'{field!r} is neither text, null nor {{"base64": "..."}}')


def _headers(value: object) -> Headers:
    """Pairs in a list, which keeps a name that is there twice, or an object."""
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    match pairs:
        case None:
            return ()
        case list() if all(_is_pair(pair) for pair in pairs):
            return tuple((name, _bytes("headers", content)) for name, content in pairs)
    raise BadLine('"headers" is neither an object nor a list of pairs')


def _is_pair(pair: object) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)


def _timestamp(value: object) -> int | None:
    """Milliseconds since 1970; -1 is none, as records without one are printed."""
    match value:
        case None | -1:
            return None
        case int() if not isinstance(value, bool) and 0 <= value <= _TIMESTAMP_MAX:
            return value
    raise BadLine('"timestamp" is not in milliseconds since 1970')


def _shown(line: bytes) -> str:
    text = line.decode(errors="replace")
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
