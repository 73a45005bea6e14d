"""A topic is deleted and made again under a consumer that stands on it."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import OFFSET_INVALID, Consumer, Producer, TopicPartition

from chronik.broker.coordinator.partitioning import partition_of
from chronik.client.errors import ClientError
from chronik.testing import Cluster

pytestmark = pytest.mark.integration

TOPIC = "made-again"
COMMITTED = 77
OFFSETS_PARTITIONS = 4
RECORDS = 20
SECONDS_MAX = 60.0


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    settings = {
        "offsets.topic.num.partitions": OFFSETS_PARTITIONS,
        # Nobody else coordinates while a coordinator is away.
        "offsets.topic.replication.factor": 1,
    }
    with Cluster(config=settings) as cluster:
        yield cluster


def produce(cluster: Cluster, prefix: str) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    for number in range(RECORDS):
        producer.produce(TOPIC, f"{prefix}-{number}".encode())
    assert producer.flush(SECONDS_MAX) == 0


def consume(consumer: Consumer, wanted: set[str]) -> int | None:
    """The epoch of the last of the records `wanted`, all of which come, in time."""
    deadline = time.monotonic() + SECONDS_MAX
    epoch = None
    while wanted and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is None or message.error() is not None:
            continue
        epoch = message.leader_epoch()
        wanted.discard((message.value() or b"").decode())
    assert not wanted
    return epoch


def names(prefix: str) -> set[str]:
    return {f"{prefix}-{number}" for number in range(RECORDS)}


def test_a_consumer_that_stood_on_a_deleted_topic_reads_the_next_one_of_its_name(cluster: Cluster) -> None:
    """librdkafka takes metadata with an earlier epoch than it knows for outdated (Kafka 4.4: from 6 to 0, and
    the consumer never reads again).
    """
    cluster.create_topic(TOPIC, replication_factor=3)
    for _ in range(3):
        leader = cluster.leader(TOPIC)
        cluster.kill(leader)
        cluster.leader(TOPIC)
        cluster.restart(leader)
    consumer = Consumer(
        {
            "bootstrap.servers": cluster.bootstrap_servers,
            "group.id": "stands",
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 1000,
        }
    )
    try:
        consumer.subscribe([TOPIC])
        produce(cluster, "old")
        old_epoch = consume(consumer, names("old"))
        assert old_epoch is not None
        assert old_epoch >= 4
        cluster.delete_topic(TOPIC)
        cluster.create_topic(TOPIC, replication_factor=3)
        produce(cluster, "new")
        new_epoch = consume(consumer, names("new"))
        assert new_epoch is not None
        assert new_epoch > old_epoch
    finally:
        consumer.close()


def committed(cluster: Cluster, topic: str, *, commit: int | None = None) -> int:
    """What a group has committed, or after it has committed `commit`."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": f"of-{topic}"})
    try:
        if commit is not None:
            consumer.commit(offsets=[TopicPartition(topic, 0, commit)], asynchronous=False)
        (found,) = consumer.committed([TopicPartition(topic, 0)], timeout=SECONDS_MAX)
        return int(found.offset)
    finally:
        consumer.close()


def delete(cluster: Cluster, topic: str) -> None:
    """While the node that was killed is missed: the controller may have been on it."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        try:
            cluster.delete_topic(topic)
            return
        except ClientError:
            if time.monotonic() > deadline:
                raise


def test_what_was_committed_goes_with_its_topic_though_nobody_coordinates(cluster: Cluster) -> None:
    """Nobody hears of the deletion: the next coordinator finds out when it loads the group."""
    topic = "stood-on"
    cluster.create_topic(topic, replication_factor=1)
    assert committed(cluster, topic, commit=COMMITTED) == COMMITTED
    partition = partition_of(f"of-{topic}", OFFSETS_PARTITIONS)
    coordinator = cluster.leader("__consumer_offsets", partition)
    cluster.kill(coordinator)
    delete(cluster, topic)
    cluster.create_topic(topic, replication_factor=1)
    cluster.restart(coordinator)
    assert committed(cluster, topic) == OFFSET_INVALID
