"""Handlers ask a partition, and reach for neither its log nor its group: it may live elsewhere one day."""

import ast
from pathlib import Path

import pytest

from chronik import broker

_ROOM = Path(broker.__file__).parent
# What answers clients. The others own partitions, or are one.
_ASKING = (
    *sorted((_ROOM / "handlers").glob("*.py")),
    *(
        _ROOM / f"{name}.py"
        for name in (
            "delayed_fetch",
            "fetch_reader",
            "internal_log",
            "large_fetch",
            "leader_hints",
            "leadership_transfer",
            "quorum",
            "read_replicas",
        )
    ),
)
_INSIDE = frozenset({"log", "group"})


def reaching(source: str) -> list[str]:
    """The places where something is reached through, as `line: code`."""
    return sorted(
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in _INSIDE
    )


@pytest.mark.parametrize("path", _ASKING, ids=lambda path: path.stem)
def test_nothing_is_reached_through(path: Path) -> None:
    assert reaching(path.read_text(encoding="utf-8")) == []


def test_what_reaches_through_is_found() -> None:
    source = (
        "first = partition.log.start_offset\nsecond = partition.group\nthird = partition.log_start_offset\n"
    )
    assert reaching(source) == ["1: partition.log", "2: partition.group"]
