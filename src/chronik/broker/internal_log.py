"""Internal topics as what coordinators and the metadata service write: keys and values, committed or not.

One per internal topic. Appends are in the order of calls; each resolves when its batch is committed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from chronik.broker.partition import Partition
from chronik.log.reading import ColdRead
from chronik.records.batch import split_batches
from chronik.records.build import build_batch
from chronik.records.record import Record, decode_records
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset
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
    """See the module. `find` gives the partition by index, or raises KafkaError."""

    def __init__(self, find: Callable[[int], Partition], clock: Clock) -> None:
        self._find = find
        self._clock = clock

    def append(self, index: int, records: KeyValues) -> Awaitable[None]:
        """Append `records` as one batch, at once. Raises KafkaError now, or when awaited."""
        partition = self._find(index)
        partition.check_leader()
        now_ms = self._clock.now_ms()
        batch = build_batch([Record(key=key, value=value, timestamp=now_ms) for key, value in records])
        appended = partition.append_internal(batch)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not partition.wait_committed(appended.end_offset, _Committed(future)):
            future.set_result(None)
        return future

    def replay(self, index: int) -> Iterator[KeyValues]:
        """All committed records from the log start, a batch at a time."""
        partition = self._find(index)
        offset = partition.log.start_offset
        while offset < partition.high_watermark:
            found = partition.log.read(offset, _REPLAY_BYTES, partition.high_watermark, at_least_one=True)
            read = found.load() if isinstance(found, ColdRead) else found
            for buffer in read.buffers:
                for batch in split_batches(buffer):
                    if not batch.header.is_control:
                        yield [
                            (record.key or b"", record.value)
                            for record in decode_records(batch)
                            if record.offset >= offset
                        ]
            offset = Offset(read.end_offset)

    def read(self, index: int) -> "AsyncReplay":
        """As `replay`, without holding the loop."""
        return AsyncReplay(self.replay(index))


class AsyncReplay:
    """Gives way to the loop between batches."""

    def __init__(self, batches: Iterator[KeyValues]) -> None:
        self._batches = batches

    def __aiter__(self) -> "AsyncReplay":
        return self

    async def __anext__(self) -> KeyValues:
        await asyncio.sleep(0)
        try:
            return next(self._batches)
        except StopIteration:
            raise StopAsyncIteration from None
