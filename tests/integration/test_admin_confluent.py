"""Administration with confluent-kafka's AdminClient (librdkafka)."""

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from tests.support.broker_process import BrokerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def admin(broker: BrokerProcess) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers})


def test_topics_are_created_described_and_deleted(admin: AdminClient, name: str) -> None:
    admin.create_topics([NewTopic(name, 3, config={"retention.ms": "60000"})])[name].result(10)

    described = admin.describe_topics(TopicCollection([name]))[name].result(10)
    assert [partition.id for partition in described.partitions] == [0, 1, 2]
    assert all(partition.leader.id == 1 for partition in described.partitions)
    assert name in admin.list_topics(timeout=10).topics

    admin.delete_topics([name])[name].result(10)
    wait_until(lambda: name not in admin.list_topics(timeout=10).topics, "the topic is gone")


def test_creating_a_topic_twice_says_that_it_exists(admin: AdminClient, name: str) -> None:
    admin.create_topics([NewTopic(name, 1)])[name].result(10)

    with pytest.raises(KafkaException, match="TOPIC_ALREADY_EXISTS"):
        admin.create_topics([NewTopic(name, 1)])[name].result(10)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (NewTopic("bad name", 1), "TOPIC_EXCEPTION"),
        (NewTopic("no-partitions", 0), "INVALID_PARTITIONS"),
        (NewTopic("three-replicas", 1, 3), "INVALID_REPLICATION_FACTOR"),
        (NewTopic("bad-config", 1, config={"retention.ms": "soon"}), "INVALID_CONFIG"),
        (NewTopic("no-such-config", 1, config={"retention.centuries": "1"}), "INVALID_CONFIG"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.topic,
)
def test_impossible_topics_are_refused(admin: AdminClient, wrong: NewTopic, code: str) -> None:
    with pytest.raises(KafkaException, match=code):
        admin.create_topics([wrong])[wrong.topic].result(10)


def test_validating_creates_nothing(admin: AdminClient, name: str) -> None:
    admin.create_topics([NewTopic(name, 1)], validate_only=True)[name].result(10)

    assert name not in admin.list_topics(timeout=10).topics


def test_partitions_are_added(admin: AdminClient, name: str) -> None:
    admin.create_topics([NewTopic(name, 1)])[name].result(10)

    admin.create_partitions([NewPartitions(name, 4)])[name].result(10)

    wait_until(
        lambda: len(admin.list_topics(name, timeout=10).topics[name].partitions) == 4, "four partitions"
    )
    with pytest.raises(KafkaException, match="INVALID_PARTITIONS"):
        admin.create_partitions([NewPartitions(name, 2)])[name].result(10)


def test_a_topics_configuration_is_described_and_altered(admin: AdminClient, name: str) -> None:
    admin.create_topics([NewTopic(name, 1, config={"retention.ms": "60000"})])[name].result(10)
    resource = ConfigResource(ResourceType.TOPIC, name)

    before = admin.describe_configs([resource])[resource].result(10)
    assert before["retention.ms"].value == "60000"
    assert not before["retention.ms"].is_default
    assert before["cleanup.policy"].value == "delete"
    assert before["cleanup.policy"].is_default

    resource = ConfigResource(ResourceType.TOPIC, name)
    for entry in (
        ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET),
        ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE),
        ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND),
    ):
        resource.add_incremental_config(entry)
    admin.incremental_alter_configs([resource])[resource].result(10)

    after = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)])
    entries = next(iter(after.values())).result(10)
    assert entries["max.message.bytes"].value == "2000"
    assert entries["retention.ms"].value == "604800000"
    assert set(entries["cleanup.policy"].value.split(",")) == {"delete", "compact"}


def test_a_brokers_configuration_is_described(admin: AdminClient) -> None:
    resource = ConfigResource(ResourceType.BROKER, "1")

    entries = admin.describe_configs([resource])[resource].result(10)

    assert entries["log.retention.hours"].value == "168"
    assert entries["num.partitions"].value == "1"


def test_the_cluster_is_described(admin: AdminClient) -> None:
    described = admin.describe_cluster().result(10)

    assert [node.id for node in described.nodes] == [1]
    assert described.controller.id == 1
    assert described.cluster_id


def test_groups_are_listed_described_moved_and_deleted(
    admin: AdminClient, broker: BrokerProcess, name: str
) -> None:
    produce(broker, name, 5)
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": name, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([name])
    wait_until(lambda: consumer.poll(0.1) is not None, "a record is read")
    consumer.commit(asynchronous=False)

    assert name in {group.group_id for group in admin.list_consumer_groups().result(10).valid}
    described = admin.describe_consumer_groups([name])[name].result(10)
    assert described.state.name == "STABLE"
    (member,) = described.members
    assert member.assignment.topic_partitions == [TopicPartition(name, 0)]
    with pytest.raises(KafkaException, match="NON_EMPTY_GROUP"):
        admin.delete_consumer_groups([name])[name].result(10)
    consumer.close()

    moved = ConsumerGroupTopicPartitions(name, [TopicPartition(name, 0, 3)])
    admin.alter_consumer_group_offsets([moved])[name].result(10)
    asked = ConsumerGroupTopicPartitions(name)
    (committed,) = admin.list_consumer_group_offsets([asked])[name].result(10).topic_partitions
    assert committed.offset == 3

    admin.delete_consumer_groups([name])[name].result(10)
    assert name not in {group.group_id for group in admin.list_consumer_groups().result(10).valid}


def test_offsets_are_listed(admin: AdminClient, broker: BrokerProcess, name: str) -> None:
    produce(broker, name, 5)
    partition = TopicPartition(name, 0)

    def offset(kind: str, *arguments: int) -> int:
        spec = getattr(OffsetSpec, kind)(*arguments)
        return int(admin.list_offsets({partition: spec})[partition].result(10).offset)

    assert offset("earliest") == 0
    assert offset("latest") == 5
    assert offset("for_timestamp", 0) == 0
    assert 0 <= offset("max_timestamp") < 5


def test_records_are_deleted(admin: AdminClient, broker: BrokerProcess, name: str) -> None:
    produce(broker, name, 5)
    partition = TopicPartition(name, 0, 3)

    deleted = admin.delete_records([partition])[partition].result(10)

    assert deleted.low_watermark == 3
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": f"{name}-check"})
    assert consumer.get_watermark_offsets(TopicPartition(name, 0), timeout=10) == (3, 5)
    consumer.close()


def produce(broker: BrokerProcess, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for number in range(count):
        producer.produce(topic, str(number))
    assert producer.flush(10) == 0
