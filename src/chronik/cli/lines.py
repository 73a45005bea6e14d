"""Lines of standard input or a file, and when there is a pause between them."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from chronik.cli.failure import Failure

_READ_BYTES = 256 * 1024

# Without input for this time, gathered lines are better sent than kept.
_PAUSE_SECONDS = 0.02


@contextmanager
def reading(path: str | None) -> Iterator[Iterator[bytes | None]]:
    """The lines of a file, of standard input for None or `-`; see `iterate_lines`. Raises Failure."""
    if path is None or path == "-":
        yield iterate_lines(sys.stdin.fileno())
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None
    try:
        yield iterate_lines(descriptor)
    finally:
        os.close(descriptor)


def iterate_lines(descriptor: int) -> Iterator[bytes | None]:
    """Lines without their ends (`\\n` or `\\r\\n`), and None for each pause. The last line needs no end."""
    rest = b""
    while True:
        if not _is_ready(descriptor):
            yield None
            _wait(descriptor)
        data = _read(descriptor)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
    if rest:
        yield rest.removesuffix(b"\r")


def _read(descriptor: int) -> bytes:
    """Raises Failure: a directory can be opened, and not be read."""
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError as error:
        raise Failure(f"cannot read the lines: {error.strerror}") from None


def _is_ready(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], _PAUSE_SECONDS)[0])


def _wait(descriptor: int) -> None:
    select.select([descriptor], [], [])
