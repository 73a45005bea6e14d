"""Histories that are as they should be, and each way in which they are not."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast
from unittest.mock import patch

import pytest

from chronik.sim.checks import promises
from chronik.sim.checks.problems import Problems
from chronik.sim.checks.promises import check_promises, unread
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

    def send(self, producer: str, number: int, offset: int | None) -> bytes:
        """Acknowledged at that offset, if at any; it is in the log there."""
        value = self.history.send(Sent(producer, P, number), "", number)
        if offset is not None:
            self.history.acknowledge(value, Offset(offset), 1.0)
            self.log.append((offset, value))
        return value

    def problems(self) -> list[str]:
        found = Problems(Trace(lambda: 0.0))
        log = SimpleNamespace(start_offset=Offset(0))
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
    story.history.consume("g", P, Offset(0), first)
    assert story.problems() == []


@pytest.mark.parametrize("what", ["lost", "moved", "foreign", "hole", "doubled", "swapped", "dirty read"])
def test_what_was_not_kept(what: str) -> None:
    story = Story()
    values = [story.send("careful", number, number) for number in range(4)]
    match what:
        case "lost":
            story.log.pop()
        case "moved":
            story.log[3] = (4, values[3])
        case "foreign":
            story.log.append((4, b"nobody's"))
        case "hole":
            story.log = [(offset + (offset > 1), value) for offset, value in story.log]
        case "doubled":
            story.log.append((4, values[3]))
        case "swapped":
            story.log[2:] = [(2, values[3]), (3, values[2])]
        case _:
            story.history.consume("g", P, Offset(1), values[2])
    assert story.problems()


def test_what_a_group_has_not_read() -> None:
    story = Story()
    values = [story.send("careful", number, number) for number in range(2)]
    story.send("careful", 2, None)
    story.history.consume("g", P, Offset(0), values[0])
    assert unread(story.history, "g", [P]) == [Sent("careful", P, 1)]
    assert len(unread(story.history, "other", [P])) == 2
    assert unread(story.history, "g", [TopicPartition("t", 1)]) == []
