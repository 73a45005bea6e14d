"""The ledger finds what a cluster must not do."""

import pytest

from tests.proofs.cluster.ledger import Ledger, number_of


def ledger(acknowledged: int = 3) -> Ledger:
    """One partition, three records sent, the first ones acknowledged a second apart."""
    made = Ledger("topic", 1)
    for number in range(3):
        value = made.next_value(0)
        made.sent[0] += 1
        if number < acknowledged:
            made.on_acknowledged(0, offset=number, value=value, at=float(number))
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
    made.failures.append("partition 0: timed out")
    assert list(made.problems([GOOD])) == ["partition 0: timed out"]


def test_values_carry_their_numbers() -> None:
    made = ledger()
    assert number_of(made.next_value(0)) == 3
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
