"""Processes that share one event loop and end alone, at any moment, as with SIGKILL.

Whatever a process starts (tasks, timers, callbacks) knows by its context whose it is. A process that died
runs no timers any more, and its tasks are cancelled; what they still do on the way out reaches nobody,
because its disk, its network and its clients are gone (`process_disk`, `process_transport`). So the others
live on as if it had been killed.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, Unpack

from chronik.sim.disk import PowerLost
from chronik.sim.virtual_time import VirtualLoop

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_CURRENT: ContextVar["SimProcess | None"] = ContextVar("process", default=None)

# Each turn of cancellations ends what the last one left; a task that outlives so many ignores them.
_REAPINGS_MAX = 100


class ProcessDied(Exception):
    """Its connections broke: whoever waits for an answer will never have it."""


class SimProcess:
    """One life of a process. Made by who starts it; ends at `die`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        # A dict, for an order that a seed repeats.
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def __repr__(self) -> str:
        return f"<SimProcess {self.name}{' dead' if self.is_dead else ''}>"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What is called and started meanwhile is this process's."""
        with _as(self):
            yield

    async def do(self, work: Coroutine[Any, Any, R]) -> R:
        """Have the process do this; what it led to. Raises ProcessDied when the process does meanwhile."""
        if self.is_dead:
            work.close()
            raise ProcessDied(self.name)
        with self.inside():
            task = asyncio.get_running_loop().create_task(work)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            raise
        if self.is_dead:
            if not task.cancelled():
                # Looked at, so that it is not reported as lost.
                task.exception()
            raise ProcessDied(self.name)
        return task.result()

    def die(self) -> None:
        """Run nothing of it any more. May be called from inside it; what runs just then must raise."""
        if not self.is_dead:
            self.is_dead = True
            with outside():
                asyncio.get_running_loop().call_soon(self._reap, 0)

    def adopt(self, task: "asyncio.Task[Any]") -> None:
        """For the loop: a task that this process began."""
        self._tasks[task] = None
        task.add_done_callback(self._on_done, context=Context())

    def _on_done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)
        if self.is_dead and not task.cancelled():
            task.exception()

    def _reap(self, turn: int) -> None:
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            assert turn < _REAPINGS_MAX, f"tasks of a dead process do not end: {left}"
            asyncio.get_running_loop().call_soon(self._reap, turn + 1)


@contextmanager
def _as(process: SimProcess | None) -> Iterator[None]:
    token = _CURRENT.set(process)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def outside() -> Iterator[None]:
    """What is called and started meanwhile is the world's, and goes on when the process is gone."""
    with _as(None):
        yield


def current_process() -> SimProcess | None:
    return _CURRENT.get()


class ProcessLoop(VirtualLoop):
    """Virtual time, and processes that can be ended one by one.

    `problems` has what nobody caught in a process that lives.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.set_task_factory(_make_task)
        self.set_exception_handler(self._on_uncaught)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        process = _CURRENT.get() if context is None else context.get(_CURRENT, None)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        return super().call_at(when, _unless_dead, process, callback, *args, context=context)

    def _on_uncaught(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, PowerLost):
            return
        handle = context.get("handle")
        owner = None if handle is None else handle._context.get(_CURRENT, None)
        if owner is None or not owner.is_dead:
            self.problems.append(f"{context['message']}: {error!r}")
            self.default_exception_handler(context)


def _unless_dead(process: SimProcess, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
    if not process.is_dead:
        callback(*args)


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, context: Context | None = None
) -> "asyncio.Task[Any]":
    task = asyncio.Task(coroutine, loop=loop, context=context)
    process = _CURRENT.get() if context is None else context.get(_CURRENT, None)
    if process is not None:
        process.adopt(task)
    return task


def on_processes(test: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Run a test, or whatever it is, on a loop of its own, in no time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with asyncio.Runner(loop_factory=ProcessLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run
