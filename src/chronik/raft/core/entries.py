"""Entries as they are sent and appended: runs of whole record batches and markers; the bytes are opaque.

All are values. Those created for every produce are named tuples, which are several times faster to create.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from chronik.raft.core.types import Membership, RaftIndex, Term
from chronik.vocab.invariant import invariant


class TermStart(NamedTuple):
    """Entries from `index` on are of `term`."""

    index: RaftIndex  # type: ignore[assignment]  # the method of tuples is not used
    term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """An entry that takes no offset: the start of a leader's term, or a membership."""

    index: RaftIndex
    # None: a leader start, the no-op that opens a term.
    membership: Membership | None = None


class Entries(NamedTuple):
    """Consecutive whole entries [first, last]. `payload` belongs to the shell: here it is only passed on."""

    # Invariant: first <= last; both at the edge of a batch or marker.
    first: RaftIndex
    last: RaftIndex
    # Invariant: not empty, starts[0].index == first, strictly rising in index and term, within [first, last].
    starts: tuple[TermStart, ...]
    # Invariant: rising in index, within [first, last]. All other indexes are those of record batches.
    markers: tuple[Marker, ...] = ()
    # The record batches, in the form that the shell appends and sends. None when there are only markers.
    payload: object = None
    # Bytes this takes on the wire, for flow control; markers count as nothing.
    size: int = 0

    @property
    def last_term(self) -> Term:
        return self.starts[-1].term

    def term_at(self, index: RaftIndex) -> Term:
        last = self.starts[-1]
        if last.index <= index:
            return last.term
        return next(start.term for start in reversed(self.starts) if start.index <= index)

    def runs(self) -> list[tuple[RaftIndex, RaftIndex, Term]]:
        """[first, last] of each term."""
        if len(self.starts) == 1:
            return [(self.first, self.last, self.starts[0].term)]
        ends = [RaftIndex(start.index - 1) for start in self.starts[1:]] + [self.last]
        return [(start.index, end, start.term) for start, end in zip(self.starts, ends, strict=True)]


class Append(NamedTuple):
    """Write [first, last] out of `entries` at the end of the log.

    A follower that has some of them already, or dropped some before they were written, gets fewer than
    `entries` has. Both bounds are those of batches.
    """

    # Invariant: entries.first <= first <= last <= entries.last.
    first: RaftIndex
    last: RaftIndex
    entries: Entries


def check(entries: Entries) -> None:
    """The invariants of entries that come from outside this node's core."""
    starts = entries.starts
    is_run = len(starts) == 1 and starts[0].index == entries.first <= entries.last
    if is_run and not entries.markers:
        return
    invariant(entries.first <= entries.last, "entries {} to {}", entries.first, entries.last)
    invariant(starts and starts[0].index == entries.first, "entries without a first term")
    for start, following in pairwise(starts):
        rises = start.index < following.index and start.term < following.term
        invariant(rises and following.index <= entries.last, "terms not rising at {}", following.index)
    for marker in entries.markers:
        invariant(entries.first <= marker.index <= entries.last, "marker {} outside", marker.index)
