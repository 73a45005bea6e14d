"""What a group was given is held to what was written."""

from tests.proofs.cluster.ledger import Ledger
from tests.proofs.cluster.streams import Taken

LOG = [(0, 0), (1, 1), (2, 2)]


def written(acknowledged: int) -> Ledger:
    """Three records, the first ones acknowledged."""
    made = Ledger("topic", 1, client="client")
    values = [made.next()[1] for _ in range(3)]
    for number in range(acknowledged):
        made.on_acknowledged(0, values[number], number)
    return made


def taken(offsets_and_numbers: list[tuple[int, int]]) -> Taken:
    made = Taken("client", ["topic"], 1)
    for offset, number in offsets_and_numbers:
        made.on_record("topic", 0, offset, b"%d" % number)
    return made


def problems(given: list[tuple[int, int]], acknowledged: int = 3) -> list[str]:
    return list(taken(given).problems([written(acknowledged)], {"topic-0": LOG}))


def test_a_group_may_go_back_but_leave_nothing_out() -> None:
    assert problems([*LOG[:2], *LOG]) == []
    assert taken([*LOG[:2], *LOG]).read_again() == 2
    (gap,) = problems([LOG[0], LOG[2], LOG[1]])
    assert gap.startswith("skipped")
    (missing,) = problems(LOG[:2])
    assert missing.startswith("unread: rolling-client: 1 records")
    assert problems(LOG[:2], acknowledged=2) == []


def test_a_group_has_all_when_it_has_what_was_acknowledged() -> None:
    assert taken(LOG[:2]).has_all(written(2))
    assert not taken(LOG[:1]).has_all(written(2))
    assert taken(LOG).has_read_everywhere
    assert not taken([]).has_read_everywhere
