"""Administration with kafka-python's KafkaAdminClient."""

from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic, OffsetSpec
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from tests.support.broker_process import BrokerProcess

pytestmark = pytest.mark.integration


@pytest.fixture
def admin(broker: BrokerProcess) -> Iterator[Any]:
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    yield client
    client.close()


def test_topics_are_created_described_grown_and_deleted(admin: Any, name: str) -> None:
    admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])
    assert name in admin.list_topics()

    admin.create_partitions({name: NewPartitions(total_count=5)})
    (described,) = admin.describe_topics([name])
    assert len(described["partitions"]) == 5

    admin.delete_topics([name])
    assert name not in admin.list_topics()


def test_configurations_are_described_and_altered(admin: Any, name: str) -> None:
    admin.create_topics(
        [NewTopic(name, num_partitions=1, replication_factor=1, topic_configs={"retention.ms": "60000"})]
    )
    assert _config(admin, name)["retention.ms"] == "60000"

    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"max.message.bytes": "2000"})])

    assert _config(admin, name)["max.message.bytes"] == "2000"


def test_records_are_deleted_and_offsets_listed(admin: Any, broker: BrokerProcess, name: str) -> None:
    _produce(broker, name, 5)
    partition = TopicPartition(name, 0)

    admin.delete_records({partition: 3})

    earliest = admin.list_partition_offsets({partition: OffsetSpec.EARLIEST})
    latest = admin.list_partition_offsets({partition: OffsetSpec.LATEST})
    assert (earliest[partition].offset, latest[partition].offset) == (3, 5)


def test_groups_are_listed_described_moved_and_deleted(admin: Any, broker: BrokerProcess, name: str) -> None:
    _produce(broker, name, 5)
    consumer = KafkaConsumer(
        name, bootstrap_servers=broker.bootstrap_servers, group_id=name, auto_offset_reset="earliest"
    )
    next(consumer)
    consumer.commit()
    assert name in {group["group_id"] for group in admin.list_groups()}
    described = admin.describe_groups([name])[name]
    assert described["group_state"] == "Stable"
    assert len(described["members"]) == 1
    consumer.close()

    admin.alter_group_offsets(name, {TopicPartition(name, 0): OffsetAndMetadata(4, "by hand", -1)})
    offsets = admin.list_group_offsets({name: None})[name]
    assert offsets[TopicPartition(name, 0)].offset == 4
    assert offsets[TopicPartition(name, 0)].metadata == "by hand"

    admin.delete_groups([name])
    assert name not in {group["group_id"] for group in admin.list_groups()}


def test_cluster_directories_and_producers_are_described(
    admin: Any, broker: BrokerProcess, name: str
) -> None:
    _produce(broker, name, 5)

    assert [node["broker_id"] for node in admin.describe_cluster()["brokers"]] == [1]
    assert name in repr(admin.describe_log_dirs())
    # Its producer is idempotent by default.
    producers = admin.describe_producers([TopicPartition(name, 0)])
    assert len(producers[TopicPartition(name, 0)].active_producers) == 1


def _config(admin: Any, topic: str) -> dict[str, str]:
    described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
    (topics,) = described.values()
    return {name: entry["value"] for name, entry in topics[topic].items()}


def _produce(broker: BrokerProcess, topic: str, count: int) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    for future in [producer.send(topic, b"%d" % number) for number in range(count)]:
        future.get(10)
    producer.close()
