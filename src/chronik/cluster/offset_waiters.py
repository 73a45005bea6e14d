"""Waiters for a position to reach an offset."""

import asyncio
from heapq import heappop, heappush
from itertools import count

from chronik.vocab.ids import Offset


class OffsetWaiters:
    """The owner of the position calls `on_reached`."""

    def __init__(self) -> None:
        # Each waits for the offset in front; the number only keeps the order of equals.
        self._waiting: list[tuple[Offset, int, asyncio.Future[bool]]] = []
        self._numbers = count()

    def on_reached(self, offset: Offset) -> None:
        """Wake all who wait for `offset` or less."""
        while self._waiting and self._waiting[0][0] <= offset:
            _wake(heappop(self._waiting)[2], is_reached=True)

    def give_up(self) -> None:
        """Wakes all waiters: the position will not advance."""
        for _, _, waiter in self._waiting:
            _wake(waiter, is_reached=False)
        self._waiting.clear()

    async def wait(self, offset: Offset, deadline: float) -> bool:
        """True if `offset` is reached before `deadline`, on the loop's clock in seconds."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        heappush(self._waiting, (offset, next(self._numbers), waiter))
        # Its place in the queue is kept until the offset is reached: waits are short, and few end otherwise.
        timer = loop.call_at(deadline, _wake, waiter, False)
        try:
            return await waiter
        finally:
            timer.cancel()


def _wake(waiter: "asyncio.Future[bool]", is_reached: bool) -> None:
    if not waiter.done():
        waiter.set_result(is_reached)
