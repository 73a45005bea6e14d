import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chronik.cli.failure import Failure
from chronik.cli.lines import iterate_lines, reading


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)


def lines_of(data: bytes) -> list[bytes | None]:
    with pipe() as (reader, writer):
        os.write(writer, data)
        os.close(writer)
        return [line for line in iterate_lines(reader) if line is not None]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"one", [b"one"]),
        (b"one\ntwo\n", [b"one", b"two"]),
        (b"one\r\n\r\ntwo", [b"one", b"", b"two"]),
        (b"\n\n", [b"", b""]),
        (b"a\rb\n", [b"a\rb"]),
        (b"\xff\x00\n", [b"\xff\x00"]),
    ],
)
def test_lines_without_their_ends(data: bytes, lines: list[bytes]) -> None:
    assert lines_of(data) == lines


def test_a_pause_comes_between_what_was_and_what_follows() -> None:
    with pipe() as (reader, writer):
        os.write(writer, b"one\nhalf")
        lines = iterate_lines(reader)
        assert next(lines) == b"one"
        assert next(lines) is None
        os.write(writer, b" a line\n")
        assert next(lines) == b"half a line"
        os.close(writer)
        assert [line for line in lines if line is not None] == []


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo")
    with reading(str(path)) as lines:
        assert [line for line in lines if line is not None] == [b"one", b"two"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(Failure, match=r"cannot read .*missing: No such file"),
        reading(str(tmp_path / "missing")),
    ):
        pass
