"""A whole broker, from the dispatcher down to a disk that forgets.

It is `LocalBroker` as the node wires it, without sockets and threads. Run it on `virtual_time`.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from chronik.broker.access import Access, AllowAll, Authorizer
from chronik.broker.context import Broker, Endpoint
from chronik.broker.dispatch import Dispatcher
from chronik.broker.partition import Partition
from chronik.broker.replica_manager import DiskUsage
from chronik.cluster.metadata.topics import CreateTopic, DeleteTopic
from chronik.node.data_directory import load_identity
from chronik.node.local_broker import LocalBroker, Machine
from chronik.records.batch import split_batches
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record, decode_records
from chronik.sim.disk import CrashDisk
from chronik.sim.frames import cut_frames, decode_response, request
from chronik.sim.virtual_time import LoopClock
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NodeId
from chronik.vocab.seams import Clock
from chronik.wire.apis import ApiKey
from chronik.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData
from chronik.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from chronik.wire.schema import Message
from tests.support.client_session import client_session
from tests.support.nulls import check_nulls

R = TypeVar("R", bound=Message)

NODE = NodeId(1)
ENDPOINT = Endpoint(listener="PLAINTEXT", host="localhost", port=9092)
DISK_BYTES = 1 << 40


class BrokerRoom:
    """Made with the disk of an earlier one, it is the node's next life. `settings` have `_` for `.`."""

    def __init__(self, disk: CrashDisk | None = None, clock: Clock | None = None, **settings: str) -> None:
        self.disk = disk if disk is not None else CrashDisk()
        self.clock = clock if clock is not None else LoopClock()
        # Allows everything unless a test sets another one before `open`.
        self.authorizer: Authorizer = AllowAll()
        self.settings = {name.replace("_", "."): value for name, value in settings.items()}
        self.local: LocalBroker
        self.dispatcher: Dispatcher

    async def open(self) -> "BrokerRoom":
        identity = load_identity(self.disk, NODE, None)
        machine = Machine(
            disk=self.disk,
            clock=self.clock,
            randomness=random.Random(7),
            disk_usage=self._disk_usage,
            open_files_max=512,
        )
        self.local = LocalBroker(machine, BrokerConfig(self.settings), identity, {"PLAINTEXT": ENDPOINT})
        self.broker.access = Access(self.authorizer)
        self.dispatcher = Dispatcher(self.broker, lambda: self.clock.monotonic_ms() / 1000)
        await self.local.open()
        return self

    def _disk_usage(self) -> DiskUsage:
        return DiskUsage(directory="/data", total_bytes=DISK_BYTES, usable_bytes=DISK_BYTES // 2)

    async def close(self) -> None:
        await self.local.close()

    async def restart(self) -> "BrokerRoom":
        """Stop cleanly; the next life."""
        await self.close()
        return await BrokerRoom(self.disk, self.clock, **self._texts()).open()

    async def start_again(self) -> "BrokerRoom":
        """The process is gone without a goodbye; the next life."""
        self.disk.kill()
        return await BrokerRoom(self.disk, self.clock, **self._texts()).open()

    def _texts(self) -> dict[str, str]:
        return {name.replace(".", "_"): value for name, value in self.settings.items()}

    @property
    def broker(self) -> Broker:
        return self.local.broker

    def partition(self, topic: str, index: int = 0) -> Partition:
        return self.broker.replicas.replica(topic, index)

    # Requests, as clients send them.

    async def ask(self, message: Message, version: int, response_type: type[R]) -> R:
        """The response to a request, both in their bytes of this version."""
        asked = request(ApiKey[_api_name(message)], version, message)
        reply = self.dispatcher.dispatch(memoryview(asked.frame)[4:], client_session())
        parts = reply if reply is None or isinstance(reply, list) else await reply
        assert parts is not None, "no answer"
        (frame,) = cut_frames(b"".join(parts))
        response = decode_response(asked, frame)
        check_nulls(ApiKey(asked.api_key), version, response)
        assert isinstance(response, response_type)
        return response

    # What most tests begin with.

    async def create(self, topic: str, partitions: int = 1, **configs: str) -> None:
        texts = {name.replace("_", "."): value for name, value in configs.items()}
        await self.broker.metadata.submit(CreateTopic(name=topic, partitions=partitions, configs=texts))

    async def delete(self, topic: str) -> None:
        await self.broker.metadata.submit(DeleteTopic(name=topic))

    async def produce(self, topic: str, *values: bytes, index: int = 0) -> tuple[ErrorCode, int]:
        """The code and the base offset that the producer is told."""
        batch = batch_of(values, timestamp=self.clock.now_ms())
        response = await self.ask(produce_request({(topic, index): batch}), 9, ProduceResponse)
        answer = response.responses[0].partition_responses[0]
        return ErrorCode(answer.error_code), answer.base_offset

    async def fetch(
        self, topic: str, offset: int = 0, *, index: int = 0, max_wait_ms: int = 0, min_bytes: int = 1
    ) -> tuple[ErrorCode, list[bytes]]:
        """The code and the values that a consumer without a session is given."""
        wanted = FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=1 << 20)
        message = FetchRequest(
            max_wait_ms=max_wait_ms,
            min_bytes=min_bytes,
            max_bytes=1 << 20,
            topics=[FetchTopic(topic=topic, partitions=[wanted])],
        )
        response = await self.ask(message, 11, FetchResponse)
        answer = response.responses[0].partitions[0]
        return ErrorCode(answer.error_code), values_in(records_of(answer))


def batch_of(values: Sequence[bytes], **options: Any) -> bytes:
    """A batch as a producer sends it."""
    timestamp = options.pop("timestamp", 1_700_000_000_000)
    records = [Record(key=b"k", value=value, timestamp=timestamp) for value in values]
    return bytes(build_batch(records, BatchOptions(**options)).data)


def produce_request(
    batches: Mapping[tuple[str, int], bytes], *, acks: int = -1, timeout_ms: int = 30_000
) -> ProduceRequest:
    return ProduceRequest(
        acks=acks,
        timeout_ms=timeout_ms,
        topic_data=[
            TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=index, records=records)])
            for (topic, index), records in batches.items()
        ],
    )


def records_of(answer: PartitionData) -> bytes:
    """The batches of one partition's answer to a fetch."""
    records = answer.records
    assert isinstance(records, bytes)
    return records


def values_in(data: bytes) -> list[bytes]:
    """The values of all records in some batches."""
    return [record.value or b"" for batch in split_batches(data) for record in decode_records(batch)]


def _api_name(message: Message) -> str:
    return type(message).__module__.rpartition(".")[2].upper()
