"""Histories that are as they should be, and each way in which they are not."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast
from unittest.mock import patch

import pytest

from chronik.sim.checks import promises
from chronik.sim.checks.problems import Problems
from chronik.sim.checks.promises import check_promises
from chronik.sim.cluster import SimNode
from chronik.sim.trace import Trace
from chronik.sim.workload.history import History, Sent
from chronik.vocab.ids import Offset, TopicPartition

P = TopicPartition("t", 0)


class Story:
    """One partition, and what `careful` (idempotent) and `plain` producers wrote to it."""

    def __init__(self) -> None:
        self.history = History()
        self.log: list[tuple[int, bytes]] = []
        self.start = 0

    def send(self, producer: str, number: int, offset: int | None) -> bytes:
        """Acknowledged at that offset, if at any; it is in the log there."""
        value = self.history.send(Sent(producer, P, number), "", number)
        if offset is not None:
            self.history.acknowledge(value, Offset(offset), 1.0)
            self.log.append((offset, value))
        return value

    def consume(self, offset: int, value: bytes) -> None:
        given = [(Offset(offset), value)]
        self.history.consume("g", P, given, member="m", began=2.0, ended=2.1)

    def problems(self) -> list[str]:
        found = Problems(Trace(lambda: 0.0))
        log = SimpleNamespace(start_offset=Offset(self.start))
        with (
            patch.object(promises, "values", lambda _: self.log),
            patch.object(promises, "_log", lambda *_: log),
        ):
            check_promises(self.history, cast(Sequence[SimNode], ()), frozenset({"careful"}), found)
        return found.found


def test_nothing_is_wrong_with_what_was_kept() -> None:
    story = Story()
    first = story.send("careful", 0, 0)
    story.send("plain", 0, 1)
    again = story.send("plain", 1, 2)
    story.log.append((3, again))
    story.send("careful", 1, 4)
    story.send("careful", 2, None)
    story.consume(0, first)
    assert story.problems() == []


@pytest.mark.parametrize("what", ["loss", "hole", "phantom", "duplicate", "moved", "dirty read"])
def test_what_was_not_kept(what: str) -> None:
    story = Story()
    values = [story.send("careful", number, number) for number in range(4)]
    match what:
        case "loss":
            story.log.pop()
        case "hole":
            story.log = [(offset + (offset > 1), value) for offset, value in story.log]
        case "phantom":
            story.log.append((4, b"nobody's"))
        case "duplicate":
            story.log.append((4, values[3]))
        case "moved":
            story.log[2:] = [(2, values[3]), (3, values[2])]
        case _:
            story.consume(0, values[2])
    (problem, *_) = story.problems()
    assert problem.startswith(what)


def test_what_was_deleted_is_not_missed() -> None:
    story = Story()
    values = [story.send("careful", number, number) for number in range(4)]
    story.consume(1, values[1])
    story.start = 2
    story.log = story.log[1:]
    assert story.problems() == []
    story.log = story.log[:2]
    assert [problem.partition(":")[0] for problem in story.problems()] == ["loss"]
