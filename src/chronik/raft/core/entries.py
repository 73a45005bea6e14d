"""What travels and is appended: runs of whole record batches and markers, their bytes unseen."""

from dataclasses import dataclass

from chronik.raft.core.types import Membership, RaftIndex, Term
from chronik.vocab.invariant import invariant


@dataclass(frozen=True, slots=True, kw_only=True)
class TermStart:
    """From `index` on, entries are of `term`."""

    index: RaftIndex
    term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """An entry that takes no offset: the start of a leader's term, or a membership."""

    index: RaftIndex
    # None: a leader start, the no-op that opens a term.
    membership: Membership | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Consecutive whole entries [first, last]. `payload` belongs to the shell: here it is only passed on."""

    # Invariant: first <= last; both at the edge of a batch or marker.
    first: RaftIndex
    last: RaftIndex
    # Invariant: not empty, starts[0].index == first, strictly rising in index and term, within [first, last].
    starts: tuple[TermStart, ...]
    # Invariant: rising in index, within [first, last]. All other indexes are those of record batches.
    markers: tuple[Marker, ...] = ()
    # The record batches, in whatever form the shell appends and sends them. None when there are only markers.
    payload: object = None
    # Bytes this takes on the wire, for flow control; markers count as nothing.
    size: int = 0

    @property
    def last_term(self) -> Term:
        return self.starts[-1].term

    def term_at(self, index: RaftIndex) -> Term:
        return next(start.term for start in reversed(self.starts) if start.index <= index)

    def runs(self) -> list[tuple[RaftIndex, RaftIndex, Term]]:
        """[first, last] of each term."""
        ends = [RaftIndex(start.index - 1) for start in self.starts[1:]] + [self.last]
        return [(start.index, end, start.term) for start, end in zip(self.starts, ends, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Write [first, last] out of `entries` at the end of the log.

    A follower that has some of them already, or dropped some of them before they were written, gets fewer
    than `entries` has. Both edges are those of batches.
    """

    # Invariant: entries.first <= first <= last <= entries.last.
    first: RaftIndex
    last: RaftIndex
    entries: Entries


def check(entries: Entries) -> None:
    """The invariants of entries that come from outside this node's core."""
    invariant(entries.first <= entries.last, "entries {} to {}", entries.first, entries.last)
    invariant(entries.starts and entries.starts[0].index == entries.first, "entries without a first term")
    for start, following in zip(entries.starts, entries.starts[1:], strict=False):
        rises = start.index < following.index and start.term < following.term
        invariant(rises and following.index <= entries.last, "terms not rising at {}", following.index)
    for marker in entries.markers:
        invariant(entries.first <= marker.index <= entries.last, "marker {} outside", marker.index)
