"""Durations in buckets, and those of late."""

import asyncio

import pytest

from chronik.raft.latency import BOUNDS, WINDOW_SECONDS, Latency, Rate
from chronik.sim.virtual_time import virtual


class ManualTimer:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def timer() -> ManualTimer:
    return ManualTimer()


def take(latency: Latency, timer: ManualTimer, seconds: float) -> None:
    started = latency.now()
    timer.seconds += seconds
    latency.since(started)


def test_nothing_yet(timer: ManualTimer) -> None:
    figures = Latency(timer).figures()

    assert len(figures.counts) == len(BOUNDS) + 1
    assert set(figures.counts) == {0}
    assert (figures.seconds, figures.recent_mean, figures.recent_max) == (0, 0, 0)


def test_a_duration_is_counted_below_the_first_bound_that_it_does_not_exceed(timer: ManualTimer) -> None:
    timer.seconds = 0.0
    latency = Latency(timer)
    for seconds in (0.0, BOUNDS[-1], BOUNDS[-1] + 0.5):
        timer.seconds = 0.0
        take(latency, timer, seconds)

    counts = latency.figures().counts
    assert (counts[0], counts[-2], counts[-1]) == (1, 1, 1)
    assert sum(counts) == 3


def test_seconds_add_up(timer: ManualTimer) -> None:
    latency = Latency(timer)
    take(latency, timer, 0.25)
    take(latency, timer, 0.5)

    assert latency.figures().seconds == pytest.approx(0.75)
    assert latency.figures().recent_mean == pytest.approx(0.375)
    assert latency.figures().recent_max == pytest.approx(0.5)


def test_what_was_long_ago_is_not_recent_but_stays_in_the_totals(timer: ManualTimer) -> None:
    latency = Latency(timer)
    take(latency, timer, 0.5)
    timer.seconds += WINDOW_SECONDS
    take(latency, timer, 0.125)
    both = latency.figures()
    timer.seconds += WINDOW_SECONDS
    last = latency.figures()
    timer.seconds += WINDOW_SECONDS
    none = latency.figures()

    assert both.recent_max == pytest.approx(0.5)
    assert last.recent_max == pytest.approx(0.125)
    assert last.recent_mean == pytest.approx(0.125)
    assert (none.recent_max, none.recent_mean) == (0, 0)
    assert sum(none.counts) == 2
    assert none.seconds == pytest.approx(0.625)


def test_a_long_silence_takes_both_windows_away(timer: ManualTimer) -> None:
    latency = Latency(timer)
    take(latency, timer, 0.5)
    timer.seconds += 10 * WINDOW_SECONDS

    assert latency.figures().recent_max == 0


@virtual
async def test_without_a_timer_it_is_the_time_of_the_loop() -> None:
    latency = Latency()
    started = latency.now()
    await asyncio.sleep(2)
    latency.since(started)

    assert latency.figures().seconds == pytest.approx(2)


def test_a_rate_is_of_the_present_window_and_the_one_before(timer: ManualTimer) -> None:
    rate = Rate(timer)
    assert rate.per_second() == 0
    rate.add(60)
    # Never over less than a window: the first events are no flood.
    assert rate.per_second() == 60 / WINDOW_SECONDS
    timer.seconds += WINDOW_SECONDS
    rate.add(15)
    assert rate.per_second() == 75 / WINDOW_SECONDS
    timer.seconds += WINDOW_SECONDS / 2
    assert rate.per_second() == 75 / (1.5 * WINDOW_SECONDS)
    timer.seconds += WINDOW_SECONDS / 2
    assert rate.per_second() == 15 / WINDOW_SECONDS


def test_a_rate_forgets_what_was_before_a_pause(timer: ManualTimer) -> None:
    rate = Rate(timer)
    rate.add(60)
    timer.seconds += 2 * WINDOW_SECONDS
    assert rate.per_second() == 0
    rate.add(3)
    assert rate.per_second() == 3 / WINDOW_SECONDS
