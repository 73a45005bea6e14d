"""Timeouts of requests are taken within bounds."""

import asyncio

import pytest

from chronik.broker.deadlines import TIMEOUT_MS_MAX, TIMEOUT_MS_MIN, deadline_after


@pytest.mark.parametrize(
    ("timeout_ms", "taken_ms"),
    [
        (30_000, 30_000),
        (0, TIMEOUT_MS_MIN),
        (-1, TIMEOUT_MS_MIN),
        (2**31 - 1, TIMEOUT_MS_MAX),
    ],
)
def test_a_deadline_is_on_the_loops_clock(timeout_ms: int, taken_ms: int) -> None:
    async def play() -> None:
        before = asyncio.get_running_loop().time()
        deadline = deadline_after(timeout_ms)
        after = asyncio.get_running_loop().time()
        assert before + taken_ms / 1000 <= deadline <= after + taken_ms / 1000

    asyncio.run(play())
