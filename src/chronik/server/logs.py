"""Structured logs: one line per event, for people (text) or machines (JSON), on standard error.

Rooms call `_log.info("partition is offline", extra={"partition": name, "error": error})`: the message is a
fixed sentence, and all that varies is in `extra`. A line is written whatever the values are; one that cannot
be formatted is replaced by a note in its place.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator
from typing import TextIO

ROOT = "chronik"

# A LogRecord's own attributes; everything else came in by `extra`.
_OWN_FIELDS = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
}

# A value longer than this is cut: no request may fill the disk through the log.
VALUE_CHARS_MAX = 2000

# Characters after which a value must stand in quotes to be read back.
_QUOTED_AFTER = frozenset(' "=\\')


def configure(format_name: str = "text", level: str = "info", stream: TextIO | None = None) -> None:
    """Send what Chronik logs from now on to `stream` (standard error). Replaces an earlier configuration.

    Raises ValueError for a format or level that does not exist. Other packages' loggers are left alone, but
    warnings of the event loop and the HTTP server are shown as ours are.
    """
    formatters = {"text": TextFormatter, "json": JsonFormatter}
    if format_name not in formatters:
        raise ValueError(f"log format {format_name!r} is none of {', '.join(formatters)}")
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(formatters[format_name]())
    _install(ROOT, handler, level_number(level))
    for other in ("asyncio", "uvicorn"):
        _install(other, handler, logging.WARNING)
    logging.raiseExceptions = False


def level_number(level: str) -> int:
    """The number of a level by its name. Raises ValueError."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None or level.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError(f"log level {level!r} is none of debug, info, warning, error")
    return number


def _install(name: str, handler: logging.Handler, level: int) -> None:
    logger = logging.getLogger(name)
    for old in [old for old in logger.handlers if isinstance(old, _Handler)]:
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring again replaces it and nothing else."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (overrides logging's name)
        """Standard error is gone or full. There is no place to report it, and no event is worth the
        broker.
        """


class TextFormatter(logging.Formatter):
    """`2026-01-31 12:00:00.123 INFO  partition is offline partition=orders-0 error="no space left"`."""

    def format(self, record: logging.LogRecord) -> str:
        values = "".join(f" {name}={_quoted(_shown(value))}" for name, value in _extras(record))
        line = f"{_timestamp(record)} {record.levelname:5} {_one_line(_message(record))}{values}"
        trace = _traceback(record)
        # Indented, so that readers of lines see where the event ends.
        return line + "".join(f"\n    {part}" for part in trace.splitlines())


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (RFC 3339, UTC), level, logger, event, the values, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        seconds, ms = divmod(int(record.created * 1000), 1000)
        content: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{ms:03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _message(record),
        }
        for name, value in _extras(record):
            content.setdefault(name, _plain(value))
        trace = _traceback(record)
        if trace:
            content["traceback"] = trace
        return json.dumps(content, ensure_ascii=False)


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in vars(record).items() if name not in _OWN_FIELDS)


def _timestamp(record: logging.LogRecord) -> str:
    seconds, ms = divmod(int(record.created * 1000), 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{ms:03}"


def _message(record: logging.LogRecord) -> str:
    try:
        return _shown(record.getMessage())
    except Exception:  # arguments may be anything, and a line is owed all the same
        return _shown(record.msg)


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    return "".join(traceback.format_exception(*record.exc_info)).rstrip()


def _plain(value: object) -> object:
    """The value as JSON has it; a text for all else."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    return _shown(value)


def _shown(value: object) -> str:
    """Returns a text of bounded length. Never raises, although `str()` of a logged value may."""
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception as error:  # a foreign __str__ may raise anything
        return f"<{type(value).__name__}: {type(error).__name__}>"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "..."


def _quoted(text: str) -> str:
    """Returns it unchanged when that is unmistakable, else in double quotes with escapes."""
    if text and text.isprintable() and not _QUOTED_AFTER.intersection(text):
        return text
    return json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text, ensure_ascii=False)[1:-1]
