"""The markers of one group, and all arithmetic between Raft's indexes and Kafka's offsets.

A marker is an entry without an offset: the start of a leader's term, or a membership. An index is an offset
plus the markers before it, so with the markers in order every question here is one bisection, and none at all
behind the last marker, where nearly every question is asked. Pure; `raft.state_store` keeps them on disk.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from chronik.raft.core.entries import TermStart
from chronik.raft.core.types import Membership, RaftIndex, Term
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import invariant


class MarkerRecord(NamedTuple):
    """One marker."""

    index: RaftIndex  # type: ignore[assignment]  # the method of tuples is not used
    # Of the record that follows it, there or still to come: the records before it are below.
    offset: Offset
    # The one the entry was written in; for a leader start the one it opens.
    term: Term
    # None: a leader start.
    membership: Membership | None = None


_index_of = itemgetter(0)
_offset_of = itemgetter(1)


class MarkerBase(NamedTuple):
    """The start of the description by markers: stands for `index` and everything before."""

    # BEFORE_FIRST for a log from its beginning.
    index: RaftIndex  # type: ignore[assignment]  # the method of tuples is not used
    # Of the first record after `index`.
    offset: Offset
    # Of the entry at `index`; NO_TERM for a log from its beginning.
    term: Term
    # In force at `index`, and the index of its own marker, or `index` when that is not known any more.
    membership: Membership
    membership_index: RaftIndex


class Markers:
    """Made with the group's state, which owns them; changed by the store only."""

    __slots__ = ("_last_index", "_last_offset", "_last_term", "_records", "base")

    def __init__(self, base: MarkerBase, records: Iterable[MarkerRecord] = ()) -> None:
        self.base = base
        # Invariant: rising in index; not falling in offset and term; all after `base`.
        self._records: list[MarkerRecord] = []
        # Invariant: those of the last marker, or of the base when there is none.
        self._last_index = base.index
        self._last_offset = base.offset
        self._last_term = base.term
        for record in records:
            self.append(record)

    @property
    def last(self) -> MarkerRecord | None:
        return self._records[-1] if self._records else None

    def __len__(self) -> int:
        return len(self._records)

    # Changes.

    def append(self, record: MarkerRecord) -> None:
        """Take one after all others; any number of records may lie between."""
        self.check((record,))
        index, offset, term, _ = record
        self._records.append(record)
        self._last_index, self._last_offset, self._last_term = index, offset, term

    def check(self, records: Iterable[MarkerRecord]) -> None:
        """Stop unless `append` can take these."""
        before, offset_before, term_before = self._last_index, self._last_offset, self._last_term
        for index, offset, term, membership in records:
            expected = before + 1 + offset - offset_before
            invariant(offset >= offset_before, "marker at offset {} after {}", offset, offset_before)
            invariant(index == expected, "marker {} at offset {} is not at {}", index, offset, expected)
            # The first entry of a term is its leader start.
            is_next = term > term_before if membership is None else term == term_before
            invariant(is_next, "marker {} of term {} after {}", index, term, term_before)
            before, offset_before, term_before = index, offset, term

    def truncate(self, to: RaftIndex) -> None:
        """Drop those after `to`, which is not before the base."""
        invariant(to >= self.base.index, "truncation to {} before {}", to, self.base.index)
        self._keep(0, bisect_right(self._records, to, key=_index_of))

    def rebase(self, base: MarkerBase) -> None:
        """Forget those at or before `base.index`; the base comes from `base_at`."""
        first = bisect_right(self._records, base.index, key=_index_of)
        self.base = base
        self._keep(first, len(self._records))

    def restart(self, base: MarkerBase) -> None:
        """Forget all: the log is another one, from `base` on."""
        self.base = base
        self._keep(0, 0)

    def base_at(self, index: RaftIndex) -> MarkerBase:
        """Returns the base of a log that begins after `index`."""
        base = self.base
        membership, membership_index = base.membership, base.membership_index
        for record in reversed(self._records[: bisect_right(self._records, index, key=_index_of)]):
            if record.membership is not None:
                membership, membership_index = record.membership, record.index
                break
        return MarkerBase(index, self.offset_after(index), self.term_at(index), membership, membership_index)

    def _keep(self, first: int, end: int) -> None:
        del self._records[end:], self._records[:first]
        last = self._records[-1] if self._records else self.base
        self._last_index, self._last_offset, self._last_term = last.index, last.offset, last.term

    # Questions.

    def term_at(self, index: RaftIndex) -> Term:
        """The term of the entry at `index`, which is not before the base."""
        if index >= self._last_index:
            return self._last_term
        return self._at_or_before(index).term

    def offset_after(self, index: RaftIndex) -> Offset:
        """Exclusive bound of the records at or before `index`, which is not before the base."""
        if index >= self._last_index:
            return Offset(self._last_offset + index - self._last_index)
        before = self._at_or_before(index)
        return Offset(before.offset + index - before.index)

    def index_of(self, offset: Offset) -> RaftIndex:
        """The index of the record at `offset`, also of the next one to be appended; not below the base's
        offset.
        """
        if offset >= self._last_offset:
            return RaftIndex(self._last_index + 1 + offset - self._last_offset)
        invariant(offset >= self.base.offset, "offset {} below {}", offset, self.base.offset)
        position = bisect_right(self._records, offset, key=_offset_of)
        before = self._records[position - 1] if position else self.base
        return RaftIndex(before.index + 1 + offset - before.offset)

    def index_before(self, offset: Offset) -> RaftIndex:
        """The index of the record before `offset`; the base's when there is none after it. Markers between
        the two records come later.
        """
        return self.index_of(Offset(offset - 1)) if offset > self.base.offset else self.base.index

    def is_marker(self, index: RaftIndex) -> bool:
        if index > self._last_index:
            return False
        position = bisect_left(self._records, index, key=_index_of)
        return position < len(self._records) and self._records[position].index == index

    def between(self, first: RaftIndex, last: RaftIndex) -> Sequence[MarkerRecord]:
        """Returns the markers in [first, last]."""
        if first > self._last_index:
            return ()
        begin = bisect_left(self._records, first, key=_index_of)
        return self._records[begin : bisect_right(self._records, last, key=_index_of)]

    def next_at_or_after(self, index: RaftIndex) -> MarkerRecord | None:
        if index > self._last_index:
            return None
        position = bisect_left(self._records, index, key=_index_of)
        return self._records[position] if position < len(self._records) else None

    def term_starts(self, first: RaftIndex, last: RaftIndex) -> tuple[TermStart, ...]:
        """The terms of [first, last]: where each begins, the one at `first` counted from there."""
        starts = [TermStart(index=first, term=self.term_at(first))]
        if first < self._last_index:
            for record in self.between(RaftIndex(first + 1), last):
                if record.term != starts[-1].term:
                    starts.append(TermStart(index=record.index, term=record.term))
        return tuple(starts)

    def memberships(self) -> Sequence[tuple[RaftIndex, Membership]]:
        """Returns all memberships in the log, after the one in force at the base."""
        found = [(self.base.membership_index, self.base.membership)]
        found += [(r.index, r.membership) for r in self._records if r.membership is not None]
        return found

    def leader_start(self, term: Term) -> MarkerRecord | None:
        """The first entry of `term`, if it is after the base."""
        position = bisect_left(self._records, term, key=_term_of)
        if position == len(self._records):
            return None
        record = self._records[position]
        return record if record.term == term and record.membership is None else None

    def records(self) -> Sequence[MarkerRecord]:
        """Returns all markers, in order."""
        return tuple(self._records)

    def _at_or_before(self, index: RaftIndex) -> MarkerRecord | MarkerBase:
        invariant(index >= self.base.index, "index {} before {}", index, self.base.index)
        position = bisect_right(self._records, index, key=_index_of)
        return self._records[position - 1] if position else self.base


def _term_of(record: MarkerRecord) -> Term:
    return record.term


class RestartPayload(NamedTuple):
    """Where the follower's log starts, in offsets, which the core does not know. Sent with `RestartLog`;
    opaque to the core.
    """

    # The first offset after `RestartLog.index`: base offset of the next batch.
    offset: Offset
    # The state machine's state before that offset, for groups that keep one (`__meta`).
    snapshot: bytes | None
