"""The records that a group's members received, and the committed offsets reported to them."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chronik.history.events import Commit, Committed, Place, Poll, Records
from chronik.history.violations import STRICT, Allowances, Violation

Told = Poll | Commit | Committed


class _Register:
    """The valid values of the committed offset of one place.

    Members commit one after the other, or at the same time, and then either may be the last. A commit that
    failed may be applied at any time after it began.
    """

    def __init__(self, commits: Iterable[tuple[float, float, int, bool]]) -> None:
        """`commits`: when each began and ended, its offset, and whether it was acknowledged."""
        self._acknowledged: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        self._failed: defaultdict[int, list[float]] = defaultdict(list)
        in_order = sorted((ended, began, offset) for began, ended, offset, done in commits if done)
        self._ended = [ended for ended, _, _ in in_order]
        # By how many have ended: when the last of them to begin did. What ended before that is superseded.
        self._superseded_before = [float("-inf")]
        for ended, began, offset in in_order:
            self._acknowledged[offset].append((began, ended))
            self._superseded_before.append(max(began, self._superseded_before[-1]))
        self._last = [offset for _, _, offset in in_order]
        for began, _, offset, done in commits:
            if not done:
                self._failed[offset].append(began)

    def may_be(self, offset: int, began: float, ended: float) -> bool:
        """True if an answer between these times may name the offset, or -1 for none."""
        count = bisect_left(self._ended, began)
        barrier = self._superseded_before[count]
        if any(at <= ended for at in self._failed.get(offset, ())):
            return True
        if offset == -1:
            return count == 0
        return any(
            commit_began <= ended and commit_ended >= barrier
            for commit_began, commit_ended in self._acknowledged.get(offset, ())
        )

    def may_begin_at(self, offset: int, began: float, ended: float) -> bool:
        """True if a member may be sent there: without a commit it is sent to the beginning."""
        return self.may_be(offset, began, ended) or (offset == 0 and self.may_be(-1, began, ended))

    def may_begin_before(self, offset: int, began: float, ended: float) -> bool:
        """True if a member may be sent to an offset below this one."""
        known = {0, *self._acknowledged, *self._failed}
        return any(self.may_begin_at(below, began, ended) for below in known if below < offset)

    def describe(self, at: float) -> str:
        count = bisect_left(self._ended, at)
        acknowledged = self._last[count - 1] if count else None
        return f"acknowledged was {acknowledged}, failed {sorted(self._failed)[-5:]}"


@dataclass(slots=True)
class _Group:
    """State of a group while its events are checked."""

    name: str
    registers: Mapping[Place, _Register]
    logs: Mapping[Place, Mapping[int, int]]
    allowed: Allowances
    # By member and place.
    next_offsets: dict[tuple[str, Place], int] = field(default_factory=dict)
    # The committed offset reported to a member, until it reads on from there or commits itself.
    told: dict[tuple[str, Place], int] = field(default_factory=dict)
    seen: defaultdict[Place, set[int]] = field(default_factory=lambda: defaultdict(set))


def check_group(
    group: str, events: Sequence[Told], logs: Mapping[Place, Records], allowed: Allowances = STRICT
) -> Iterator[Violation]:
    """`events` of its members, in order."""
    numbers = {place: dict(records) for place, records in logs.items()}
    state = _Group(group, _registers(events), numbers, allowed)
    for event in events:
        match event:
            case Commit():
                for place in event.offsets:
                    state.told.pop((event.member, place), None)
            case Committed():
                yield from _check_committed(event, state)
            case Poll():
                for place in event.records:
                    yield from _check_given(event, place, state)
                    yield from _check_steps(event, place, state)
    yield from _check_unread(state)


def _registers(events: Sequence[Told]) -> Mapping[Place, _Register]:
    commits: defaultdict[Place, list[tuple[float, float, int, bool]]] = defaultdict(list)
    for event in events:
        if isinstance(event, Commit):
            for place, offset in event.offsets.items():
                commits[place].append((event.began, event.ended, offset, event.error is None))
    return defaultdict(lambda: _Register(()), {place: _Register(each) for place, each in commits.items()})


def _check_committed(event: Committed, state: _Group) -> Iterator[Violation]:
    for place, offset in event.offsets.items():
        register = state.registers[place]
        state.told[event.member, place] = max(offset, 0)
        if not register.may_be(offset, event.began, event.ended):
            yield Violation(
                "committed offset",
                f"{event.group}, {place}: {offset} at {event.ended:.3f}, {register.describe(event.began)}",
            )


def _check_given(event: Poll, place: Place, state: _Group) -> Iterator[Violation]:
    numbers = state.logs.get(place, {})
    start = state.allowed.starts.get(place, 0)
    for offset, number in event.records[place]:
        if offset >= start and numbers.get(offset) != number:
            yield Violation(
                "dirty read",
                f"{event.group}, {place}: was given record {number} at offset {offset} at {event.ended:.3f}, "
                f"where {numbers.get(offset)} is in the end",
            )


def _check_steps(event: Poll, place: Place, state: _Group) -> Iterator[Violation]:
    """One poll may contain a step back, when a client returns records fetched before and after at once."""
    who = event.member, place
    expected = state.next_offsets.get(who)
    told = state.told.pop(who, None)
    for offset, _ in event.records[place]:
        if offset not in (expected, told) and not _may_step(event, place, expected, offset, state):
            due = told if expected is None else expected
            kind = "skipped" if due is not None and offset > due else "went back"
            yield Violation(
                kind,
                f"{event.group}, {place}: was given offset {offset} after {(due or 0) - 1} at "
                f"{event.ended:.3f}, {state.registers[place].describe(event.began)}",
            )
        expected = state.next_offsets[who] = offset + 1
        state.seen[place].add(offset)


def _may_step(event: Poll, place: Place, expected: int | None, offset: int, state: _Group) -> bool:
    if event.group in state.allowed.committing and offset < (expected or 1):
        return True
    start, register = state.allowed.starts.get(place, 0), state.registers[place]
    if offset <= start and (
        (expected or 0) < start or register.may_begin_before(offset, event.began, event.ended)
    ):
        # What lies between was deleted.
        return True
    return register.may_begin_at(offset, event.began, event.ended)


def _check_unread(state: _Group) -> Iterator[Violation]:
    for place, numbers in state.logs.items():
        end = state.allowed.ends.get(place)
        expected = {offset for offset in numbers if end is None or offset < end}
        if missing := expected - state.seen[place]:
            yield Violation(
                "unread", f"{state.name}: {len(missing)} records of {place}, from offset {min(missing)} on"
            )
