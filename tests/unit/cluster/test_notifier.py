"""Waiters for any change."""

import asyncio

from chronik.cluster.notifier import Notifier
from chronik.sim.virtual_time import virtual


@virtual
async def test_who_waited_longest_is_woken_first() -> None:
    wakeups, woken = Notifier(), list[int]()

    async def wait(number: int) -> None:
        await wakeups.wait(asyncio.get_running_loop().time() + 10)
        woken.append(number)

    # Many, so that an order of chance is not the right one.
    waiting = [asyncio.create_task(wait(number)) for number in range(50)]
    await asyncio.sleep(0)
    wakeups.wake_all()
    await asyncio.wait(waiting)
    assert woken == list(range(50))


@virtual
async def test_nobody_waits_beyond_the_deadline_and_nobody_is_left() -> None:
    wakeups, loop = Notifier(), asyncio.get_running_loop()
    began = loop.time()
    await wakeups.wait(began + 3)
    assert 3 <= loop.time() - began < 3.1
    waiting = asyncio.create_task(wakeups.wait(loop.time() + 10))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert not wakeups._waiting
