"""The arithmetic of indexes and offsets, against a log written out entry by entry."""

from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.raft.core.entries import TermStart
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM, Membership, RaftIndex, Term
from chronik.raft.markers import MarkerBase, MarkerRecord, Markers
from chronik.vocab.ids import NodeId, Offset
from chronik.vocab.invariant import InvariantViolation

ALONE = Membership(voters=frozenset({NodeId(1)}))
THREE = Membership(voters=frozenset({NodeId(1), NodeId(2), NodeId(3)}))
START = MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, ALONE, BEFORE_FIRST)


def start_at(index: int, offset: int, term: int) -> MarkerRecord:
    return MarkerRecord(RaftIndex(index), Offset(offset), Term(term))


def membership_at(index: int, offset: int, term: int, membership: Membership = THREE) -> MarkerRecord:
    return MarkerRecord(RaftIndex(index), Offset(offset), Term(term), membership)


class Entry(NamedTuple):
    """One index of the log."""

    term: int
    # None for a marker.
    offset: int | None
    membership: Membership | None = None


class Model:
    """A log as a list, of which the first entry may be at any index."""

    def __init__(self, base: MarkerBase) -> None:
        self.base = base
        self.entries: list[Entry] = []
        self.markers = Markers(base)

    @property
    def first(self) -> int:
        return self.base.index + 1

    @property
    def last(self) -> int:
        return self.base.index + len(self.entries)

    @property
    def term(self) -> int:
        return self.entries[-1].term if self.entries else self.base.term

    @property
    def end_offset(self) -> int:
        offsets = [entry.offset for entry in self.entries if entry.offset is not None]
        return offsets[-1] + 1 if offsets else self.base.offset

    def at(self, index: int) -> Entry:
        return self.entries[index - self.first]

    def append_records(self, count: int) -> None:
        for _ in range(count):
            self.entries.append(Entry(self.term, self.end_offset))

    def append_marker(self, term: int, membership: Membership | None = None) -> None:
        record = MarkerRecord(RaftIndex(self.last + 1), Offset(self.end_offset), Term(term), membership)
        self.markers.append(record)
        self.entries.append(Entry(term, None, membership))

    def truncate(self, to: int) -> None:
        self.markers.truncate(RaftIndex(to))
        del self.entries[to + 1 - self.first :]

    def rebase(self, index: int) -> None:
        base = self.markers.base_at(RaftIndex(index))
        gone = self.entries[: index + 1 - self.first]
        offsets = [entry.offset for entry in gone if entry.offset is not None]
        known = [(self.base.membership_index, self.base.membership)]
        known += [
            (RaftIndex(self.first + number), entry.membership)
            for number, entry in enumerate(gone)
            if entry.membership is not None
        ]
        assert base == MarkerBase(
            RaftIndex(index),
            Offset(offsets[-1] + 1 if offsets else self.base.offset),
            Term(gone[-1].term if gone else self.base.term),
            known[-1][1],
            known[-1][0],
        )
        self.markers.rebase(base)
        self.base, self.entries = base, self.entries[len(gone) :]

    # Expectations.

    def check(self) -> None:
        markers = self.markers
        indexes = range(self.first, self.last + 1)
        assert markers.base == self.base
        assert [markers.term_at(RaftIndex(i)) for i in indexes] == [self.at(i).term for i in indexes]
        assert markers.term_at(self.base.index) == self.base.term
        assert markers.offset_after(self.base.index) == self.base.offset
        offset = self.base.offset
        for index in indexes:
            entry = self.at(index)
            assert markers.is_marker(RaftIndex(index)) == (entry.offset is None)
            if entry.offset is not None:
                offset = Offset(entry.offset + 1)
                assert markers.index_of(Offset(entry.offset)) == index
                assert markers.index_before(offset) == index
            assert markers.offset_after(RaftIndex(index)) == offset
        assert markers.index_of(offset) == self.last + 1
        assert markers.index_before(self.base.offset) == self.base.index
        assert not markers.is_marker(RaftIndex(self.last + 1))
        self._check_markers(indexes)

    def _check_markers(self, indexes: range) -> None:
        markers = self.markers
        expected = [i for i in indexes if self.at(i).offset is None]
        assert [record.index for record in markers.records()] == expected
        assert len(markers) == len(expected)
        last = markers.last
        assert (None if last is None else last.index) == (expected[-1] if expected else None)
        for index in range(self.first, self.last + 2):
            found = markers.next_at_or_after(RaftIndex(index))
            following = next((i for i in expected if i >= index), None)
            assert (None if found is None else found.index) == following
        assert list(markers.memberships()) == [
            (self.base.membership_index, self.base.membership),
            *((i, self.at(i).membership) for i in expected if self.at(i).membership is not None),
        ]
        for term in range(self.term + 2):
            starts = [i for i in expected if self.at(i).term == term and self.at(i).membership is None]
            found = markers.leader_start(Term(term))
            assert (None if found is None else found.index) == (starts[0] if starts else None)

    def check_range(self, first: int, last: int) -> None:
        between = self.markers.between(RaftIndex(first), RaftIndex(last))
        assert [r.index for r in between] == [i for i in range(first, last + 1) if self.at(i).offset is None]
        starts = [TermStart(index=RaftIndex(first), term=Term(self.at(first).term))]
        for index in range(first + 1, last + 1):
            if self.at(index).term != self.at(index - 1).term:
                starts.append(TermStart(index=RaftIndex(index), term=Term(self.at(index).term)))
        assert self.markers.term_starts(RaftIndex(first), RaftIndex(last)) == tuple(starts)


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(st.integers(0, 2**32))
def test_they_describe_the_log(seed: int) -> None:
    random = Random(seed)
    base = random.choice([START, MarkerBase(RaftIndex(40), Offset(33), Term(5), THREE, RaftIndex(30))])
    model = Model(base)
    for _ in range(random.randrange(1, 25)):
        match random.randrange(8):
            case 0 | 1 | 2:
                model.append_records(random.randrange(1, 5))
            case 3 | 4:
                model.append_marker(model.term + random.randrange(1, 3))
            case 5 if model.term > 0:
                model.append_marker(model.term, random.choice([ALONE, THREE]))
            case 6 if model.entries:
                model.truncate(random.randint(model.base.index, model.last))
            case 7 if model.entries and random.random() < 0.5:
                model.rebase(random.randint(model.base.index, model.last))
        model.check()
        if model.entries:
            first = random.randint(model.first, model.last)
            model.check_range(first, random.randint(first, model.last))


def test_markers_at_one_offset_come_after_the_record_before_it() -> None:
    markers = Markers(START, [start_at(0, 0, 1), start_at(4, 3, 2), membership_at(5, 3, 2)])
    assert markers.index_before(Offset(3)) == 3
    assert markers.index_of(Offset(3)) == 6


def test_a_restart_leaves_nothing_of_the_old_log() -> None:
    markers = Markers(START, [start_at(0, 0, 1), start_at(4, 3, 2)])
    base = MarkerBase(RaftIndex(50), Offset(40), Term(7), THREE, RaftIndex(50))
    markers.restart(base)
    assert markers.last is None
    assert (markers.term_at(RaftIndex(50)), markers.index_of(Offset(40))) == (7, 51)
    assert list(markers.memberships()) == [(50, THREE)]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(start_at(6, 3, 2), id="index beyond the records"),
        pytest.param(start_at(4, 3, 2), id="index of a record"),
        pytest.param(start_at(1, 0, 2), id="offset before the last marker's"),
        pytest.param(start_at(5, 3, 1), id="no later term"),
        pytest.param(membership_at(5, 3, 2), id="membership that opens a term"),
    ],
)
def test_a_marker_that_cannot_follow_stops_the_replica(record: MarkerRecord) -> None:
    markers = Markers(START, [start_at(0, 0, 1), membership_at(2, 1, 1)])
    with pytest.raises(InvariantViolation):
        markers.append(record)
    assert len(markers) == 2


def test_what_is_before_the_base_is_not_known() -> None:
    markers = Markers(
        MarkerBase(RaftIndex(9), Offset(8), Term(3), ALONE, RaftIndex(9)), [start_at(12, 10, 4)]
    )
    for ask in (
        lambda: markers.term_at(RaftIndex(8)),
        lambda: markers.offset_after(RaftIndex(8)),
        lambda: markers.index_of(Offset(7)),
        lambda: markers.truncate(RaftIndex(8)),
    ):
        with pytest.raises(InvariantViolation):
            ask()
