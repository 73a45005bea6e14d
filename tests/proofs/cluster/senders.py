"""Producers of the three Python clients that ask for acks=all and may not try again."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin import NewTopic as AiokafkaTopic
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # its stubs do not export it
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic as KafkaPythonTopic
from kafka.errors import KafkaError as KafkaPythonError

SECONDS_MAX = 20.0


class Sender(Protocol):
    """One producer of one library; made when its constructor returns."""

    def partitions(self, topic: str) -> int:
        """Ask for the topic's metadata, which creates it."""
        ...

    def send(self, topic: str, value: bytes, partition: int | None = None) -> str | None:
        """What went wrong; None when it is acknowledged."""
        ...

    def create(self, topic: str, partitions: int) -> None:
        """By the library's admin client, which lives as long as this call. Raises what that raises."""
        ...

    def close(self) -> None: ...


class ConfluentSender:
    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        # acks=all is its default.
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "retries": 0})
        self._problem: str | None = None

    def partitions(self, topic: str) -> int:
        return len(self._producer.list_topics(topic, SECONDS_MAX).topics[topic].partitions)

    def send(self, topic: str, value: bytes, partition: int | None = None) -> str | None:
        self._problem = "not answered"
        where = -1 if partition is None else partition
        self._producer.produce(topic, value, partition=where, on_delivery=self._on_delivery)
        self._producer.flush(SECONDS_MAX)
        return self._problem

    def create(self, topic: str, partitions: int) -> None:
        admin = AdminClient({"bootstrap.servers": self._servers})
        admin.create_topics([NewTopic(topic, partitions, 3)])[topic].result(SECONDS_MAX)

    def close(self) -> None:
        """It ends with its last reference."""

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        self._problem = None if error is None else str(error)


class KafkaPythonSender:
    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._producer = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", retries=0)

    def partitions(self, topic: str) -> int:
        return len(self._producer.partitions_for(topic))

    def send(self, topic: str, value: bytes, partition: int | None = None) -> str | None:
        try:
            self._producer.send(topic, value, partition=partition).get(SECONDS_MAX)
        except KafkaPythonError as error:
            return repr(error)
        return None

    def create(self, topic: str, partitions: int) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self._servers)
        try:
            admin.create_topics([KafkaPythonTopic(topic, partitions, 3)])
        finally:
            admin.close()

    def close(self) -> None:
        self._producer.close()


class AiokafkaSender:
    """It has no setting for retries: those it makes are seen on the wire."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._runner = asyncio.Runner()
        self._producer = self._runner.run(self._start())

    def partitions(self, topic: str) -> int:
        return len(self._runner.run(self._producer.partitions_for(topic)))

    def send(self, topic: str, value: bytes, partition: int | None = None) -> str | None:
        try:
            self._runner.run(self._producer.send_and_wait(topic, value, partition=partition))
        except AiokafkaError as error:
            return repr(error)
        return None

    def create(self, topic: str, partitions: int) -> None:
        self._runner.run(self._create(topic, partitions))

    def close(self) -> None:
        self._runner.run(self._producer.stop())
        self._runner.close()

    async def _start(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(bootstrap_servers=self._servers, acks="all")
        await producer.start()
        return producer

    async def _create(self, topic: str, partitions: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        await admin.start()
        try:
            await admin.create_topics([AiokafkaTopic(topic, partitions, 3)])
        finally:
            await admin.close()


SENDERS: dict[str, Callable[[str], Sender]] = {
    "confluent-kafka": ConfluentSender,
    "kafka-python": KafkaPythonSender,
    "aiokafka": AiokafkaSender,
}
