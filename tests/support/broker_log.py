"""A broker's log lines about the broker itself."""

from collections.abc import Iterator
from pathlib import Path

# Log lines that mean a bug of the broker, whatever was sent to it.
_BUG_SIGNS = ("request failed", "Traceback", "invariant", "Task exception", "Exception in callback")


def bugs_in(log: Path) -> Iterator[str]:
    """Each kind of bug that the log tells of, once: the line with its traceback."""
    seen = set()
    lines = log.read_text(errors="replace").splitlines()
    for at, line in enumerate(lines):
        if any(sign in line for sign in _BUG_SIGNS) and line[:1] != " ":
            event = [line[:300], *_indented(lines, at + 1)]
            kind = "\n".join(event[-3:])
            if kind not in seen:
                seen.add(kind)
                yield "\n".join(event)


def _indented(lines: list[str], at: int) -> Iterator[str]:
    while at < len(lines) and lines[at][:1] == " ":
        yield lines[at]
        at += 1
