"""The ledger finds what a cluster must not do."""

import pytest

from chronik.history.violations import Allowances
from tests.proofs.cluster.ledger import Ledger, number_of


def ledger(acknowledged: int = 3) -> Ledger:
    """One partition, three records sent, the first ones acknowledged a second apart."""
    made = Ledger("topic", 1)
    for number in range(3):
        value = made.next_value(0)
        made.count_sent(0)
        if number < acknowledged:
            made.on_acknowledged(0, value, number, at=float(number))
    return made


GOOD = [(0, 0), (1, 1), (2, 2)]


def test_nothing_is_wrong_with_what_was_sent() -> None:
    assert list(ledger().problems([GOOD])) == []


@pytest.mark.parametrize(
    ("read", "acknowledged"),
    [
        pytest.param([(0, 0), (1, 1)], 3, id="lost"),
        pytest.param([(0, 0), (1, 1)], 2, id="lost, not acknowledged"),
        pytest.param([(0, 0), (1, 1), (2, 1), (3, 2)], 3, id="doubled"),
        pytest.param([(0, 0), (1, 2), (2, 1)], 1, id="out of order"),
        pytest.param([(0, 0), (1, 1), (3, 2)], 3, id="elsewhere"),
        pytest.param([], 0, id="nothing"),
    ],
)
def test_what_differs_is_found(read: list[tuple[int, int]], acknowledged: int) -> None:
    assert list(ledger(acknowledged).problems([read]))


def test_failed_deliveries_are_problems() -> None:
    made = ledger()
    partition, value = made.next()
    made.on_failed(partition, value, "timed out")
    assert list(made.problems([GOOD])) == ["record 3 of partition 0: timed out"]


def test_what_was_never_answered_is_a_problem_until_it_is_given_up() -> None:
    made = ledger()
    made.next()
    (problem,) = made.problems([GOOD])
    assert problem.startswith("1 records were never answered")
    made.give_up(None)
    assert list(made.problems([GOOD])) == []


def test_a_record_that_is_answered_twice_is_a_bug_of_the_harness() -> None:
    made = ledger()
    with pytest.raises(KeyError):
        made.on_acknowledged(0, b"0", 0)


def test_records_go_to_one_partition_after_the_other() -> None:
    made = Ledger("topic", 2)
    assert [made.next() for _ in range(4)] == [(0, b"0"), (1, b"0"), (0, b"1"), (1, b"1")]


def test_a_retry_without_idempotence_may_double_records() -> None:
    log = [*GOOD, (3, 0), (4, 1)]
    assert list(ledger().problems([log], Allowances(repeating=[""]))) == []
    assert len(list(ledger().problems([log]))) == 2


def test_values_carry_their_numbers() -> None:
    assert ledger().next_value(0) == b"3"
    made = Ledger("topic", 1, value_bytes=100)
    made.count_sent(0)
    assert number_of(made.next_value(0)) == 1
    assert len(made.next_value(0)) == 100


def test_a_gap_ends_in_the_span_and_may_begin_before_it() -> None:
    made = ledger()
    made.times[0] = [0.0, 5.0, 6.0, 8.0, 20.0]
    assert made.longest_gap(0, 4.0, 9.0) == 5.0
    assert made.longest_gap(0, 5.5, 9.0) == 2.0
    assert made.longest_gap(0, 8.5, 9.0) == 0.0


def test_the_overall_gap_takes_all_partitions_as_one() -> None:
    made = Ledger("topic", 2)
    made.times[:] = [[0.0, 10.0], [1.0, 4.0, 11.0]]
    assert made.longest_gap_overall(0.5, 12.0) == 6.0


def test_a_partition_is_past_a_mark_with_a_later_record() -> None:
    made = ledger(acknowledged=2)
    assert made.is_everywhere_past([1])
    assert not made.is_everywhere_past([2])
    assert not Ledger("topic", 1).is_everywhere_past([0])
