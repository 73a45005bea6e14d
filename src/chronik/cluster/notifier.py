"""Waiters for any change, which then check their own condition."""

import asyncio


class Notifier:
    """Its owner calls `wake_all` on each change."""

    def __init__(self) -> None:
        # A dict, so that who waited longest is woken first.
        self._waiting: dict[asyncio.Future[None], None] = {}

    def wake_all(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, deadline: float) -> None:
        """Waits for the next change, or `deadline` on the loop's clock in seconds."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting[waiter] = None
        timer = loop.call_at(deadline, self._end, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            del self._waiting[waiter]

    @staticmethod
    def _end(waiter: "asyncio.Future[None]") -> None:
        if not waiter.done():
            waiter.set_result(None)
