"""Time and a log for tests of the service.

An event loop that waits for nothing, and a log that commits when it is told to.
"""

import asyncio
import selectors
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any

from chronik.broker.groups.log import KeyValues
from chronik.vocab.errors import ErrorCode, KafkaError

WALL_START_MS = 1_700_000_000_000


class _NoWaiting(selectors.SelectSelector):
    """Instead of waiting, time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        self.passed_seconds += max(timeout, 0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer when there is nothing else to do."""

    def __init__(self) -> None:
        self._no_waiting = _NoWaiting()
        super().__init__(self._no_waiting)

    def time(self) -> float:
        return self._no_waiting.passed_seconds


class LoopClock:
    """`vocab.seams.Clock` of the running virtual loop."""

    def now_ms(self) -> int:
        return WALL_START_MS + self.monotonic_ms()

    def monotonic_ms(self) -> int:
        return round(asyncio.get_running_loop().time() * 1000)


def virtual(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on a loop of its own, in no time."""

    @wraps(test)
    def run() -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test())

    return run


async def settle() -> None:
    """Let everything run that can, without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def after_ms(ms: int) -> None:
    await asyncio.sleep(ms / 1000)
    await settle()


class MemoryLog:
    """Implements CoordinatorLog. Commits at once, unless held."""

    def __init__(self) -> None:
        self.committed: defaultdict[int, list[tuple[bytes, bytes | None]]] = defaultdict(list)
        self.batches: list[KeyValues] = []
        self.is_held = False
        self._waiting: deque[tuple[int, KeyValues, asyncio.Future[None]]] = deque()
        # What the next append, or the next read, raises.
        self.refusal: KafkaError | None = None
        self.read_failure: KafkaError | OSError | None = None
        self.reads = 0
        self.read_gate = asyncio.Event()
        self.read_gate.set()

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    def append(self, partition: int, records: KeyValues, /) -> Awaitable[None]:
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        self.batches.append(records)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((partition, records, future))
        if not self.is_held:
            self.commit()
        return future

    def commit(self, count: int | None = None) -> None:
        """What was appended first is committed first."""
        for _ in range(len(self._waiting) if count is None else count):
            partition, records, future = self._waiting.popleft()
            self.committed[partition].extend(records)
            future.set_result(None)

    def fail(self, code: ErrorCode) -> None:
        """Nothing that is in flight will ever be committed."""
        while self._waiting:
            self._waiting.popleft()[2].set_exception(KafkaError(code))

    async def read(self, partition: int, /) -> AsyncIterator[KeyValues]:
        self.reads += 1
        await self.read_gate.wait()
        if self.read_failure is not None:
            failure, self.read_failure = self.read_failure, None
            raise failure
        for record in list(self.committed[partition]):
            await asyncio.sleep(0)
            yield [record]
