"""A log for tests of the service, which commits when it is told to."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator

from chronik.broker.coordinator.log import EndOfTransaction, KeyValues, LoggedBatch, ProducerStamp
from chronik.records.build import build_batch
from chronik.records.record import Record
from chronik.sim.virtual_time import wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError


async def after_ms(ms: int) -> None:
    await asyncio.sleep(ms / 1000)
    await wait_until_idle()


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

    def append(
        self, partition: int, records: KeyValues, transaction: ProducerStamp | None = None, /
    ) -> asyncio.Future[None]:
        assert transaction is None
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        self.batches.append(records)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((partition, records, future))
        if not self.is_held:
            self.commit()
        return future

    def append_marker(self, partition: int, marker: EndOfTransaction, /) -> asyncio.Future[None]:
        raise NotImplementedError

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

    async def read(self, partition: int, /) -> AsyncGenerator[LoggedBatch, None]:
        self.reads += 1
        await self.read_gate.wait()
        if self.read_failure is not None:
            failure, self.read_failure = self.read_failure, None
            raise failure
        for key, value in list(self.committed[partition]):
            await asyncio.sleep(0)
            yield LoggedBatch(build_batch([Record(key, value, 0)]).header, [(key, value)])
