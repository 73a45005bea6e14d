"""Those who wait for any change, and then look for themselves."""

import asyncio


class Wakeups:
    """Owned by whoever knows of changes; it calls `wake_all`."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def wake_all(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, deadline: float) -> None:
        """Until the next change, or `deadline` on the loop's clock in seconds."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting.add(waiter)
        timer = loop.call_at(deadline, self._end, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiting.discard(waiter)

    @staticmethod
    def _end(waiter: "asyncio.Future[None]") -> None:
        if not waiter.done():
            waiter.set_result(None)
