"""Processes that stop, go on, and end."""

import asyncio

import pytest

from chronik.sim.process import ProcessDied, SimProcess, on_processes


class Counter:
    """Counts tenths of seconds, in its process."""

    def __init__(self) -> None:
        self.process = SimProcess("counter")
        self.count = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            self.count += 1

    def start(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self.process.do(self.run()))


@on_processes
async def test_a_paused_process_runs_nothing_until_it_goes_on() -> None:
    one, other = Counter(), Counter()
    tasks = [one.start(), other.start()]
    await asyncio.sleep(0.55)
    one.process.pause()
    await asyncio.sleep(1)
    assert (one.count, other.count) == (5, 15)
    one.process.resume()
    await asyncio.sleep(0.25)
    assert one.count == 8
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@on_processes
async def test_what_fell_due_comes_in_its_order_and_not_if_it_was_cancelled() -> None:
    process = SimProcess("p")
    seen: list[str] = []
    loop = asyncio.get_running_loop()
    with process.inside():
        loop.call_later(0.2, seen.append, "second")
        loop.call_later(0.1, seen.append, "first")
        timer = loop.call_later(0.3, seen.append, "never")
        # What runs first cancels what fell due after it.
        loop.call_later(0.05, timer.cancel)
    process.pause()
    await asyncio.sleep(1)
    assert seen == []
    process.resume()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen == ["first", "second"]


@on_processes
async def test_a_process_may_be_killed_while_it_is_paused() -> None:
    counter = Counter()
    task = counter.start()
    await asyncio.sleep(0.15)
    counter.process.pause()
    await asyncio.sleep(1)
    counter.process.die()
    with pytest.raises(ProcessDied):
        await task
    assert counter.count == 1


@on_processes
async def test_a_task_goes_on_where_it_was() -> None:
    process = SimProcess("p")
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def wait() -> str:
        async with asyncio.timeout(10):
            return await answer

    task = asyncio.create_task(process.do(wait()))
    await asyncio.sleep(0.1)
    process.pause()
    answer.set_result("came meanwhile")
    await asyncio.sleep(1)
    assert not task.done()
    process.resume()
    assert await task == "came meanwhile"
