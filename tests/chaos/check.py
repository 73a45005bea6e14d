"""Whether what clients saw agrees with what was promised. It knows nothing of the cluster: histories and the
logs as they are in the end go in, violations come out.

* A record that was acknowledged is in the log, at the offset it was acknowledged with.
* Every record is there at most once, also one whose send failed: producers are idempotent, and nobody sends a
  number twice.
* Records of a partition are in the order in which they were sent. Those whose send failed are excepted: their
  producer was given up, and the next one does not know of them.
* No idempotent producer is told that its sequence has a hole: only a lost record could make one.
* Nothing is there that nobody sent, and offsets have no holes.
* A group's member is given the records of the log, one after the other. It may go back only to what is
  committed.
* A committed offset is the one of the last commit that was acknowledged. One that failed may have come about,
  also later.
* Who asks for the end of a partition is never told less than before. What others had acknowledged before
  the question is in the answer, too, unless a leader gives it that was replaced and does not know it yet:
  Kafka's leaders answer reads without asking anybody, and so do these. Nobody is such a leader for longer
  than a fault and an election last.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from tests.chaos.histories import Commit, Committed, Event, Look, Place, Poll, Send

# In the words of the three libraries.
_HOLE = re.compile("OUT_OF_ORDER_SEQUENCE|OutOfOrderSequence|UNKNOWN_PRODUCER_ID|UnknownProducerId")

# The longest pause or cut, and then time to hear of the new leader; see `faults`.
STALE_SECONDS_MAX = 15.0

# (offset, number) of each record of a partition as it is in the end.
Records = Sequence[tuple[int, int]]


class Violation(NamedTuple):
    """`kind` is a word to count by."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(slots=True)
class History:
    """Events by who saw them, in the order in which they did."""

    sends: defaultdict[Place, list[Send]] = field(default_factory=lambda: defaultdict(list))
    groups: defaultdict[str, list[Poll | Commit | Committed]] = field(
        default_factory=lambda: defaultdict(list)
    )
    looks: list[Look] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        history = cls()
        for event in events:
            match event:
                case Send():
                    history.sends[event.place].append(event)
                case Poll() | Commit() | Committed():
                    history.groups[event.group].append(event)
                case Look():
                    history.looks.append(event)
        return history


def check(history: History, logs: Mapping[Place, Records]) -> Iterator[Violation]:
    """All there is to say against a run."""
    for place, records in logs.items():
        yield from check_log(place, history.sends[place], records)
    for group, events in history.groups.items():
        yield from check_group(group, events, logs)
    yield from check_looks(history.looks, history.sends, logs)


# Logs.


def check_log(place: Place, sends: Sequence[Send], records: Records) -> Iterator[Violation]:
    numbers = [number for _, number in records]
    yield from _check_offsets(place, records)
    yield from _check_acknowledged(place, sends, records)
    for number, count in Counter(numbers).items():
        if count > 1:
            offsets = [offset for offset, each in records if each == number]
            yield Violation("duplicate", f"{place}: record {number} is at {offsets}")
    for number in set(numbers) - {send.number for send in sends}:
        yield Violation("phantom", f"{place}: record {number} was never sent")
    yield from _check_order(place, sends, numbers)
    yield from _check_sequences(place, sends)


def _check_sequences(place: Place, sends: Sequence[Send]) -> Iterator[Violation]:
    told = [send for send in sends if send.error is not None and _HOLE.search(send.error)]
    if told:
        yield Violation(
            "sequence", f"{place}: {len(told)} records, from {told[0].number} on: {told[0].error}"
        )


def _check_offsets(place: Place, records: Records) -> Iterator[Violation]:
    for at, (offset, _) in enumerate(records):
        if offset != at:
            yield Violation("hole", f"{place}: offset {offset} where {at} was to be")
            return


def _check_acknowledged(place: Place, sends: Sequence[Send], records: Records) -> Iterator[Violation]:
    numbers = dict(records)
    where = {number: offset for offset, number in records}
    for send in sends:
        if send.offset is not None and numbers.get(send.offset) != send.number:
            found = where.get(send.number)
            kind = "loss" if found is None else "moved"
            yield Violation(
                kind, f"{place}: record {send.number}, acknowledged at {send.offset}, is at {found}"
            )


def _check_order(place: Place, sends: Sequence[Send], numbers: Sequence[int]) -> Iterator[Violation]:
    failed = {send.number for send in sends if send.offset is None}
    kept = [number for number in dict.fromkeys(numbers) if number not in failed]
    for before, after in pairwise(kept):
        if after < before:
            yield Violation("order", f"{place}: record {after} comes after {before}")


# Groups.


@dataclass(slots=True)
class _Register:
    """One committed offset: what it may be."""

    acknowledged: int | None = None
    # Of commits that failed, which may come about at any time.
    perhaps: set[int] = field(default_factory=set)

    def on_commit(self, offset: int, *, is_acknowledged: bool) -> None:
        if is_acknowledged:
            self.acknowledged = offset
        else:
            self.perhaps.add(offset)

    def may_be(self, offset: int) -> bool:
        return offset == (-1 if self.acknowledged is None else self.acknowledged) or offset in self.perhaps

    def may_begin_at(self, offset: int) -> bool:
        """True if a member may be sent there: without a commit it is sent to the beginning."""
        return self.may_be(offset) or (self.acknowledged is None and offset == 0)


def check_group(
    group: str, events: Sequence[Poll | Commit | Committed], logs: Mapping[Place, Records]
) -> Iterator[Violation]:
    """`events` of its one member, in order."""
    registers: defaultdict[Place, _Register] = defaultdict(_Register)
    numbers = {place: dict(records) for place, records in logs.items()}
    next_offsets: dict[Place, int] = {}
    seen: defaultdict[Place, set[int]] = defaultdict(set)
    for event in events:
        match event:
            case Commit():
                for place, offset in event.offsets.items():
                    registers[place].on_commit(offset, is_acknowledged=event.error is None)
            case Committed():
                yield from _check_committed(event, registers)
            case Poll():
                for place, records in event.records.items():
                    yield from _check_given(event, place, numbers.get(place, {}))
                    yield from _check_steps(event, place, next_offsets.get(place), registers[place])
                    next_offsets[place] = records[-1][0] + 1
                    seen[place].update(offset for offset, _ in records)
    for place, expected in numbers.items():
        if missing := expected.keys() - seen[place]:
            yield Violation(
                "unread", f"{group}: {len(missing)} records of {place}, from offset {min(missing)} on"
            )


def _check_committed(event: Committed, registers: Mapping[Place, _Register]) -> Iterator[Violation]:
    for place, offset in event.offsets.items():
        register = registers.get(place, _Register())
        if not register.may_be(offset):
            yield Violation(
                "committed offset",
                f"{event.group}, {place}: {offset} at {event.ended:.3f}, acknowledged was "
                f"{register.acknowledged}, failed {sorted(register.perhaps)[-5:]}",
            )


def _check_given(event: Poll, place: Place, numbers: Mapping[int, int]) -> Iterator[Violation]:
    for offset, number in event.records[place]:
        if numbers.get(offset) != number:
            yield Violation(
                "dirty read",
                f"{event.group}, {place}: was given record {number} at offset {offset} at {event.ended:.3f}, "
                f"where {numbers.get(offset)} is in the end",
            )


def _check_steps(event: Poll, place: Place, expected: int | None, register: _Register) -> Iterator[Violation]:
    """One poll may contain a step back, when a client gives what it fetched before and after at once."""
    for offset, _ in event.records[place]:
        is_next = offset == expected
        if not is_next and not register.may_begin_at(offset):
            kind = "skipped" if expected is not None and offset > expected else "went back"
            yield Violation(
                kind,
                f"{event.group}, {place}: was given offset {offset} after {(expected or 0) - 1} at "
                f"{event.ended:.3f}, committed was {register.acknowledged}",
            )
        expected = offset + 1


# Ends.


class _Ends:
    """The lowest end offset that may be told at a time."""

    def __init__(self, known: Iterable[tuple[float, int]]) -> None:
        """`known`: since when there is known to be what end."""
        self._times: list[float] = []
        self._ends: list[int] = []
        for at, end in sorted(known):
            self._times.append(at)
            self._ends.append(max(end, self._ends[-1] if self._ends else 0))

    def lowest(self, at: float) -> int:
        found = bisect_right(self._times, at)
        return self._ends[found - 1] if found else 0

    def seconds_behind(self, end: int, at: float) -> float:
        """How long before `at` more than `end` was known; 0 when it was not."""
        if end >= self.lowest(at):
            return 0.0
        return at - self._times[bisect_right(self._ends, end)]


def check_looks(
    looks: Sequence[Look], sends: Mapping[Place, Sequence[Send]], logs: Mapping[Place, Records]
) -> Iterator[Violation]:
    """Of one onlooker."""
    told: defaultdict[Place, list[tuple[float, int]]] = defaultdict(list)
    for look in looks:
        for place, end in look.ends.items():
            told[place].append((look.ended, end))
    own = {place: _Ends(each) for place, each in told.items()}
    for look in looks:
        for place, end in look.ends.items():
            where = f"{place}: end {end} asked for at {look.began:.3f} and told at {look.ended:.3f}"
            if end < own[place].lowest(look.began):
                yield Violation("went back", f"{where}, was told {own[place].lowest(look.began)} before")
            if end > len(logs[place]):
                yield Violation("dirty end", f"{where}, in the end it is {len(logs[place])}")
    for place, seconds in stale_answers(looks, sends):
        if seconds > STALE_SECONDS_MAX:
            yield Violation("stale read", f"{place}: an end that was {seconds:.1f} s old")


def stale_answers(
    looks: Sequence[Look], sends: Mapping[Place, Sequence[Send]]
) -> Iterator[tuple[Place, float]]:
    """Ends without a record whose acknowledgement somebody had when the question was asked: where, and how
    long ago they should have had it.
    """
    ends = {
        place: _Ends((send.done_at, send.offset + 1) for send in each if send.offset is not None)
        for place, each in sends.items()
    }
    for look in looks:
        for place, end in look.ends.items():
            if place in ends and (seconds := ends[place].seconds_behind(end, look.began)):
                yield place, seconds
