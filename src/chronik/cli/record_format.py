"""The printed form of a consumed record: by a template, or as JSON."""

import json
import string
from collections.abc import Callable

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.units import format_time, format_utc, plain_bytes
from chronik.client.fetching import FetchedRecord

Write = Callable[[FetchedRecord], bytes]

_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\0": "\0", "\\\\": "\\"}

# Printed as `--null-marker` where they are null.
_NULLABLE: dict[str, Callable[[FetchedRecord], bytes | None]] = {
    "key": lambda record: record.key,
    "value": lambda record: record.value,
}

_FIELDS: dict[str, Write] = {
    "topic": lambda record: record.topic.encode(),
    "partition": lambda record: str(record.partition).encode(),
    "offset": lambda record: str(record.offset).encode(),
    "timestamp": lambda record: str(record.timestamp).encode(),
    "time": lambda record: format_time(record.timestamp).encode(),
    "headers": lambda record: b",".join(
        name.encode() + b"=" + (value or b"") for name, value in record.headers
    ),
}


def template(text: str, null_marker: str = "") -> Write:
    """A writer for a template such as `{key}={value}\\n`: bytes go out as they came, a key or value that is
    null as `null_marker`. Raises Failure.
    """
    fields = {name: _or_marker(read, null_marker.encode()) for name, read in _NULLABLE.items()} | _FIELDS
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError:
        hint = "Write {{ and }} for braces that are no field."
        raise Failure(f"--format {text!r} has a brace without its other one", hint, ExitCode.USAGE) from None
    pieces: list[bytes | Write] = []
    for literal, field, _, _ in parsed:
        if literal:
            pieces.append(_unescape(literal).encode())
        if field is not None:
            if field not in fields:
                known = " ".join(f"{{{name}}}" for name in fields)
                raise Failure(f"--format has no {{{field}}}", f"It has: {known}.", ExitCode.USAGE)
            pieces.append(fields[field])
    return lambda record: b"".join(piece if isinstance(piece, bytes) else piece(record) for piece in pieces)


def _or_marker(read: Callable[[FetchedRecord], bytes | None], marker: bytes) -> Write:
    def write(record: FetchedRecord) -> bytes:
        data = read(record)
        return marker if data is None else data

    return write


def json_line(record: FetchedRecord) -> bytes:
    """Returns one line of JSON. Keys and values that are no text are `{"base64": ...}`."""
    content = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "time": format_utc(record.timestamp) if record.timestamp >= 0 else None,
        "key": None if record.key is None else plain_bytes(record.key),
        "value": None if record.value is None else plain_bytes(record.value),
        "headers": [[name, None if value is None else plain_bytes(value)] for name, value in record.headers],
    }
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def _unescape(text: str) -> str:
    out, position = [], 0
    while position < len(text):
        pair = text[position : position + 2]
        out.append(_ESCAPES.get(pair, text[position]))
        position += 2 if pair in _ESCAPES else 1
    return "".join(out)
