"""A log in a list, which forgets in a crash what was not synced."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from chronik.raft.core.entries import Append, Entries, Marker, TermStart
from chronik.raft.core.ready import LogStart, Ready
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM, Membership, RaftIndex, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A batch (value is its text) or a marker (value is a membership, or None for a leader start)."""

    first: int
    last: int
    term: int
    value: str | Membership | None

    @property
    def is_marker(self) -> bool:
        return not isinstance(self.value, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A whole log, as a value."""

    # Last index and term before the first unit, and the membership in force there.
    before: tuple[int, int]
    membership: Membership
    units: tuple[Unit, ...] = ()


class ModelLog:
    """`LogView`, and the writes a shell does."""

    def __init__(self, membership: Membership) -> None:
        self.content = Content(before=(BEFORE_FIRST, NO_TERM), membership=membership)
        # What a crash leaves at least.
        self.synced = self.content
        # Makes `slice` answer that its data is not in memory.
        self.is_cold = False

    @property
    def first_index(self) -> RaftIndex:
        return RaftIndex(self.content.before[0] + 1)

    @property
    def last_index(self) -> RaftIndex:
        units = self.content.units
        return RaftIndex(units[-1].last if units else self.content.before[0])

    def term_at(self, index: RaftIndex) -> Term:
        if index == self.content.before[0]:
            return Term(self.content.before[1])
        return Term(next(u.term for u in self.content.units if u.first <= index <= u.last))

    def slice(self, next_index: RaftIndex, max_bytes: int) -> Entries | None:
        if self.is_cold:
            return None
        start = next(i for i, u in enumerate(self.content.units) if u.first == next_index)
        taken = [self.content.units[start]]
        for unit in self.content.units[start + 1 :]:
            if sum(_size(u) for u in taken) + _size(unit) > max_bytes:
                break
            taken.append(unit)
        return entries_of(taken)

    def write(self, ready: Ready) -> None:
        if ready.restart is not None:
            self._restart(ready.restart)
        if ready.truncate_to is not None:
            self.truncate(ready.truncate_to)
        for append in ready.appends:
            self._append(append)

    def truncate(self, to: int) -> None:
        kept = [u for u in self.content.units if u.first <= to]
        assert not kept or kept[-1].last <= to, f"truncation to {to} cuts {kept[-1]}"
        self._set_units(kept)

    def drop_before(self, first: int) -> None:
        """Retention: move the log start to `first`, which begins a unit."""
        units = self.content.units
        gone = [u for u in units if u.last < first]
        if gone:
            membership = [u.value for u in gone if isinstance(u.value, Membership)]
            self.content = Content(
                before=(gone[-1].last, gone[-1].term),
                membership=membership[-1] if membership else self.content.membership,
                units=units[len(gone) :],
            )

    def memberships(self) -> list[tuple[RaftIndex, Membership]]:
        found = [(RaftIndex(self.content.before[0]), self.content.membership)]
        for unit in self.content.units:
            if isinstance(unit.value, Membership):
                found.append((RaftIndex(unit.first), unit.value))
        return found

    def sync(self) -> None:
        self.synced = self.content

    @property
    def may_be_cached(self) -> bool:
        """True if what is not synced is neither a restart nor has memberships."""
        synced = self.synced.units
        is_same_start = self.content.before == self.synced.before
        return is_same_start and all(
            u in synced for u in self.content.units if isinstance(u.value, Membership)
        )

    def crash(self, random: Random | None = None) -> None:
        """Lose what was not synced; with `random`, keep some of it when it only adds to what was."""
        kept, written = self.synced.units, self.content.units
        lost = written[len(kept) :]
        is_addition = written[: len(kept)] == kept and self.content.before == self.synced.before
        if random is not None and is_addition:
            kept += lost[: random.randint(0, len(lost))]
        self.content = self.synced
        self._set_units(list(kept))
        self.sync()

    def _restart(self, start: LogStart) -> None:
        self.content = Content(before=(start.index, start.term), membership=start.membership)

    def _append(self, append: Append) -> None:
        units = [u for u in units_of(append.entries) if append.first <= u.first <= append.last]
        assert units[0].first == append.first == self.last_index + 1, f"hole at {append.first}"
        assert units[-1].last == append.last, f"{append.last} cuts {units[-1]}"
        self._set_units([*self.content.units, *units])

    def _set_units(self, units: Sequence[Unit]) -> None:
        self.content = Content(
            before=self.content.before, membership=self.content.membership, units=tuple(units)
        )


def entries_of(units: Sequence[Unit]) -> Entries:
    """What is sent of `units`."""
    starts: list[TermStart] = []
    for unit in units:
        if not starts or starts[-1].term != unit.term:
            starts.append(TermStart(index=RaftIndex(unit.first), term=Term(unit.term)))
    return Entries(
        first=RaftIndex(units[0].first),
        last=RaftIndex(units[-1].last),
        starts=tuple(starts),
        markers=tuple(
            Marker(index=RaftIndex(u.first), membership=u.value)
            for u in units
            if not isinstance(u.value, str)
        ),
        payload=tuple(u for u in units if not u.is_marker),
        size=sum(_size(u) for u in units),
    )


def units_of(entries: Entries) -> list[Unit]:
    """The inverse; a proposal's payload is one batch's text."""
    units = [
        Unit(first=m.index, last=m.index, term=entries.term_at(m.index), value=m.membership)
        for m in entries.markers
    ]
    if isinstance(entries.payload, str):
        units.append(
            Unit(first=entries.first, last=entries.last, term=entries.last_term, value=entries.payload)
        )
    elif isinstance(entries.payload, tuple):
        units.extend(entries.payload)
    return sorted(units, key=lambda unit: unit.first)


def _size(unit: Unit) -> int:
    return 10 if unit.is_marker else (unit.last - unit.first + 1) * 100
