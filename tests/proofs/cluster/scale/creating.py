"""Thousands of partitions with one request, and the first records to them."""

import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

# Above what is promised, so that a slow creation is measured rather than failed.
_CREATE_SECONDS_MAX = 300
_DELIVERY_SECONDS_MAX = 120.0

REPLICAS = 3


def create(servers: str, topics: dict[str, int]) -> float:
    """Create topics with so many partitions each; seconds until the answer. Raises KafkaException."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    # It knows where the controller is before the clock starts.
    admin.list_topics(timeout=10)
    wanted = [NewTopic(name, count, REPLICAS) for name, count in topics.items()]
    begun = time.monotonic()
    futures = admin.create_topics(
        wanted, operation_timeout=_CREATE_SECONDS_MAX, request_timeout=_CREATE_SECONDS_MAX
    )
    for name, future in futures.items():
        try:
            future.result(_CREATE_SECONDS_MAX)
        except KafkaException as error:
            raise RuntimeError(f"topic {name} could not be created: {error}") from error
    return time.monotonic() - begun


class FirstRecords:
    """Sends to new topics without retries: a client that knows that they exist must be able to."""

    def __init__(self, servers: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": servers, "acks": "all", "retries": 0, "linger.ms": 5, "log_level": 0}
        )
        self._producer.list_topics(timeout=10)
        self.problems: list[str] = []

    def send_one(self, topic: str) -> float:
        """One record; seconds until it is acknowledged, with the client's first look at the topic."""
        return self._send({topic: 1})

    def send_to_each(self, topics: dict[str, int]) -> float:
        """One record to each partition; seconds until the last is acknowledged."""
        return self._send(topics)

    def _send(self, topics: dict[str, int]) -> float:
        begun = time.monotonic()
        for topic, count in topics.items():
            for partition in range(count):
                self._producer.produce(topic, b"first", partition=partition, on_delivery=self._on_delivery)
            self._producer.poll(0)
        left = self._producer.flush(_DELIVERY_SECONDS_MAX)
        if left:
            self.problems.append(f"{left} first records were not answered")
        return time.monotonic() - begun

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.problems.append(f"a first record to {message.topic()}-{message.partition()}: {error}")
