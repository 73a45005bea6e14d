"""Latencies: in buckets as Prometheus counts them, and over a recent window as Kafka's metrics do."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

# Seconds on a clock that never steps.
Timer = Callable[[], float]

# Upper bounds in seconds, inclusive: from a write into a good device's cache to a disk that is in trouble.
BOUNDS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)

# "Lately" is one to two of these: Kafka's metrics.sample.window.ms, of which it keeps two as well.
WINDOW_SECONDS = 30.0


class LatencyFigures(NamedTuple):
    """Values at one moment. `counts` has one number for each of BOUNDS, and one for longer times."""

    counts: Sequence[int] = (0,) * (len(BOUNDS) + 1)
    # Of all together.
    seconds: float = 0.0
    # Lately, in seconds; 0 when there was nothing.
    recent_mean: float = 0.0
    recent_max: float = 0.0


class _Window:
    __slots__ = ("count", "longest", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.longest = 0.0


class Latency:
    """Counts durations. One call is a clock read and some additions: for what happens once in a turn of the
    loop or a round of syncs, not for each record.
    """

    def __init__(self, timer: Timer | None = None) -> None:
        """`timer`: defaults to the running loop's clock."""
        self.now: Timer = timer or _loop_time
        self._counts = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        self._window = _Window()
        self._window_before = _Window()
        # When the present window ends; none has begun before the first duration.
        self._window_end = float("-inf")

    def since(self, started: float) -> None:
        """Something that began at `started`, on `now`'s clock, is over."""
        now = self.now()
        seconds = now - started
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds
        if now >= self._window_end:
            self._turn(now)
        window = self._window
        window.count += 1
        window.seconds += seconds
        if seconds > window.longest:
            window.longest = seconds

    def figures(self) -> LatencyFigures:
        self._turn(self.now())
        windows = (self._window_before, self._window)
        count = sum(window.count for window in windows)
        return LatencyFigures(
            counts=tuple(self._counts),
            seconds=self._seconds,
            recent_mean=sum(window.seconds for window in windows) / count if count else 0.0,
            recent_max=max(window.longest for window in windows),
        )

    def _turn(self, now: float) -> None:
        """Begin a new window if the present one is over."""
        if now < self._window_end:
            return
        is_next = now < self._window_end + WINDOW_SECONDS
        self._window_before = self._window if is_next else _Window()
        self._window = _Window()
        self._window_end = now + WINDOW_SECONDS


class Rate:
    """A recent rate per second, computed as Kafka's `Rate` of a windowed sum: over the present window and
    the one before it, and never over less than one.
    """

    def __init__(self, timer: Timer | None = None) -> None:
        """`timer`: defaults to the running loop's clock."""
        self._now: Timer = timer or _loop_time
        self._count = 0
        self._count_before = 0
        # When the present window began; none has before the first `add`.
        self._begun = float("-inf")

    def add(self, count: int) -> None:
        self._turn()
        self._count += count

    def per_second(self) -> float:
        self._turn()
        passed = self._now() - self._begun
        return (self._count_before + self._count) / (WINDOW_SECONDS + passed)

    def _turn(self) -> None:
        now = self._now()
        passed = now - self._begun
        if passed < WINDOW_SECONDS:
            return
        self._count_before = self._count if passed < 2 * WINDOW_SECONDS else 0
        self._count = 0
        # Windows follow each other without a gap while something is counted.
        self._begun = self._begun + WINDOW_SECONDS if passed < 2 * WINDOW_SECONDS else now


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
