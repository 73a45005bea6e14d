"""A machine's clock."""

import asyncio

from chronik.sim.clock import SimClock
from chronik.sim.virtual_time import WALL_START_MS, virtual


@virtual
async def test_it_shows_the_time_of_the_loop() -> None:
    clock = SimClock()
    await asyncio.sleep(1.5)
    assert clock.monotonic_ms() == 1500
    assert clock.now_ms() == WALL_START_MS + 1500


@virtual
async def test_a_step_moves_the_wall_only() -> None:
    clock = SimClock()
    await asyncio.sleep(1)
    clock.set(-5000)
    assert clock.monotonic_ms() == 1000
    assert clock.now_ms() == WALL_START_MS - 4000


@virtual
async def test_a_drift_changes_the_pace_and_nothing_jumps() -> None:
    clock = SimClock()
    await asyncio.sleep(10)
    clock.drift(0.1)
    assert clock.monotonic_ms() == 10_000
    await asyncio.sleep(10)
    assert clock.monotonic_ms() == 21_000
    clock.drift(0.0)
    assert clock.monotonic_ms() == 21_000
