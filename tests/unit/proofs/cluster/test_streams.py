"""What producers and groups report is held to what they were promised."""

import pytest

from tests.proofs.cluster.streams import Taken, Written, log_problems


def written(sent: int, acknowledged: list[int]) -> Written:
    made = Written("client", "topic", 1)
    for _ in range(sent):
        made.next()
    for number in acknowledged:
        made.on_acknowledged(0, b"%d" % number)
    return made


def taken(offsets_and_numbers: list[tuple[int, int]]) -> Taken:
    made = Taken("client", ["topic"], 1)
    for offset, number in offsets_and_numbers:
        made.on_record("topic", 0, offset, b"%d" % number)
    return made


def test_records_go_to_one_partition_after_the_other() -> None:
    made = Written("client", "topic", 2)
    assert [made.next() for _ in range(4)] == [(0, b"0"), (1, b"0"), (0, b"1"), (1, b"1")]


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        pytest.param([0, 1, 2], None, id="good"),
        pytest.param([0, 1, 1, 2], "1 records twice", id="doubled"),
        pytest.param([0, 2], "1 records are not there, 1 of them acknowledged", id="lost"),
        pytest.param([0, 2, 1], "out of order", id="out of order"),
    ],
)
def test_the_log_holds_each_record_once_and_in_order(log: list[int], problem: str | None) -> None:
    records = list(enumerate(log))
    found = list(log_problems(written(3, [0, 1]), 0, records, is_idempotent=True))
    assert [problem in each for each in found if problem] == [True] * (problem is not None)
    assert bool(found) == (problem is not None)


def test_a_retry_without_idempotence_may_double_records() -> None:
    records = list(enumerate([0, 1, 0, 1, 2]))
    assert list(log_problems(written(3, []), 0, records, is_idempotent=False)) == []


def test_a_group_may_go_back_but_leave_nothing_out() -> None:
    of_three = written(3, [0, 1, 2])
    assert list(taken([(0, 0), (1, 1), (0, 0), (1, 1), (2, 2)]).problems(of_three)) == []
    assert taken([(0, 0), (1, 1), (0, 0)]).read_again() == 1
    (gap,) = taken([(0, 0), (2, 2), (1, 1)]).problems(of_three)
    assert "from offset 0 to 2" in gap
    (missing,) = taken([(0, 0), (1, 1)]).problems(of_three)
    assert "1 acknowledged records not read" in missing


def test_a_group_has_all_when_it_has_what_was_acknowledged() -> None:
    assert taken([(0, 0), (1, 1)]).has_all(written(3, [0, 1]))
    assert not taken([(0, 0)]).has_all(written(3, [0, 1]))


def test_writing_is_everywhere_past_only_when_every_partition_is() -> None:
    of_two = Written("client", "topic", 2)
    of_two.on_acknowledged(0, b"0")
    assert not of_two.is_everywhere_past([0, 0])
    of_two.on_acknowledged(1, b"0")
    assert of_two.is_everywhere_past([0, 0])
