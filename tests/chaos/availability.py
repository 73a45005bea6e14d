"""Gaps in the service, as clients saw them, during a fault of the cluster."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from chronik.history.check import History
from chronik.history.events import Poll

# What follows from the end of a fault, such as leaders that go back, counts as well when it begins so soon.
_AFTER_SECONDS = 1.0


class Pauses:
    """Of one run, in seconds. A pause that touches a fault counts whole, also for another that it touches."""

    def __init__(self, history: History) -> None:
        done = {
            place: sorted(send.done_at for send in sends if send.offset is not None)
            for place, sends in history.sends.items()
        }
        self._places = list(done.values())
        self._everywhere = sorted(at for times in done.values() for at in times)
        self._groups = [
            [event.ended for event in events if isinstance(event, Poll)] for events in history.groups.values()
        ]

    def of_a_partition(self, began: float, ended: float) -> float:
        """Between two acknowledgements of that partition where it was longest."""
        return _longest(self._places, began, ended)

    def of_all(self, began: float, ended: float) -> float:
        """Between two acknowledgements, whatever the partition."""
        return _longest([self._everywhere], began, ended)

    def of_a_group(self, began: float, ended: float) -> float:
        """Between two polls that gave records, of that group where it was longest."""
        return _longest(self._groups, began, ended)


def _longest(all_times: Iterable[Sequence[float]], began: float, ended: float) -> float:
    return max((longest_touching(times, began, ended + _AFTER_SECONDS) for times in all_times), default=0.0)


def longest_touching(times: Sequence[float], began: float, ended: float) -> float:
    """The longest time between two neighbours of `times` that has something in common with a span."""
    first = max(0, bisect_right(times, began) - 1)
    last = min(len(times), bisect_left(times, ended) + 1)
    return max((after - before for before, after in pairwise(times[first:last])), default=0.0)


def per_second(times: Iterable[float], began: float, ended: float) -> list[int]:
    """How many of `times` are in each second of a span; the last one is cut off."""
    counts = [0] * max(1, int(ended - began))
    for at in times:
        if 0 <= at - began < len(counts):
            counts[int(at - began)] += 1
    return counts
