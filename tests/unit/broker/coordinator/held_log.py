"""A log for tests of the runtime: it commits when it is told to, and keeps batches as a partition does."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator

from chronik.broker.coordinator.log import EndOfTransaction, KeyValues, LoggedBatch, ProducerStamp
from chronik.records.build import BatchOptions, build_batch, build_end_txn_marker
from chronik.records.control import ControlType
from chronik.records.record import Record
from chronik.vocab.errors import ErrorCode, KafkaError

Pending = tuple[int, LoggedBatch, asyncio.Future[None]]


class HeldLog:
    """Implements CoordinatorLog. Commits at once, unless held."""

    def __init__(self) -> None:
        self.committed: defaultdict[int, list[LoggedBatch]] = defaultdict(list)
        self.is_held = False
        self._pending: deque[Pending] = deque()
        # How many appends to come have no room.
        self.refusals = 0
        # What the next append, or the next read, raises.
        self.refusal: KafkaError | None = None
        self.read_failure: KafkaError | OSError | None = None
        self.reads = 0
        self.open_reads = 0
        self.read_gate = asyncio.Event()
        self.read_gate.set()

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def append(
        self, partition: int, records: KeyValues, transaction: ProducerStamp | None = None, /
    ) -> asyncio.Future[None]:
        return self._append(partition, batch_of(records, transaction))

    def append_marker(self, partition: int, marker: EndOfTransaction, /) -> asyncio.Future[None]:
        return self._append(partition, marker_batch(marker))

    def _append(self, partition: int, batch: LoggedBatch) -> asyncio.Future[None]:
        if self.refusals:
            self.refusals -= 1
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((partition, batch, future))
        if not self.is_held:
            self.commit()
        return future

    def commit(self, count: int | None = None) -> None:
        """What was appended first is committed first."""
        for _ in range(self.in_flight if count is None else min(count, self.in_flight)):
            partition, batch, future = self._pending.popleft()
            self.committed[partition].append(batch)
            future.set_result(None)

    def fail(self, code: ErrorCode = ErrorCode.NOT_LEADER_OR_FOLLOWER) -> None:
        """Nothing that is in flight will ever be committed."""
        while self._pending:
            self._pending.popleft()[2].set_exception(KafkaError(code))

    async def read(self, partition: int, /) -> AsyncGenerator[LoggedBatch, None]:
        self.reads += 1
        self.open_reads += 1
        try:
            await self.read_gate.wait()
            if self.read_failure is not None:
                failure, self.read_failure = self.read_failure, None
                raise failure
            for batch in list(self.committed[partition]):
                yield batch
        finally:
            self.open_reads -= 1


def batch_of(records: KeyValues, transaction: ProducerStamp | None = None) -> LoggedBatch:
    options = BatchOptions()
    if transaction is not None:
        options = BatchOptions(
            producer_id=transaction.producer_id,
            producer_epoch=transaction.producer_epoch,
            is_transactional=True,
        )
    batch = build_batch([Record(key, value, 0) for key, value in records], options)
    return LoggedBatch(batch.header, list(records))


def marker_batch(marker: EndOfTransaction) -> LoggedBatch:
    batch = build_end_txn_marker(
        ControlType.COMMIT if marker.is_commit else ControlType.ABORT,
        producer_id=marker.producer.producer_id,
        producer_epoch=marker.producer.producer_epoch,
        coordinator_epoch=marker.coordinator_epoch,
        timestamp=0,
    )
    return LoggedBatch(batch.header, (), marker)
