"""Long work in slices, so that one request does not hold the event loop.

Work that may be long is a generator that yields every few dozen items. It is run until a slice is used up;
then other tasks have a turn of the loop. Work that ends within its first slice, which is nearly all, never
leaves the call that began it: no task is created for it.
"""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

R = TypeVar("R")

Steps = Generator[None, Any, R]

# A tenth of the time that a request may hold the loop: two large requests take turns with all others, work
# outside of steps comes on top, and machines are slower than the one it was measured on.
SLICE_SECONDS = 0.005


class Sliced(Generic[R]):
    """One piece of work. `result` is set once `advance` has returned True."""

    __slots__ = ("_has_ended", "_steps", "_timer", "result")

    def __init__(self, steps: Steps[R], timer: Callable[[], float]) -> None:
        """`timer` gives seconds on a clock that never steps."""
        self._steps = steps
        self._timer = timer
        self._has_ended = False
        self.result: R

    def advance(self) -> bool:
        """Runs one slice, if anything is left; returns whether the work has ended. Raises what the work
        raises.
        """
        if self._has_ended:
            return True
        timer, steps = self._timer, self._steps
        end = timer() + SLICE_SECONDS
        try:
            while True:
                next(steps)
                if timer() >= end:
                    return False
        except StopIteration as stop:
            self.result = stop.value
            self._has_ended = True
            return True

    def replace_buffer(self, buffer: bytes | memoryview) -> None:
        """For a decoder that has paused: it continues in this copy of its buffer."""
        steps = self._steps

        def rest() -> Steps[R]:
            try:
                steps.send(buffer)
            except StopIteration as stop:
                ended: R = stop.value
                return ended
            yield
            return (yield from steps)

        self._steps = rest()

    async def finish(self) -> R:
        """Run it to its end, with a turn of the loop for others between slices."""
        while True:
            if self.advance():
                return self.result
            await asyncio.sleep(0)
