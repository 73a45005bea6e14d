"""Internal topics as coordinators and the metadata service write them: batches, committed or not.

One per internal topic. Appends are in the order of calls; each resolves when its batch is committed. An
append that fails left nothing in the log, or the log accepts nothing more; one in progress when this node
ceased to lead may still be committed, and resolves when that is known.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

from chronik.broker.coordinator.log import EndOfTransaction, KeyValues, LoggedBatch, ProducerStamp
from chronik.broker.gateway import PartitionGateway
from chronik.broker.partition import Partition
from chronik.broker.storage_errors import storage_error
from chronik.log.reading import ColdRead, LogSlice
from chronik.records.batch import Batch
from chronik.records.build import PLAIN, BatchOptions, build_batch, build_end_txn_marker
from chronik.records.control import ControlType, parse_end_txn_marker
from chronik.records.record import Record, decode_records
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import invariant
from chronik.vocab.seams import Clock

# What one read of a replay holds in memory.
_REPLAY_BYTES = 1024 * 1024


class _Committed:
    """Waits for one append."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future

    def on_committed(self, partition: PartitionGateway) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def on_commit_failed(self, partition: PartitionGateway, code: ErrorCode) -> None:
        if not self.future.done():
            self.future.set_exception(KafkaError(code))


class InternalLog:
    """See the module. Implements `coordinator.log.CoordinatorLog`."""

    def __init__(
        self,
        find: Callable[[int], Partition],
        load: Callable[[ColdRead], Awaitable[LogSlice]],
        clock: Clock,
    ) -> None:
        """`find` gives the partition by index, `load` reads from the device in a thread; both raise
        KafkaError.
        """
        self._find = find
        self._load = load
        self._clock = clock

    def append(
        self, index: int, records: KeyValues, transaction: ProducerStamp | None = None, /
    ) -> asyncio.Future[None]:
        """Append `records` as one batch, at once, as part of `transaction` unless that is None. Raises
        KafkaError, or the future does.
        """
        now_ms = self._clock.now_ms()
        return self._append(
            index,
            build_batch(
                [Record(key=key, value=value, timestamp=now_ms) for key, value in records],
                PLAIN if transaction is None else _transactional(transaction),
            ),
        )

    def append_marker(self, index: int, marker: EndOfTransaction, /) -> asyncio.Future[None]:
        """Append the end of a transaction as a control batch. As `append`."""
        batch = build_end_txn_marker(
            ControlType.COMMIT if marker.is_commit else ControlType.ABORT,
            producer_id=marker.producer.producer_id,
            producer_epoch=marker.producer.producer_epoch,
            coordinator_epoch=marker.coordinator_epoch,
            timestamp=self._clock.now_ms(),
        )
        return self._append(index, batch)

    def _append(self, index: int, batch: Batch) -> asyncio.Future[None]:
        partition = self._find(index)
        appended = partition.append_internal(batch)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not partition.wait_committed(appended.end_offset, _Committed(future)):
            future.set_result(None)
        return future

    def replay(self, index: int) -> Iterator[KeyValues]:
        """Returns all committed records from the log start, a batch at a time. Blocks on the device."""
        partition = self._find(index)
        offset = partition.log_start_offset
        while offset < partition.high_watermark:
            found = _read(partition, offset)
            if isinstance(found, ColdRead):
                found = _load_in_place(found)
            for batch in _batches(found, offset):
                yield batch.records
            offset = _next_offset(found, offset)

    async def read(self, index: int, /) -> AsyncGenerator[LoggedBatch, None]:
        """Returns all committed batches from the log start, without blocking on the device, and not before
        everything that earlier leaders acknowledged is known to be committed here too. The reader
        yields to the loop.
        """
        partition = self._find(index)
        await partition.wait_own_term(None)
        offset = partition.log_start_offset
        while offset < partition.high_watermark:
            found = _read(partition, offset)
            if isinstance(found, ColdRead):
                found = await self._load(found)
            for batch in _batches(found, offset):
                yield batch
            offset = _next_offset(found, offset)


def _read(partition: Partition, offset: Offset) -> LogSlice | ColdRead:
    # Each time: it may have been deleted since the last.
    partition.check_leader()
    return partition.read(offset, _REPLAY_BYTES, is_read_committed=False, at_least_one=True)


def _load_in_place(cold: ColdRead) -> LogSlice:
    try:
        return cold.load()
    except OSError as error:
        raise storage_error(error) from error


def _batches(read: LogSlice, offset: int) -> Iterator[LoggedBatch]:
    """From `offset` on, which may be in the middle of a batch. Control records other than transaction ends
    are left out.
    """
    for batch in read.batches():
        if batch.header.is_control:
            marker = parse_end_txn_marker(batch)
            if marker is not None:
                stamp = ProducerStamp(batch.header.producer_id, batch.header.producer_epoch)
                end = EndOfTransaction(stamp, not marker.is_abort, marker.coordinator_epoch)
                yield LoggedBatch(batch.header, (), end)
        else:
            records = [
                (record.key or b"", record.value)
                for record in decode_records(batch)
                if record.offset >= offset
            ]
            yield LoggedBatch(batch.header, records)


def _transactional(stamp: ProducerStamp) -> BatchOptions:
    """Without sequences, as Kafka's coordinators write: their batches are never retried."""
    return BatchOptions(
        producer_id=stamp.producer_id, producer_epoch=stamp.producer_epoch, is_transactional=True
    )


def _next_offset(read: LogSlice, offset: int) -> Offset:
    invariant(read.end_offset > offset, "nothing to read at {} below the high watermark", offset)
    return Offset(read.end_offset)
