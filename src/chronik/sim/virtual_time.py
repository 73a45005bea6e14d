"""An event loop that waits for nothing: when there is nothing to do, time passes."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

P = ParamSpec("P")

WALL_START_MS = 1_700_000_000_000


class _NoWaiting(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.passed_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        self.passed_seconds += max(timeout, 0)
        # Nothing outside writes to any socket.
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer. Nothing outside of it may be waited for: no threads, no sockets."""

    def __init__(self) -> None:
        self._no_waiting = _NoWaiting()
        super().__init__(self._no_waiting)

    def time(self) -> float:
        return self._no_waiting.passed_seconds


class LoopClock:
    """`vocab.seams.Clock` of the running loop."""

    def now_ms(self) -> int:
        return WALL_START_MS + self.monotonic_ms()

    def monotonic_ms(self) -> int:
        return round(asyncio.get_running_loop().time() * 1000)


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on a loop of its own, in no time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def wait_until_idle() -> None:
    """Runs everything that can run, without time passing."""
    for _ in range(30):
        await asyncio.sleep(0)
