"""One Fetch request that waits for `min_bytes`.

Made by the handler, woken by the partitions' commits, ends by answering once. While it waits it holds no
records, only its partitions.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

from chronik.broker.context import Broker
from chronik.broker.fetch_reader import (
    Fetched,
    FetchLimits,
    Reading,
    find_partition,
    read_partitions,
    take_slice,
)
from chronik.broker.fetch_session import FetchedPartition, PartitionKey
from chronik.broker.gateway import PartitionGateway
from chronik.broker.slices import Steps
from chronik.log.reading import ColdRead, LogSlice
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.fetch import FetchResponse

# Answers that `failedfetchrequests` does not count, as in Kafka: leaders move, and offsets are removed.
_EXPECTED = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INCONSISTENT_TOPIC_ID,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.OFFSET_OUT_OF_RANGE,
        ErrorCode.KAFKA_STORAGE_ERROR,
    }
)

# Longer polls than this only keep dead clients' waiters alive; Kafka's consumers request 500 ms.
WAIT_MS_MAX = 5 * 60 * 1000


class Answer(Protocol):
    """Turns the records read into a response, once."""

    def build(self, fetched: Iterable[Fetched]) -> FetchResponse: ...

    def build_in_steps(self, fetched: Iterable[Fetched]) -> Steps[FetchResponse]: ...


class DelayedFetch:
    """See the module."""

    def __init__(
        self,
        broker: Broker,
        wanted: Mapping[PartitionKey, FetchedPartition],
        limits: FetchLimits,
        answer: Answer,
    ) -> None:
        self._broker = broker
        self._wanted = wanted
        self._limits = limits
        self._answer = answer
        self._future: asyncio.Future[FetchResponse] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # Each with whether it led when the wait began.
        self._watched: list[tuple[PartitionGateway, bool]] = []
        # Whether a new read is due in this turn of the loop: the many commits of one sync round cause one
        # read.
        self._is_woken = False

    def start(self) -> FetchResponse | asyncio.Future[FetchResponse]:
        """The answer if there is enough or nothing to wait for, else the promise of one."""
        reading = self._read()
        if self._is_enough(reading) or self._limits.max_wait_ms <= 0:
            return self._conclude(reading)
        return self._wait()

    def on_progress(self) -> None:
        """A partition has committed or failed."""
        if not self._is_woken:
            self._is_woken = True
            asyncio.get_running_loop().call_soon(self._retry)

    def _read(self) -> Reading:
        return read_partitions(self._broker, self._wanted, self._limits)

    def _is_enough(self, reading: Reading) -> bool:
        return is_enough(self._broker, reading, self._limits, self._wanted)

    def _wait(self) -> asyncio.Future[FetchResponse]:
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        self._future.add_done_callback(self._stop_waiting)
        self._timer = loop.call_later(min(self._limits.max_wait_ms, WAIT_MS_MAX) / 1000, self._on_timeout)
        for key in self._wanted:
            try:
                partition = find_partition(self._broker, key)
            except KafkaError:
                continue
            partition.add_fetch_waiter(self)
            self._watched.append((partition, partition.is_leader))
        return self._future

    def _retry(self) -> None:
        self._is_woken = False
        if self._watched:
            # Another replica may lead now: the client is notified at once.
            is_moved = any(partition.is_leader != led for partition, led in self._watched)
            self._look_again(is_last=is_moved)

    def _on_timeout(self) -> None:
        self._look_again(is_last=True)

    def _look_again(self, *, is_last: bool) -> None:
        assert self._future is not None
        if self._future.done():
            # Cancelled in this turn of the loop; `_stop_waiting` is called in the next.
            return
        try:
            reading = self._read()
            if is_last or self._is_enough(reading):
                self._finish(reading)
        except Exception as error:  # nothing else would end the wait
            self._future.set_exception(error)

    def _stop_waiting(self, _: object) -> None:
        """Also called when the client has disconnected and its request is cancelled."""
        if self._timer is not None:
            self._timer.cancel()
        for partition, _ in self._watched:
            partition.remove_fetch_waiter(self)
        self._watched.clear()

    def _finish(self, reading: Reading) -> None:
        assert self._future is not None
        self._stop_waiting(None)
        response = self._conclude(reading)
        if isinstance(response, asyncio.Future):
            response.add_done_callback(self._on_loaded)
        else:
            self._future.set_result(response)

    def _conclude(self, reading: Reading) -> FetchResponse | asyncio.Future[FetchResponse]:
        if not reading.cold:
            return self._build(reading)
        memory, size = self._broker.memory, reading.size
        memory.loading_bytes += size

        def give_back(_: object) -> None:
            memory.loading_bytes -= size

        loading = asyncio.ensure_future(self._load(reading))
        loading.add_done_callback(give_back)
        return loading

    async def _load(self, reading: Reading) -> FetchResponse:
        await load_cold(self._broker, reading, self._limits)
        return self._build(reading)

    def _build(self, reading: Reading) -> FetchResponse:
        for fetched in reading.fetched:
            if fetched.traffic is not None:
                fetched.traffic.bytes_out += fetched.size
                fetched.traffic.fetches += 1
                if fetched.code is not ErrorCode.NONE and fetched.code not in _EXPECTED:
                    fetched.traffic.failed_fetches += 1
        return self._answer.build(reading.fetched)

    def _on_loaded(self, loaded: asyncio.Future[FetchResponse]) -> None:
        assert self._future is not None
        error = asyncio.CancelledError() if loaded.cancelled() else loaded.exception()
        if self._future.done():
            return
        if error is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(loaded.result())


def is_enough(
    broker: Broker,
    reading: Reading,
    limits: FetchLimits,
    wanted: Mapping[PartitionKey, FetchedPartition],
) -> bool:
    """True if there is nothing to wait for."""
    return (
        reading.available >= limits.min_bytes
        or reading.must_answer
        or bool(reading.cold)
        or not wanted
        or broker.is_stopping
    )


async def load_cold(broker: Broker, reading: Reading, limits: FetchLimits) -> None:
    """Reads in a thread what the page cache lacks, one partition after the other."""
    for fetched, partition, cold in reading.cold:
        try:
            data = await _load_one(broker, partition, cold)
            take_slice(fetched, partition, data, limits)
        except KafkaError as error:
            fetched.fail(error)


async def _load_one(broker: Broker, partition: PartitionGateway, cold: ColdRead) -> LogSlice:
    """Raises KafkaError. If the partition was deleted in the meantime, that is the error, whatever the
    read returned: its files are gone, or are those of a new topic of its name.
    """
    try:
        data = await broker.replicas.load(cold)
    except KafkaError:
        if not partition.is_open:
            partition.check_leader()
        raise
    if not partition.is_open:
        partition.check_leader()
    return data
