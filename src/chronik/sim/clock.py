"""The clock of one machine: it drifts, and may be set.

Timers are the loop's and keep its time; a machine's clock stamps its records and logs.
"""

import asyncio

from chronik.sim.virtual_time import WALL_START_MS


class SimClock:
    """Implements `vocab.seams.Clock`. Made with the machine; it keeps its setting over restarts."""

    def __init__(self) -> None:
        # Seconds that it gains in one.
        self._drift = 0.0
        # The time shown when the drift was last set, in milliseconds, and the true time then, in seconds.
        self._shown_ms = 0.0
        self._since = 0.0
        self._offset_ms = 0

    def set(self, offset_ms: int) -> None:
        """Sets it to an offset from the true time, positive or negative."""
        self._offset_ms = offset_ms

    def drift(self, seconds_per_second: float) -> None:
        """From now on."""
        self._shown_ms, self._since = self._monotonic_ms(), asyncio.get_running_loop().time()
        self._drift = seconds_per_second

    def now_ms(self) -> int:
        return WALL_START_MS + self._offset_ms + self.monotonic_ms()

    def monotonic_ms(self) -> int:
        return round(self._monotonic_ms())

    def _monotonic_ms(self) -> float:
        passed = asyncio.get_running_loop().time() - self._since
        return self._shown_ms + passed * 1000 * (1 + self._drift)
