"""The idle share of the event loop's thread over a recent period.

One thread does what Kafka's network threads and request handlers do, so both of Kafka's idle ratios are this
one. Busy is the time the thread ran on a processor, and the time it was ready to run and another had the
processor: on a crowded machine a thread that waits for its turn is not idle. It is not measured by the code;
the kernel counts both anyway.
"""

import time
from collections import deque
from collections.abc import Callable

# The ratio is of one to two of these, as Kafka's; of the time since the last call where that is longer.
WINDOW_SECONDS = 30.0

# Calls that follow each other sooner share a sample: the bound on their number.
_SAMPLE_SECONDS = 1.0

_SCHEDSTAT = "/proc/thread-self/schedstat"


class LoopUsage:
    """Created and read on the event loop's thread. Lives as long as the node."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        busy_seconds: Callable[[], float] | None = None,
    ) -> None:
        """`busy_seconds` is of the calling thread, since whenever."""
        self._now = now
        self._busy_seconds = busy_seconds or thread_busy_seconds
        # (when, busy seconds until then), the oldest first. Invariant: never empty.
        self._samples: deque[tuple[float, float]] = deque([(now(), self._busy_seconds())])

    def idle_ratio(self) -> float:
        """Returns a value between 0 and 1; 1 where no time has passed."""
        now, busy = self._now(), self._busy_seconds()
        samples = self._samples
        while len(samples) > 1 and now - samples[1][0] >= WINDOW_SECONDS:
            samples.popleft()
        started, busy_before = samples[0]
        if now - samples[-1][0] >= _SAMPLE_SECONDS:
            samples.append((now, busy))
        passed = now - started
        return min(1.0, max(0.0, 1.0 - (busy - busy_before) / passed)) if passed > 0 else 1.0


def thread_busy_seconds() -> float:
    """Returns the calling thread's time on a processor, and (on Linux) ready for one. Excludes waits for a
    disk.
    """
    return time.thread_time() + _queued_seconds()


def _queued_seconds() -> float:
    try:
        with open(_SCHEDSTAT, "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        # Not Linux, or a kernel that does not count it.
        return 0.0
