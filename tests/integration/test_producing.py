"""Producers' needs, and the settings of topics for their records."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError
from rich.progress import Progress

from chronik.records.batch import Codec, parse_header, split_batches
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from chronik.wire.messages.produce import ProduceRequest
from tests.integration.producing import batch, create, fetch, now_ms, produce, topic_data
from tests.proofs import first_sends
from tests.support.broker_process import BrokerProcess
from tests.support.protocol.client import RawClient
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

MIB = 1024 * 1024


def send(broker: BrokerProcess, topic: str, *values: bytes | None, **settings: Any) -> list[Message]:
    """With confluent-kafka; the delivered messages. Raises KafkaException when one fails."""
    delivered: list[Message] = []
    named = {name.replace("_", "."): value for name, value in settings.items()}
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, **named})
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=lambda _, message: delivered.append(message))
    assert producer.flush(20) == 0
    for message in delivered:
        error = message.error()
        if error is not None:
            raise KafkaException(error)
    return delivered


def read(broker: BrokerProcess, topic: str, count: int) -> list[Message]:
    """The first records of partition 0."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "reads-alone"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages: list[Message] = []

    def are_there() -> bool:
        messages.extend(consumer.consume(count - len(messages), timeout=0.1))
        return len(messages) == count

    wait_until(are_there, f"{count} records")
    consumer.close()
    assert all(message.error() is None for message in messages)
    return messages


# Producers.


def test_the_first_send_to_a_new_topic_needs_no_retry(own_broker: BrokerProcess) -> None:
    """`python -m tests.proofs.first_sends` does it a thousand times."""
    own_broker.start()

    report = first_sends.run(own_broker, 60, Progress(disable=True))

    assert report.problems == []


def test_keys_values_and_headers_come_back_as_they_were(broker: BrokerProcess, name: str) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    headers: list[tuple[str, str | bytes | None]] = [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None)]
    producer.produce(name, key=None, value=None, headers=headers)
    producer.produce(name, key=b"", value=b"")
    producer.produce(name, key="schlüssel", value=bytes(range(256)))
    assert producer.flush(10) == 0

    first, second, third = read(broker, name, 3)

    assert (first.key(), first.value(), first.headers()) == (None, None, headers)
    assert (second.key(), second.value(), second.headers()) == (b"", b"", None)
    assert (third.key(), third.value()) == ("schlüssel".encode(), bytes(range(256)))


def test_confluent_kafka_transactions_are_refused_at_once(broker: BrokerProcess) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": "tx"})
    started = time.monotonic()
    with pytest.raises(KafkaException) as refused:
        producer.init_transactions(10)

    assert "Transactions are not supported yet" in str(refused.value)
    assert time.monotonic() - started < 5


def test_kafka_python_transactions_are_refused_at_once(broker: BrokerProcess) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, transactional_id="tx-kp")
    started = time.monotonic()
    with pytest.raises(KafkaError, match=r"(?i)version"):
        producer.init_transactions()
    producer.close(timeout=1)

    assert time.monotonic() - started < 10


def test_aiokafka_transactions_are_refused_at_once(broker: BrokerProcess) -> None:
    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, transactional_id="tx-aio")
        try:
            await producer.start()
        finally:
            await producer.stop()

    with pytest.raises(AiokafkaError):
        asyncio.run(asyncio.wait_for(run(), 10))


def test_a_duplicate_of_an_idempotent_batch_is_answered_with_its_first_offset(
    broker: BrokerProcess, name: str
) -> None:
    create(broker, name)
    with RawClient(broker.port) as client:
        asked = InitProducerIdRequest(transactional_id=None, producer_id=-1, producer_epoch=-1)
        producer = client.ask(ApiKey.INIT_PRODUCER_ID, 4, asked, InitProducerIdResponse)

        def numbered(sequence: int, value: bytes) -> bytes:
            options = BatchOptions(
                producer_id=producer.producer_id,
                producer_epoch=producer.producer_epoch,
                base_sequence=sequence,
            )
            return bytes(build_batch([Record(b"k", value, now_ms())], options).data)

        batches = [numbered(sequence, b"%d" % sequence) for sequence in range(5)]
        assert [produce(client, name, data).base_offset for data in batches] == [0, 1, 2, 3, 4]
        assert [produce(client, name, data).base_offset for data in batches] == [0, 1, 2, 3, 4]
        assert produce(client, name, numbered(9, b"gap")).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert produce(client, name, numbered(5, b"next")).base_offset == 5


def test_idempotent_producers_of_all_libraries(broker: BrokerProcess, name: str) -> None:
    send(broker, name, b"confluent", enable_idempotence=True)
    kafka_python = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, enable_idempotence=True)
    kafka_python.send(name, b"kafka-python").get(10)
    kafka_python.close()

    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, enable_idempotence=True)
        await producer.start()
        await producer.send_and_wait(name, b"aiokafka")
        await producer.stop()

    asyncio.run(asyncio.wait_for(run(), 20))
    assert [message.value() for message in read(broker, name, 3)] == [
        b"confluent",
        b"kafka-python",
        b"aiokafka",
    ]


@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_each_kind_of_acks(broker: BrokerProcess, name: str, acks: int | str) -> None:
    create(broker, name)
    send(broker, name, b"a", b"b", acks=acks)

    assert [message.value() for message in read(broker, name, 2)] == [b"a", b"b"]


# Sizes.


def test_a_message_above_a_megabyte_is_refused_by_the_broker(broker: BrokerProcess, name: str) -> None:
    create(broker, name)
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        send(broker, name, bytes(2 * MIB), message_max_bytes=10 * MIB)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, max_request_size=10 * MIB)
    with pytest.raises(MessageSizeTooLargeError):
        producer.send(name, bytes(2 * MIB)).get(10)
    producer.close()


def test_a_raised_max_message_bytes_lets_it_pass(broker: BrokerProcess, name: str) -> None:
    create(broker, name, {"max.message.bytes": str(10 * MIB)})
    send(broker, name, bytes(5 * MIB), b"small", message_max_bytes=10 * MIB)

    large, small = read(broker, name, 2)
    assert len(large.value() or b"") == 5 * MIB
    assert small.value() == b"small"
    # Above the consumer's own limits, which let one batch pass whole (KIP-74).
    consumer = KafkaConsumer(name, bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest")
    assert len(next(consumer).value) == 5 * MIB
    consumer.close()


# Topics.


def test_log_append_time_is_the_brokers(broker: BrokerProcess, name: str) -> None:
    create(broker, name, {"message.timestamp.type": "LogAppendTime"})
    before = now_ms()
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce(name, b"old", timestamp=1000)
    assert producer.flush(10) == 0

    kind, timestamp = read(broker, name, 1)[0].timestamp()

    assert kind == 2
    assert before <= timestamp <= now_ms()


@pytest.mark.parametrize("stored", ["gzip", "snappy", "lz4", "zstd", "uncompressed"])
def test_a_topics_compression_type_decides_how_records_are_stored(
    broker: BrokerProcess, name: str, stored: str
) -> None:
    create(broker, name, {"compression.type": stored})
    sent = "zstd" if stored == "lz4" else "lz4"
    send(broker, name, *[b"value" * 100] * 10, compression_type=sent, linger_ms=50)

    with RawClient(broker.port) as client:
        records = fetch(client, name, 0).records
    assert isinstance(records, bytes)
    expected = Codec.NONE if stored == "uncompressed" else Codec[stored.upper()]
    assert {stored_batch.header.codec for stored_batch in split_batches(records)} == {expected}
    assert [message.value() for message in read(broker, name, 10)] == [b"value" * 100] * 10


def test_retention_removes_segments_and_moves_the_log_start(tmp_path: Path, name: str) -> None:
    broker = BrokerProcess(tmp_path, "log.retention.check.interval.ms=100")
    broker.start()
    try:
        create(broker, name, {"segment.bytes": str(MIB), "retention.bytes": str(2 * MIB)})
        for _ in range(10):
            send(broker, name, *[bytes(500_000)] * 2)
        consumer = Consumer(
            {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "auto.offset.reset": "earliest"}
        )
        partition = TopicPartition(name, 0)

        def start_offset() -> int:
            return int(consumer.get_watermark_offsets(partition, timeout=10)[0])

        wait_until(lambda: start_offset() > 0, "the log start moves")
        files = list((tmp_path / "data" / f"{name}-0").glob("*.log"))
        wait_until(lambda: sum(file.stat().st_size for file in files if file.exists()) < 4 * MIB, "files go")
        # A consumer that stood in what is gone goes on at the start.
        consumer.assign([TopicPartition(name, 0, 0)])
        message = wait_until(lambda: consumer.poll(0.1), "a record")
        assert message is not None
        assert (message.offset() or 0) >= 10
        consumer.close()
    finally:
        broker.stop()


def test_two_hundred_partitions_take_records_at_once(broker: BrokerProcess, name: str) -> None:
    create(broker, name, partitions=200)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for number in range(2000):
        producer.produce(name, b"%d" % number, partition=number % 200)
    assert producer.flush(20) == 0

    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": name, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([name])
    found: list[int] = []

    def are_there() -> bool:
        found.extend(int(message.value() or b"") for message in consumer.consume(500, timeout=0.2))
        return len(found) >= 2000

    wait_until(are_there, "2000 records of 200 partitions")
    consumer.close()
    assert sorted(found) == list(range(2000))


def test_a_topic_made_again_starts_anew(broker: BrokerProcess, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for round_number in range(3):
        admin.create_topics([NewTopic(name, 1)])[name].result(10)
        (message,) = send(broker, name, b"%d" % round_number)
        assert message.offset() == 0
        assert read(broker, name, 1)[0].value() == b"%d" % round_number
        admin.delete_topics([name])[name].result(10)


def test_deleting_topics_disturbs_no_other(broker: BrokerProcess, name: str) -> None:
    """Syncs are shared by all partitions, those that are being deleted among them."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    create(broker, name)
    with RawClient(broker.port) as client, RawClient(broker.port) as doomed:
        for number in range(40):
            topic = create(broker, f"{name}-doomed-{number}")
            deletion = admin.delete_topics([topic])
            asked = ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[topic_data(topic, batch())])
            doomed.send_request(ApiKey.PRODUCE, 9, asked)
            assert produce(client, name, batch()).base_offset == 3 * number
            deletion[topic].result(10)
            # Appended before the deletion, or refused; but answered.
            assert doomed.receive_frame()


def test_batches_are_stored_as_they_were_sent(broker: BrokerProcess, name: str) -> None:
    """But for base offset and leader epoch, the broker's two fields before the CRC."""
    create(broker, name)
    data = bytes(build_batch([Record(b"k", b"v", now_ms())] * 3, BatchOptions(codec=Codec.ZSTD)).data)
    with RawClient(broker.port) as client:
        assert produce(client, name, data).base_offset == 0
        assert produce(client, name, data).base_offset == 3
        stored = fetch(client, name, 3).records

    assert isinstance(stored, bytes)
    assert parse_header(stored).base_offset == 3
    assert stored[16:] == data[16:]
