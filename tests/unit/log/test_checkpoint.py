"""Checkpoint files: Kafka's text, and nothing else."""

import pytest

from chronik.log.checkpoint import (
    format_lines,
    format_offset,
    parse_lines,
    parse_offset_line,
    read_file,
    replace_unsynced,
)
from chronik.sim.disk import CrashDisk


def test_text_is_kafkas() -> None:
    assert format_lines([(0, 0), (3, 17)]) == b"0\n2\n0 0\n3 17\n"
    assert format_lines([]) == b"0\n0\n"
    assert format_offset("data/my-topic-12", 99) == b"0\n1\nmy-topic 12 99\n"


def test_rows_come_back() -> None:
    assert parse_lines(b"0\n2\n0 0\n3 17\n") == [["0", "0"], ["3", "17"]]
    assert parse_lines(b"0\n0\n") == []
    assert parse_offset_line(b"0\n1\nmy-topic 12 99\n") == 99


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"0",
        b"0\n",
        b"0\n1\n",
        b"1\n0\n",
        b"0\n2\n0 0\n",
        b"0\n1\n0 0",
        b"0\nx\n0 0\n",
        b"\xff\xfe\n\n",
        bytes(20),
    ],
)
def test_anything_else_is_none(content: bytes) -> None:
    assert parse_lines(content) is None
    assert parse_offset_line(content) is None


@pytest.mark.parametrize("line", [b"t 0", b"t 0 x", b"t 0 -1", b"t 0 1 2"])
def test_offset_lines_that_are_none(line: bytes) -> None:
    assert parse_offset_line(b"0\n1\n" + line + b"\n") is None


@pytest.mark.parametrize("cut", range(len(b"0\n1\nt 0 12345\n")))
def test_a_torn_offset_is_never_a_smaller_one(cut: int) -> None:
    assert parse_offset_line(b"0\n1\nt 0 12345\n"[:cut]) is None


def test_files() -> None:
    disk = CrashDisk()
    assert read_file(disk, "file") is None
    replace_unsynced(disk, "file", b"one")
    replace_unsynced(disk, "file", b"2")
    assert read_file(disk, "file") == b"2"
    assert disk.list("") == ["file"]
    assert disk.open_files == 0
