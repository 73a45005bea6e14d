"""Producers: idempotent ones with several batches on the way, and plain ones. acks=all, endless retries."""

import asyncio
from dataclasses import dataclass

from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.sim.client import NoReply, SimClient
from chronik.sim.virtual_time import WALL_START_MS
from chronik.sim.workload.history import History, Sent
from chronik.sim.workload.view import ClusterView
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import Offset, TopicPartition
from chronik.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from chronik.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

# As the Java client's max.in.flight.requests.per.connection: more would not be kept in order.
IN_FLIGHT_MAX = 5

_RECORDS_MAX = 3
_PRODUCE_VERSION = 9
_TIMEOUT_MS = 1_500
_SECONDS = 2.5
_RETRY_SECONDS = 0.05
_PAUSE_SECONDS_MAX = 0.5
_FILLING_MAX = 120

# Errors of a cluster in trouble, after which every client tries again.
RETRIABLE = frozenset(
    {
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """A batch without an acknowledgement."""

    base_sequence: int
    values: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """The result of one try; no code when there was no reply."""

    code: ErrorCode | None
    base_offset: int = -1


class SimProducer:
    """Writes to every partition of a topic until `stop`, and until all of it is acknowledged."""

    def __init__(
        self, client: SimClient, history: History, topic: str, partitions: int, *, is_idempotent: bool
    ) -> None:
        self._client = client
        self._history = history
        self._topic = topic
        self._partitions = partitions
        self._is_idempotent = is_idempotent
        self._view = ClusterView(client, history)
        self._producer_id = -1
        self._is_stopping = False

    def stop(self) -> None:
        """Send nothing new."""
        self._is_stopping = True

    async def run(self) -> None:
        if self._is_idempotent:
            await self._initialise()
        async with asyncio.TaskGroup() as lanes:
            for index in range(self._partitions):
                lanes.create_task(self._write(TopicPartition(self._topic, index)))

    async def _initialise(self) -> None:
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
        while True:
            node = self._client.random.choice(self._client.nodes)
            try:
                answer = await self._client.ask(node, request, 1, InitProducerIdResponse, _SECONDS)
                if answer.error_code == ErrorCode.NONE:
                    self._producer_id = answer.producer_id
                    return
                self._check_retriable(ErrorCode(answer.error_code), "a producer id")
            except NoReply:
                pass
            await asyncio.sleep(_RETRY_SECONDS)

    async def _write(self, partition: TopicPartition) -> None:
        pending: list[_Batch] = []
        number = 0
        # A leader takes any first batch of a producer it does not know, as Kafka's does (KIP-360): were the
        # very first one refused and the next one not, nothing could put them in order again.
        in_flight_max = 1
        while not self._history.problems and (pending or not self._is_stopping):
            if not pending:
                # Nothing new goes out while anything has to go out again: a leader knows only the last few.
                for _ in range(self._client.random.randint(1, in_flight_max)):
                    pending.append(self._batch(partition, number))
                    number += len(pending[-1].values)
            pending = await self._send_all(partition, pending)
            if pending:
                await self._view.refresh(partition.topic)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                in_flight_max = IN_FLIGHT_MAX
                await asyncio.sleep(self._client.random.random() * _PAUSE_SECONDS_MAX)

    async def _send_all(self, partition: TopicPartition, batches: list[_Batch]) -> list[_Batch]:
        """Returns the batches to be sent again."""
        outcomes = await asyncio.gather(*(self._send(partition, batch) for batch in batches))
        left: list[_Batch] = []
        for batch, outcome in zip(batches, outcomes, strict=True):
            if self._is_acknowledged(partition, batch, outcome, is_first=not left):
                self._acknowledge(batch, outcome.base_offset)
            else:
                left.append(batch)
        return left

    def _is_acknowledged(
        self, partition: TopicPartition, batch: _Batch, outcome: _Outcome, *, is_first: bool
    ) -> bool:
        match outcome.code:
            case None:
                return False
            case ErrorCode.NONE | ErrorCode.DUPLICATE_SEQUENCE_NUMBER:
                return True
            case ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER if not is_first:
                # The one before it was not taken.
                return False
            case code:
                self._check_retriable(code, f"{partition}, sequence {batch.base_sequence}")
                return False

    def _acknowledge(self, batch: _Batch, base_offset: int) -> None:
        now = asyncio.get_running_loop().time()
        for position, value in enumerate(batch.values):
            offset = Offset(base_offset + position) if base_offset >= 0 else None
            self._history.acknowledge(value, offset, now)

    def _check_retriable(self, code: ErrorCode, what: str) -> None:
        if code not in RETRIABLE:
            self._history.problems.append(f"{self._client.name}: {what}: {code.name}")

    def _batch(self, partition: TopicPartition, number: int) -> _Batch:
        random = self._client.random
        now = WALL_START_MS + round(asyncio.get_running_loop().time() * 1000)
        values = tuple(
            self._history.send(
                Sent(self._client.name, partition, number + position),
                "x" * random.randrange(_FILLING_MAX),
                now,
            )
            for position in range(random.randint(1, _RECORDS_MAX))
        )
        options = BatchOptions()
        if self._is_idempotent:
            options = BatchOptions(producer_id=self._producer_id, producer_epoch=0, base_sequence=number)
        records = [Record(key=b"k", value=value, timestamp=now) for value in values]
        return _Batch(base_sequence=number, values=values, data=bytes(build_batch(records, options).data))

    async def _send(self, partition: TopicPartition, batch: _Batch) -> _Outcome:
        leading = self._view.leader(partition)
        if leading is None:
            return _Outcome(code=None)
        data = PartitionProduceData(index=partition.partition, records=batch.data)
        topic_data = [TopicProduceData(name=partition.topic, partition_data=[data])]
        request = ProduceRequest(acks=-1, timeout_ms=_TIMEOUT_MS, topic_data=topic_data)
        try:
            answer = await self._client.ask(
                leading.node, request, _PRODUCE_VERSION, ProduceResponse, _SECONDS
            )
        except NoReply:
            return _Outcome(code=None)
        found = answer.responses[0].partition_responses[0]
        return _Outcome(code=ErrorCode(found.error_code), base_offset=found.base_offset)
