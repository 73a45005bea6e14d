"""The ends of partitions as reported to an observer."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from chronik.history.events import Look, Place, Records, Send
from chronik.history.violations import STRICT, Allowances, Violation


class _Ends:
    """The lowest end offset that is a valid answer at a time."""

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
        """Returns how long before `at` more than `end` was known; 0 when it was not."""
        if end >= self.lowest(at):
            return 0.0
        return at - self._times[bisect_right(self._ends, end)]


def check_ends(
    looks: Sequence[Look], logs: Mapping[Place, Records], allowed: Allowances = STRICT
) -> Iterator[Violation]:
    """For one observer: no end is lower than one before it, nor beyond the end of the log."""
    told: defaultdict[Place, list[tuple[float, int]]] = defaultdict(list)
    for look in looks:
        for place, end in look.ends.items():
            told[place].append((look.ended, end))
    own = {place: _Ends(each) for place, each in told.items()}
    for look in looks:
        for place, end in look.ends.items():
            where = f"{place}: end {end} asked for at {look.began:.3f} and told at {look.ended:.3f}"
            if not allowed.asks_everybody and end < own[place].lowest(look.began):
                yield Violation("went back", f"{where}, was told {own[place].lowest(look.began)} before")
            last = allowed.starts.get(place, 0) + len(logs.get(place, ()))
            if place in logs and end > last:
                yield Violation("dirty end", f"{where}, in the end it is {last}")


def check_staleness(
    looks: Sequence[Look], sends: Mapping[Place, Sequence[Send]], seconds_max: float
) -> Iterator[Violation]:
    for place, seconds in stale_answers(looks, sends):
        if seconds > seconds_max:
            yield Violation("stale read", f"{place}: an end that was {seconds:.1f} s old")


def stale_answers(
    looks: Sequence[Look], sends: Mapping[Place, Sequence[Send]]
) -> Iterator[tuple[Place, float]]:
    """Yields ends without a record that a client saw acknowledged before the request: the place, and the
    age of that acknowledgement.
    """
    ends = {
        place: _Ends((send.done_at, send.offset + 1) for send in each if send.offset is not None)
        for place, each in sends.items()
    }
    for look in looks:
        for place, end in look.ends.items():
            if place in ends and (seconds := ends[place].seconds_behind(end, look.began)):
                yield place, seconds
