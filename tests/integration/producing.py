"""Topics, batches and requests that several tests here need."""

import time

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from chronik.records.batch import Codec
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.wire.apis import ApiKey
from chronik.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData
from chronik.wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from tests.support.broker_process import BrokerProcess
from tests.support.protocol.client import RawClient

_PRODUCE_VERSION = 9
_FETCH_VERSION = 12
_MIB = 1024 * 1024


def create(
    broker: BrokerProcess, topic: str, config: dict[str, str] | None = None, partitions: int = 1
) -> str:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(topic, partitions, config=config or {})])[topic].result(timeout=10)
    return topic


def batch(
    codec: Codec = Codec.NONE,
    *,
    key: bytes | None = b"key",
    value: bytes = b"value" * 20,
    timestamp: int | None = None,
    records: int = 3,
) -> bytes:
    at = now_ms() if timestamp is None else timestamp
    return bytes(build_batch([Record(key, value, at)] * records, BatchOptions(codec=codec)).data)


def produce(client: RawClient, topic: str, records: bytes) -> PartitionProduceResponse:
    """Append to partition 0 with acks=all."""
    asked = ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[topic_data(topic, records)])
    answer = client.ask(ApiKey.PRODUCE, _PRODUCE_VERSION, asked, ProduceResponse)
    (partition,) = answer.responses[0].partition_responses
    return partition


def topic_data(topic: str, records: bytes) -> TopicProduceData:
    return TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=records)])


def fetch_request(topic: str, offset: int, max_bytes: int = 10 * _MIB, max_wait_ms: int = 0) -> FetchRequest:
    """Partition 0, without a session."""
    wanted = FetchPartition(
        partition=0, fetch_offset=offset, partition_max_bytes=max_bytes, current_leader_epoch=-1
    )
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=max_bytes,
        session_epoch=-1,
        topics=[FetchTopic(topic=topic, partitions=[wanted])],
    )


def fetch(client: RawClient, topic: str, offset: int, max_bytes: int = 10 * _MIB) -> PartitionData:
    asked = fetch_request(topic, offset, max_bytes)
    answer = client.ask(ApiKey.FETCH, _FETCH_VERSION, asked, FetchResponse)
    (partition,) = answer.responses[0].partitions
    return partition


def now_ms() -> int:
    return int(time.time() * 1000)
