"""A loop with real sockets whose time moves only when told: timers fire when a test wants them to."""

import asyncio
import selectors

# What a socket may take to say something on loopback, while nothing else happens.
_SELECT_SECONDS = 0.001


class _ShortWaits(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(_SELECT_SECONDS if timeout is None else min(timeout, _SELECT_SECONDS))


class ManualLoop(asyncio.SelectorEventLoop):
    """See the module. `asyncio.timeout` never expires in it by itself."""

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(_ShortWaits())

    def time(self) -> float:
        return self._now

    async def advance(self, seconds: float) -> None:
        """Time passes at once, as it does for a process that was stopped; then everything runs that can."""
        self._now += seconds
        for _ in range(10):
            await asyncio.sleep(0)
