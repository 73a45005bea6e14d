"""The log with what is not yet written."""

import pytest

from chronik.raft.core.entries import Entries, Marker, TermStart
from chronik.raft.core.ready import LogStart, Ready
from chronik.raft.core.tail import LogTail
from chronik.raft.core.types import BEFORE_FIRST, RaftIndex, Term
from chronik.vocab.invariant import InvariantViolation
from tests.unit.raft.core.group import membership
from tests.unit.raft.core.model_log import ModelLog, Unit, entries_of

ONE = membership(1)


def unit(first: int, last: int, term: int) -> Unit:
    return Unit(first=first, last=last, term=term, value=f"{first}-{last}@{term}")


def entries(*units: Unit) -> Entries:
    return entries_of(units)


def test_unwritten_entries_have_terms() -> None:
    tail = LogTail(ModelLog(ONE))
    tail.append(entries(unit(0, 2, 1), unit(3, 3, 4)), RaftIndex(0))
    assert [tail.term_at(RaftIndex(i)) for i in range(-1, 4)] == [0, 1, 1, 1, 4]
    assert (tail.last_index, tail.last_term) == (3, 4)


def test_a_truncation_drops_and_cuts_what_is_not_written() -> None:
    tail = LogTail(ModelLog(ONE))
    tail.append(entries(unit(0, 2, 1), unit(3, 4, 1)), RaftIndex(0))
    tail.append(entries(unit(5, 9, 1)), RaftIndex(5))
    tail.truncate(RaftIndex(2))
    _, truncate_to, appends = tail.take()
    assert truncate_to is None
    assert [(a.first, a.last, a.entries.last) for a in appends] == [(0, 2, 4)]


def test_a_truncation_below_what_is_written_comes_before_the_appends() -> None:
    log = ModelLog(ONE)
    tail = LogTail(log)
    tail.append(entries(unit(0, 0, 1), unit(1, 3, 1)), RaftIndex(0))
    _take(tail, log)
    tail.append(entries(unit(4, 4, 1)), RaftIndex(4))
    tail.truncate(RaftIndex(0))
    tail.append(entries(unit(1, 1, 2)), RaftIndex(1))
    _, truncate_to, appends = tail.take()
    assert truncate_to == 0
    assert [(a.first, a.last) for a in appends] == [(1, 1)]


def test_a_restart_replaces_all_that_was_to_be_written() -> None:
    tail = LogTail(ModelLog(ONE))
    tail.append(entries(unit(0, 2, 1)), RaftIndex(0))
    start = LogStart(index=RaftIndex(9), term=Term(3), membership=ONE)
    tail.restart(start)
    tail.append(entries(unit(10, 11, 3)), RaftIndex(10))
    assert (tail.first_index, tail.last_index) == (10, 11)
    assert tail.term_at(RaftIndex(9)) == 3
    restart, _, appends = tail.take()
    assert restart == start
    assert [(a.first, a.last) for a in appends] == [(10, 11)]
    with pytest.raises(InvariantViolation):
        tail.forget()


def test_unwritten_entries_are_sent_within_the_byte_limit_but_one() -> None:
    tail = LogTail(ModelLog(ONE))
    for first in (0, 3, 6):
        tail.append(entries(unit(first, first + 2, 1)), RaftIndex(first))
    pieces = tail.slice(RaftIndex(3), 1)
    assert pieces is not None
    assert [piece.first for piece in pieces] == [3]
    pieces = tail.slice(RaftIndex(0), 600)
    assert pieces is not None
    assert [piece.first for piece in pieces] == [0, 3]
    with pytest.raises(InvariantViolation):
        tail.slice(RaftIndex(4), 1)


def test_terms_are_searched_within_the_log() -> None:
    tail = LogTail(ModelLog(ONE))
    tail.append(entries(unit(0, 2, 1), unit(3, 4, 3), unit(5, 9, 5)), RaftIndex(0))
    found = [tail.last_at_most(Term(t), RaftIndex(9)) for t in range(7)]
    assert found == [BEFORE_FIRST, 2, 2, 4, 4, 9, 9]
    assert tail.first_other(Term(3), RaftIndex(3), RaftIndex(9)) == 5
    assert tail.first_other(Term(5), RaftIndex(5), RaftIndex(9)) == 10
    assert tail.has(RaftIndex(4), Term(3))
    assert not tail.has(RaftIndex(10), Term(5))


@pytest.mark.parametrize(
    "bad",
    [
        Entries(first=RaftIndex(0), last=RaftIndex(-1), starts=()),
        Entries(first=RaftIndex(0), last=RaftIndex(0), starts=()),
        Entries(
            first=RaftIndex(0),
            last=RaftIndex(3),
            starts=(
                TermStart(index=RaftIndex(0), term=Term(2)),
                TermStart(index=RaftIndex(2), term=Term(1)),
            ),
        ),
        Entries(
            first=RaftIndex(0),
            last=RaftIndex(0),
            starts=(TermStart(index=RaftIndex(0), term=Term(1)),),
            markers=(Marker(index=RaftIndex(5)),),
        ),
    ],
)
def test_entries_that_cannot_be_are_not_appended(bad: Entries) -> None:
    with pytest.raises(InvariantViolation):
        LogTail(ModelLog(ONE)).append(bad, RaftIndex(0))


def test_there_are_no_holes_and_no_terms_outside() -> None:
    tail = LogTail(ModelLog(ONE))
    tail.append(entries(unit(0, 2, 1)), RaftIndex(0))
    with pytest.raises(InvariantViolation):
        tail.append(entries(unit(4, 4, 1)), RaftIndex(4))
    with pytest.raises(InvariantViolation):
        tail.term_at(RaftIndex(3))


def _take(tail: LogTail, log: ModelLog) -> None:
    restart, truncate_to, appends = tail.take()
    log.write(Ready(restart=restart, truncate_to=truncate_to, appends=appends))
    assert tail.is_taken
    tail.absorb_appended()
