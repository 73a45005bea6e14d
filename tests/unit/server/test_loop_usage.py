"""The share of the time in which the loop's thread has nothing to do."""

import time

import pytest

from chronik.server.loop_usage import WINDOW_SECONDS, LoopUsage, thread_busy_seconds


class Thread:
    """On a clock of its own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.busy = 7.0
        self.usage = LoopUsage(lambda: self.now, lambda: self.busy)

    def live(self, seconds: float, busy: float) -> None:
        self.now += seconds
        self.busy += busy


def test_no_time_has_passed() -> None:
    assert Thread().usage.idle_ratio() == 1


def test_busy_is_the_rest_of_idle() -> None:
    thread = Thread()
    thread.live(10, busy=2.5)
    assert thread.usage.idle_ratio() == pytest.approx(0.75)


def test_what_was_long_ago_is_forgotten() -> None:
    thread = Thread()
    thread.live(20, busy=20)
    assert thread.usage.idle_ratio() == pytest.approx(0)
    for _ in range(4):
        thread.live(WINDOW_SECONDS / 2, busy=0)
        thread.usage.idle_ratio()
    assert thread.usage.idle_ratio() == 1


def test_the_ratio_is_of_the_time_since_the_last_call_when_that_was_long_ago() -> None:
    thread = Thread()
    thread.live(5, busy=5)
    thread.usage.idle_ratio()
    thread.live(10 * WINDOW_SECONDS, busy=3 * WINDOW_SECONDS)
    assert thread.usage.idle_ratio() == pytest.approx(0.7)


def test_calls_without_end_keep_few_samples() -> None:
    thread = Thread()
    for _ in range(10_000):
        thread.live(0.01, busy=0.005)
        assert thread.usage.idle_ratio() == pytest.approx(0.5)
    assert len(thread.usage._samples) < 2 * WINDOW_SECONDS + 2


def test_waiting_for_another_processor_does_not_make_it_negative() -> None:
    thread = Thread()
    thread.live(1, busy=1.5)
    assert thread.usage.idle_ratio() == 0


def test_a_thread_that_computes_is_busy_and_one_that_waits_is_not() -> None:
    before, started = thread_busy_seconds(), time.monotonic()
    while time.monotonic() - started < 0.05:
        pass
    computed = thread_busy_seconds() - before
    # It had the processor, or wanted it; the clocks are not the same, by some microseconds.
    assert computed > 0.02
