"""Consumers' needs besides reading: positions, pauses, groups that change, brokers that come back."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AioTopicPartition
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from kafka import KafkaConsumer, KafkaProducer
from kafka import TopicPartition as KpTopicPartition

from tests.integration.producing import create
from tests.proofs.clients.aiokafka_client import Aiokafka
from tests.proofs.clients.client import Client
from tests.proofs.clients.confluent import Confluent
from tests.proofs.clients.group import GroupMember
from tests.proofs.clients.kafka_python import KafkaPython
from tests.proofs.clients.load import Reading
from tests.support.broker_process import BrokerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

SECONDS_MAX = 20.0
LIBRARIES: Sequence[Client] = (KafkaPython(), Aiokafka(), Confluent())


@contextmanager
def consuming(broker: BrokerProcess, group: str, **settings: Any) -> Iterator[Consumer]:
    named = {name.replace("_", "."): value for name, value in settings.items()}
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            **named,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def produce(broker: BrokerProcess, topic: str, values: list[str], timestamp: int = 0) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for at, value in enumerate(values):
        producer.produce(topic, value, partition=0, timestamp=timestamp + at if timestamp else 0)
    assert producer.flush(10) == 0


def next_value(consumer: Consumer) -> str:
    """The value of the next record."""

    def poll() -> Message | None:
        message = consumer.poll(0.1)
        assert message is None or message.error() is None
        return message

    return _text(wait_until(poll, "a record"))


def test_committed_offsets_are_where_the_next_consumer_goes_on(broker: BrokerProcess, name: str) -> None:
    produce(broker, name, ["a", "b", "c", "d"])
    with consuming(broker, name, enable_auto_commit=False) as consumer:
        consumer.subscribe([name])
        assert [next_value(consumer), next_value(consumer)] == ["a", "b"]
        consumer.commit(asynchronous=False)
        assert next_value(consumer) == "c"

    with consuming(broker, name) as consumer:
        consumer.subscribe([name])
        assert next_value(consumer) == "c"
        (committed,) = consumer.committed([TopicPartition(name, 0)], timeout=10)
        assert committed.offset == 2


def test_commits_carry_metadata(broker: BrokerProcess, name: str) -> None:
    produce(broker, name, ["a", "b"])
    with consuming(broker, name) as consumer:
        consumer.commit(offsets=[TopicPartition(name, 0, 1, metadata="half way")], asynchronous=False)
        (committed,) = consumer.committed([TopicPartition(name, 0)], timeout=10)

    assert (committed.offset, committed.metadata) == (1, "half way")


@pytest.mark.parametrize(("reset", "expected"), [("earliest", "a"), ("latest", "later")])
def test_without_an_offset_the_reset_policy_decides(
    broker: BrokerProcess, name: str, reset: str, expected: str
) -> None:
    produce(broker, name, ["a", "b"])
    with consuming(broker, name, auto_offset_reset=reset) as consumer:
        consumer.assign([TopicPartition(name, 0)])
        if reset == "latest":
            assert consumer.poll(1.0) is None
            produce(broker, name, ["later"])
        assert next_value(consumer) == expected


def test_seeks_go_anywhere(broker: BrokerProcess, name: str) -> None:
    start_ms = 1_700_000_000_000
    produce(broker, name, [str(number) for number in range(10)], timestamp=start_ms)
    with consuming(broker, name) as consumer:
        consumer.assign([TopicPartition(name, 0)])
        assert next_value(consumer) == "0"
        consumer.seek(TopicPartition(name, 0, 7))
        assert next_value(consumer) == "7"
        (found,) = consumer.offsets_for_times([TopicPartition(name, 0, start_ms + 4)], timeout=10)
        assert found.offset == 4
        consumer.seek(found)
        assert next_value(consumer) == "4"
        (beyond,) = consumer.offsets_for_times([TopicPartition(name, 0, start_ms + 1000)], timeout=10)
        assert beyond.offset == -1
        assert consumer.get_watermark_offsets(TopicPartition(name, 0), timeout=10) == (0, 10)


def test_kafka_python_seeks_to_both_ends(broker: BrokerProcess, name: str) -> None:
    produce(broker, name, ["a", "b", "c"])
    partition = KpTopicPartition(name, 0)
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers)
    consumer.assign([partition])
    consumer.seek_to_end(partition)
    assert consumer.position(partition) == 3
    consumer.seek_to_beginning(partition)
    assert next(consumer).value == b"a"
    assert consumer.end_offsets([partition]) == {partition: 3}
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.offsets_for_times({partition: 0})[partition].offset == 0
    consumer.close()


def test_aiokafka_seeks_to_both_ends(broker: BrokerProcess, name: str) -> None:
    produce(broker, name, ["a", "b", "c"])
    partition = AioTopicPartition(name, 0)

    async def run() -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers)
        await consumer.start()
        consumer.assign([partition])
        await consumer.seek_to_end(partition)
        assert await consumer.position(partition) == 3
        await consumer.seek_to_beginning(partition)
        assert (await consumer.getone()).value == b"a"
        assert await consumer.end_offsets([partition]) == {partition: 3}
        await consumer.stop()

    asyncio.run(asyncio.wait_for(run(), SECONDS_MAX))


def test_a_paused_partition_is_silent_until_it_resumes(broker: BrokerProcess, name: str) -> None:
    produce(broker, name, ["a"])
    partition = TopicPartition(name, 0)
    with consuming(broker, name) as consumer:
        consumer.assign([partition])
        assert next_value(consumer) == "a"
        consumer.pause([partition])
        produce(broker, name, ["b"])
        assert consumer.poll(0.5) is None
        consumer.resume([partition])
        assert next_value(consumer) == "b"


def test_an_offset_out_of_range_is_reset(broker: BrokerProcess, name: str) -> None:
    produce(broker, name, ["a"])
    with consuming(broker, name) as consumer:
        consumer.assign([TopicPartition(name, 0, 1000)])

        assert next_value(consumer) == "a"


def test_a_long_poll_ends_when_a_record_comes(broker: BrokerProcess, name: str) -> None:
    create(broker, name)
    with consuming(broker, name, fetch_wait_max_ms=10_000, socket_timeout_ms=20_000) as consumer:
        consumer.assign([TopicPartition(name, 0)])
        assert consumer.poll(0.5) is None
        sent = threading.Timer(0, produce, (broker, name, ["now"]))
        started = time.monotonic()
        sent.start()
        assert next_value(consumer) == "now"
        sent.join()

    assert time.monotonic() - started < 2.0


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
def test_both_isolation_levels_read_a_topic_without_transactions(
    broker: BrokerProcess, name: str, isolation: str
) -> None:
    produce(broker, name, ["a", "b"])
    with consuming(broker, name, isolation_level=isolation) as consumer:
        consumer.subscribe([name])

        assert [next_value(consumer), next_value(consumer)] == ["a", "b"]


def test_a_static_member_that_returns_keeps_its_partitions(broker: BrokerProcess, name: str) -> None:
    create(broker, name, partitions=2)
    settings = {"session_timeout_ms": 30_000}
    with consuming(broker, name, group_instance_id="other", **settings) as other:
        other.subscribe([name])
        with consuming(broker, name, group_instance_id="returning", **settings) as first:
            first.subscribe([name])
            wait_until(lambda: _assigned(other, first) == [1, 1], "both have a partition", 30)
            kept = first.assignment()
            generations = _generations(broker, name)
        # A static member does not leave when it closes, so the other must not take over.
        with consuming(broker, name, group_instance_id="returning", **settings) as again:
            again.subscribe([name])
            wait_until(lambda: _assigned(other, again) == [1, 1], "it has a partition again", 30)
            assert again.assignment() == kept

    assert _generations(broker, name) == generations


def test_cooperative_members_keep_what_they_need_not_give_up(broker: BrokerProcess, name: str) -> None:
    create(broker, name, partitions=6)
    settings = {"partition_assignment_strategy": "cooperative-sticky"}
    lost: list[int] = []
    with consuming(broker, name, **settings) as first, consuming(broker, name, **settings) as second:
        first.subscribe([name], on_revoke=lambda _, gone: lost.extend(each.partition for each in gone))
        wait_until(lambda: _assigned(first) == [6], "the first has all", 30)
        second.subscribe([name])
        wait_until(lambda: _assigned(first, second) == [3, 3], "each has half", 30)

        # Never all at once, as an eager group would.
        assert len(lost) == 3


def test_one_group_of_three_client_libraries(broker: BrokerProcess, name: str) -> None:
    """With their defaults: what all three have is the round-robin assignor."""
    create(broker, name, partitions=3)
    members = [GroupMember(client.name, Reading(0)) for client in LIBRARIES]
    with ThreadPoolExecutor() as threads:
        reading = [
            threads.submit(client.read, broker.bootstrap_servers, name, name, member)
            for client, member in zip(LIBRARIES, members, strict=True)
        ]
        try:
            wait_until(
                lambda: [member.partitions for member in members] == [1, 1, 1], "one partition each", 60
            )
        finally:
            for member in members:
                member.is_over = True
    for each in reading:
        each.result()


def test_clients_recover_by_themselves_when_the_broker_comes_back(
    own_broker: BrokerProcess, name: str
) -> None:
    """Producers and groups' consumers of two libraries live through a kill and a restart."""
    own_broker.start()
    servers = own_broker.bootstrap_servers
    create(own_broker, name)
    producer = KafkaProducer(bootstrap_servers=servers)
    consumer = KafkaConsumer(name, bootstrap_servers=servers, group_id="kp", auto_offset_reset="earliest")
    other = Producer({"bootstrap.servers": servers})
    with consuming(own_broker, "confluent") as reader:
        reader.subscribe([name])
        producer.send(name, b"before").get(SECONDS_MAX)
        assert next(consumer).value == b"before"
        assert next_value(reader) == "before"

        own_broker.kill()
        other.produce(name, b"meanwhile")
        own_broker.start()

        assert other.flush(SECONDS_MAX) == 0
        producer.send(name, b"after").get(SECONDS_MAX)
        assert [next(consumer).value for _ in range(2)] == [b"meanwhile", b"after"]
        assert [_next_in_spite_of_errors(reader) for _ in range(2)] == ["meanwhile", "after"]
    producer.close()
    consumer.close()


def test_aiokafka_recovers_when_the_broker_comes_back(own_broker: BrokerProcess, name: str) -> None:
    own_broker.start()
    create(own_broker, name)

    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=own_broker.bootstrap_servers)
        consumer = AIOKafkaConsumer(
            name, bootstrap_servers=own_broker.bootstrap_servers, group_id=name, auto_offset_reset="earliest"
        )
        await producer.start()
        await consumer.start()
        await producer.send_and_wait(name, b"before")
        assert (await consumer.getone()).value == b"before"
        await asyncio.to_thread(own_broker.kill)
        await asyncio.to_thread(own_broker.start)
        await producer.send_and_wait(name, b"after")
        assert (await consumer.getone()).value == b"after"
        await consumer.stop()
        await producer.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_topic_deleted_while_it_is_read_is_told_and_can_be_made_again(
    broker: BrokerProcess, name: str
) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    produce(broker, name, ["old"])
    with consuming(
        broker, name, allow_auto_create_topics=False, topic_metadata_refresh_interval_ms=500
    ) as consumer:
        consumer.subscribe([name])
        assert next_value(consumer) == "old"
        admin.delete_topics([name])[name].result(10)

        def told() -> bool:
            message = consumer.poll(0.1)
            error = None if message is None else message.error()
            return error is not None and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART

        wait_until(told, "the consumer is told", 30)
        admin.create_topics([NewTopic(name, 1)])[name].result(10)
    produce(broker, name, ["new"])
    with consuming(broker, f"{name}-again") as consumer:
        consumer.subscribe([name])
        assert next_value(consumer) == "new"


def _assigned(*consumers: Consumer) -> list[int]:
    """How many partitions each has, after a poll, by which it takes part in its group."""
    for consumer in consumers:
        consumer.poll(0.05)
    return [len(consumer.assignment()) for consumer in consumers]


def _generations(broker: BrokerProcess, group: str) -> int:
    """How often the group was rebalanced, by the broker's log."""
    return broker.log_path.read_text().count(f"group {group}: stable at generation")


def _next_in_spite_of_errors(consumer: Consumer) -> str:
    """The value of the next record; a lost connection is told first."""

    def poll() -> Message | None:
        message = consumer.poll(0.1)
        return None if message is None or message.error() is not None else message

    return _text(wait_until(poll, "a record"))


def _text(message: Message | None) -> str:
    value = None if message is None else message.value()
    assert value is not None
    return value.decode()
