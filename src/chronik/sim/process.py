"""Processes that share one event loop, stop alone, as with SIGSTOP, and end alone, as with SIGKILL.

Everything that a process starts (tasks, timers, callbacks) carries its process in its context. A process that
died runs no timers any more, and its tasks are cancelled; their last actions have no effect, because its
disk, its network and its clients are gone (`process_disk`, `process_transport`). So the others live on as if
it had been killed. Timers that fall due in a paused process run when it goes on.
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

# Each turn of cancellations ends tasks left by the last one; a task that outlives this many ignores them.
_REAPINGS_MAX = 100


class ProcessDied(Exception):
    """Its connections broke: an awaited answer will never come."""


class SimProcess:
    """One life of a process. Created by its starter; ends at `die`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.is_paused = False
        # What fell due while it was paused, in that order.
        self._due: list[_Call] = []
        # A dict, for an order that a seed repeats.
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def __repr__(self) -> str:
        return f"<SimProcess {self.name}{' dead' if self.is_dead else ''}>"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Calls and tasks in this context belong to this process."""
        with _as(self):
            yield

    async def do(self, work: Coroutine[Any, Any, R]) -> R:
        """Runs this in the process; returns the result. Raises ProcessDied when the process dies first."""
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
            # What fell due is how its tasks end.
            self.resume()
            with outside():
                asyncio.get_running_loop().call_soon(self._reap, 0)

    def pause(self) -> None:
        """Run nothing of it until `resume`. Not to be called from inside it."""
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False
        due, self._due = self._due, []
        loop = asyncio.get_running_loop()
        for call in due:
            with outside():
                loop.call_soon(call.run_again)

    def defer(self, call: "_Call") -> None:
        """For the loop: a callback that fell due while this process was paused."""
        self._due.append(call)

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
    """Calls and tasks in this context belong to no process, and go on when the process is gone."""
    with _as(None):
        yield


def current_process() -> SimProcess | None:
    return _CURRENT.get()


class ProcessLoop(VirtualLoop):
    """Virtual time, and processes that can be ended one by one.

    `problems` has the exceptions that were not caught in a living process.
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
        process = _owner(context)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        call = _Call(process, callback, args, is_timer=True)
        call.handle = handle = super().call_at(when, call.run, context=context)
        return handle

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        process = _owner(context)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        call = _Call(process, callback, args, is_timer=False)
        call.handle = handle = super().call_soon(call.run, context=context)
        return handle

    def _on_uncaught(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, PowerLost):
            return
        handle = context.get("handle")
        owner = None if handle is None else handle._context.get(_CURRENT, None)
        if owner is None or not owner.is_dead:
            self.problems.append(f"{context['message']}: {error!r}")
            self.default_exception_handler(context)


class _Call:
    """Something of a process that falls due on the loop."""

    __slots__ = ("_args", "_callback", "_is_timer", "_process", "handle")

    def __init__(
        self, process: SimProcess, callback: Callable[..., object], args: tuple[Any, ...], *, is_timer: bool
    ) -> None:
        self._process = process
        self._callback = callback
        self._args = args
        self._is_timer = is_timer
        self.handle: asyncio.Handle

    def run(self) -> None:
        # Callbacks of a dead process are how its tasks end.
        if self._process.is_dead and self._is_timer:
            return
        if self._process.is_paused and not self._process.is_dead:
            self._process.defer(self)
        else:
            self._callback(*self._args)

    def run_again(self) -> None:
        if not self.handle.cancelled():
            context: Context = self.handle._context  # type: ignore[attr-defined]
            context.run(self.run)


def _owner(context: Context | None) -> SimProcess | None:
    return _CURRENT.get() if context is None else context.get(_CURRENT, None)


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, context: Context | None = None
) -> "asyncio.Task[Any]":
    task = asyncio.Task(coroutine, loop=loop, context=context)
    process = _owner(context)
    if process is not None:
        process.adopt(task)
    return task


def on_processes(test: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Runs a test, or any other coroutine function, on a loop of its own, in no time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with asyncio.Runner(loop_factory=ProcessLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run
