"""The log as the core sees it: the written part, and after it the entries that the next `Ready` hands out."""

from bisect import bisect_left

from chronik.raft.core.entries import Append, Entries, check
from chronik.raft.core.log_view import LogView
from chronik.raft.core.ready import LogStart
from chronik.raft.core.types import RaftIndex, Term
from chronik.vocab.invariant import invariant


class LogTail:
    """Made with its core. After `take` the writes are the shell's, and done before the next input."""

    def __init__(self, log: LogView) -> None:
        self._log = log
        self._restart: LogStart | None = None
        self._truncate_to: RaftIndex | None = None
        # Invariant: contiguous, starting after what of the log is kept.
        self._appends: list[Append] = []
        # Whether the writes above were handed out, so that the log has them by the next input.
        self.is_taken = False
        # Invariant: the last index of the log with the writes above.
        self.last_index = log.last_index

    @property
    def first_index(self) -> RaftIndex:
        return self._log.first_index if self._restart is None else RaftIndex(self._restart.index + 1)

    @property
    def last_term(self) -> Term:
        return self.term_at(self.last_index)

    def term_at(self, index: RaftIndex) -> Term:
        """For first_index - 1 <= index <= last_index."""
        if not self.first_index - 1 <= index <= self.last_index:
            invariant(False, "no term known at {}", index)
        if self._appends and index >= self._appends[0].first:
            append = next(append for append in reversed(self._appends) if append.first <= index)
            return append.entries.term_at(index)
        if self._restart is not None:
            return self._restart.term
        return self._log.term_at(index)

    def has(self, index: RaftIndex, term: Term) -> bool:
        """True if the entry at `index` is known and of `term`: then all before it are the same, too (section
        5.3, log matching).
        """
        return self.first_index - 1 <= index <= self.last_index and self.term_at(index) == term

    def last_at_most(self, term: Term, index: RaftIndex) -> RaftIndex:
        """The last entry up to `index` whose term is not above `term`; at least first_index - 1."""
        low = self.first_index - 1
        later = bisect_left(range(low, index + 1), True, key=lambda i: self.term_at(RaftIndex(i)) > term)
        return RaftIndex(max(low + later - 1, low))

    def first_other(self, term: Term, first: RaftIndex, last: RaftIndex) -> RaftIndex:
        """The first entry in [first, last] that is not of `term`; last + 1 if all are.

        Those of `term`, if any, come first: the entry before `first` is the leader's, and terms never fall.
        """
        same = bisect_left(range(first, last + 1), True, key=lambda i: self.term_at(RaftIndex(i)) != term)
        return RaftIndex(first + same)

    def append(self, entries: Entries, first: RaftIndex) -> None:
        """Append [first, entries.last]."""
        if first != self.last_index + 1:
            invariant(False, "append at {} after {}", first, self.last_index)
        check(entries)
        self._appends.append(Append(first=first, last=entries.last, entries=entries))
        self.last_index = entries.last

    def truncate(self, to: RaftIndex) -> None:
        """Drops everything after `to`."""
        invariant(self.first_index - 1 <= to <= self.last_index, "truncate to {}", to)
        while self._appends and self._appends[-1].first > to:
            self._appends.pop()
        if self._appends and self._appends[-1].last > to:
            cut = self._appends.pop()
            self._appends.append(Append(first=cut.first, last=to, entries=cut.entries))
        if not self._appends and self._restart is None and to < self._log.last_index:
            self._truncate_to = to
        self.last_index = to

    def restart(self, start: LogStart) -> None:
        self._appends.clear()
        self._truncate_to = None
        self._restart = start
        self.last_index = start.index

    def slice(self, next_index: RaftIndex, max_bytes: int) -> tuple[Entries, ...] | None:
        """Returns whole entries from `next_index` on, at least one; None when the log does not have them in
        memory.

        Entries just proposed are sent from here, without a read.
        """
        appends = self._appends
        if not appends or next_index < appends[0].first:
            piece = self._log.slice(next_index, max_bytes)
            return None if piece is None else (piece,)
        if len(appends) == 1 and appends[0].entries.first == next_index:
            return (appends[0].entries,)
        return self._unwritten(next_index, max_bytes)

    def _unwritten(self, next_index: RaftIndex, max_bytes: int) -> tuple[Entries, ...]:
        pieces: list[Entries] = []
        for append in self._appends:
            if append.first < next_index:
                continue
            if pieces and max_bytes < append.entries.size:
                break
            pieces.append(append.entries)
            max_bytes -= append.entries.size
        invariant(pieces and pieces[0].first == next_index, "{} starts no entry", next_index)
        return tuple(pieces)

    @property
    def has_writes(self) -> bool:
        return bool(self._appends) or self._truncate_to is not None or self._restart is not None

    def take(self) -> tuple[LogStart | None, RaftIndex | None, tuple[Append, ...]]:
        """Returns the writes for `Ready`."""
        self.is_taken = True
        return self._restart, self._truncate_to, tuple(self._appends)

    def absorb_appended(self) -> None:
        """Called before the input that follows `take`: everything taken is written now."""
        invariant(
            self._log.last_index == self.last_index,
            "the log ends at {}, but was to be written up to {}",
            self._log.last_index,
            self.last_index,
        )
        self._clear()

    def follow(self) -> None:
        """The log was appended to, and not by what `take` gave."""
        invariant(not self.has_writes and not self.is_taken, "writes wait behind {}", self.last_index)
        self.last_index = self._log.last_index

    def forget(self) -> None:
        """The writes failed: the log stays as it is."""
        invariant(self._restart is None, "a failed restart of the log")
        self._clear()
        self.last_index = self._log.last_index

    def _clear(self) -> None:
        self._restart = None
        self._truncate_to = None
        self._appends.clear()
        self.is_taken = False
