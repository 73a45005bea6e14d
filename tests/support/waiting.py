"""Waiting for conditions, with a deadline: the only place of the tests that pauses."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Short against anything a test waits for, long enough to leave the processor to the broker.
_PAUSE_SECONDS = 0.005


def wait_until(condition: Callable[[], T], what: str, seconds: float = 20.0) -> T:
    """The first true result of `condition`. Raises TimeoutError, saying `what` did not come."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(_PAUSE_SECONDS)
    return result


def stays(condition: Callable[[], bool], seconds: float) -> bool:
    """True if `condition` holds all the time for `seconds`; for what must not happen. Keep it short."""
    deadline = time.monotonic() + seconds
    while condition():
        if time.monotonic() > deadline:
            return True
        time.sleep(_PAUSE_SECONDS)
    return False
