"""Pauses, and whose they are."""

import pytest

from chronik.history.check import History
from chronik.history.events import Poll, Send
from tests.chaos.availability import Pauses, longest_touching, per_second


@pytest.mark.parametrize(
    ("began", "ended", "expected"),
    [
        pytest.param(2.0, 3.0, 3.0, id="within a pause"),
        pytest.param(0.5, 1.2, 3.0, id="that begins in it"),
        pytest.param(3.9, 4.5, 3.0, id="that ends in it"),
        pytest.param(0.1, 0.2, 1.0, id="before it"),
        pytest.param(4.2, 4.4, 0.5, id="after it"),
        pytest.param(9.0, 10.0, 0.0, id="after all"),
    ],
)
def test_the_longest_pause_that_touches_a_span(began: float, ended: float, expected: float) -> None:
    assert longest_touching([0.0, 1.0, 4.0, 4.5], began, ended) == expected


def test_nothing_has_no_pauses() -> None:
    assert longest_touching([], 0.0, 1.0) == 0.0
    assert longest_touching([0.5], 0.0, 1.0) == 0.0


def send(place: str, done_at: float, offset: int | None = 0) -> Send:
    return Send(place=place, number=0, sent_at=0.0, done_at=done_at, offset=offset)


def test_a_partition_may_pause_while_others_go_on() -> None:
    events = [send("t-0", 0.0), send("t-0", 8.0), *(send("t-1", float(at)) for at in range(9))]
    pauses = Pauses(History.of([*events, send("t-0", 4.0, None)]))
    assert pauses.of_a_partition(3.0, 3.5) == 8.0
    assert pauses.of_all(3.0, 3.5) == 1.0


def test_groups_pause_by_themselves() -> None:
    polls = [
        Poll(group=group, began=0.0, ended=at, records={"t-0": [(0, 0)]})
        for group, at in (("one", 1.0), ("other", 2.0), ("one", 3.0), ("other", 7.0))
    ]
    assert Pauses(History.of(polls)).of_a_group(2.5, 2.6) == 5.0


def test_counts_by_second() -> None:
    assert per_second([9.9, 10.0, 10.5, 12.0, 12.9, 13.0], 10.0, 13.2) == [2, 0, 2]
