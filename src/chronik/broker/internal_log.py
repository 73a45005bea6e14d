"""Internal topics as what coordinators and the metadata service write: keys and values, committed or not.

One per internal topic. Appends are in the order of calls; each resolves when its batch is committed. An
append that fails left nothing in the log, or the log takes nothing more; one that was on its way when this
node ceased to lead may still be committed, and is told when that is known.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

from chronik.broker.partition import Partition, storage_error
from chronik.log.reading import ColdRead, LogSlice
from chronik.records.build import build_batch
from chronik.records.record import Record, decode_records
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import invariant
from chronik.vocab.seams import Clock

# What one read of a replay holds in memory.
_REPLAY_BYTES = 1024 * 1024

KeyValues = Sequence[tuple[bytes, bytes | None]]


class _Committed:
    """Waits for one append."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future

    def on_committed(self, partition: Partition) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def on_commit_failed(self, partition: Partition, code: ErrorCode) -> None:
        if not self.future.done():
            self.future.set_exception(KafkaError(code))


class InternalLog:
    """See the module."""

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

    def append(self, index: int, records: KeyValues) -> Awaitable[None]:
        """Append `records` as one batch, at once. Raises KafkaError now, or when awaited."""
        partition = self._find(index)
        now_ms = self._clock.now_ms()
        batch = build_batch([Record(key=key, value=value, timestamp=now_ms) for key, value in records])
        appended = partition.append_internal(batch)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not partition.wait_committed(appended.end_offset, _Committed(future)):
            future.set_result(None)
        return future

    def replay(self, index: int) -> Iterator[KeyValues]:
        """All committed records from the log start, a batch at a time. Waits for the device in place."""
        partition = self._find(index)
        offset = partition.log.start_offset
        while offset < partition.high_watermark:
            found = _read(partition, offset)
            if isinstance(found, ColdRead):
                found = _load_in_place(found)
            yield from _records(found, offset)
            offset = _next_offset(found, offset)

    async def read(self, index: int, /) -> AsyncIterator[KeyValues]:
        """As `replay`, without holding the loop, and not before what earlier leaders acknowledged is known to
        be committed here too.
        """
        partition = self._find(index)
        await partition.wait_own_term(None)
        offset = partition.log.start_offset
        while offset < partition.high_watermark:
            found = _read(partition, offset)
            if isinstance(found, ColdRead):
                found = await self._load(found)
            for records in _records(found, offset):
                yield records
                await asyncio.sleep(0)
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


def _records(read: LogSlice, offset: int) -> Iterator[KeyValues]:
    for batch in read.batches():
        if not batch.header.is_control:
            yield [
                (record.key or b"", record.value)
                for record in decode_records(batch)
                if record.offset >= offset
            ]


def _next_offset(read: LogSlice, offset: int) -> Offset:
    invariant(read.end_offset > offset, "nothing to read at {} below the high watermark", offset)
    return Offset(read.end_offset)
