"""Administration with aiokafka's AIOKafkaAdminClient."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.support.broker_process import BrokerProcess

pytestmark = pytest.mark.integration


def administer(broker: BrokerProcess, work: Callable[[AIOKafkaAdminClient], Awaitable[None]]) -> None:
    async def run() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        await admin.start()
        try:
            async with asyncio.timeout(30):
                await work(admin)
        finally:
            await admin.close()

    asyncio.run(run())


def test_topics_are_created_described_grown_and_deleted(broker: BrokerProcess, name: str) -> None:
    async def work(admin: AIOKafkaAdminClient) -> None:
        await admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])
        assert name in await admin.list_topics()
        await admin.create_partitions({name: NewPartitions(total_count=5)})
        (described,) = await admin.describe_topics([name])
        assert len(described["partitions"]) == 5
        await admin.delete_topics([name])
        assert name not in await admin.list_topics()

    administer(broker, work)


def test_configurations_are_described_and_altered(broker: BrokerProcess, name: str) -> None:
    async def work(admin: AIOKafkaAdminClient) -> None:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
        wanted = {"max.message.bytes": "2000"}
        (altered,) = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, wanted)])
        assert altered.resources[0][0] == 0
        (described,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        entries = {entry[0]: entry[1] for entry in described.resources[0][4]}
        assert entries["max.message.bytes"] == "2000"
        assert entries["cleanup.policy"] == "delete"

    administer(broker, work)


def test_groups_and_records(broker: BrokerProcess, name: str) -> None:
    async def work(admin: AIOKafkaAdminClient) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
        await producer.start()
        for number in range(5):
            await producer.send_and_wait(name, b"%d" % number)
        await producer.stop()
        consumer = AIOKafkaConsumer(
            name, bootstrap_servers=broker.bootstrap_servers, group_id=name, auto_offset_reset="earliest"
        )
        await consumer.start()
        await consumer.getone()
        await consumer.commit()
        assert name in {group[0] for group in await admin.list_consumer_groups()}
        (described,) = await admin.describe_consumer_groups([name])
        assert described.groups[0][2] == "Stable"
        await consumer.stop()

        committed = await admin.list_consumer_group_offsets(name)
        assert committed[TopicPartition(name, 0)].offset == 1
        deleted = await admin.delete_records({TopicPartition(name, 0): RecordsToDelete(3)})
        assert deleted == {TopicPartition(name, 0): 3}

    administer(broker, work)


def test_the_cluster_is_described(broker: BrokerProcess) -> None:
    async def work(admin: AIOKafkaAdminClient) -> None:
        described = await admin.describe_cluster()
        assert [node["node_id"] for node in described["brokers"]] == [1]

    administer(broker, work)
