"""confluent-kafka: librdkafka, the C client under most other languages' clients."""

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, Message, Producer

from tests.proofs.clients.client import ANSWER_SECONDS_MAX, ClientFailed, Member
from tests.proofs.clients.load import Record


class ConfluentWriter:
    def __init__(self, bootstrap_servers: str, codec: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "compression.type": codec})
        self._failures: list[str] = []

    def send_all(self, topic: str, records: Iterable[Record]) -> None:
        for record in records:
            self._produce(topic, record)
        left = self._producer.flush(ANSWER_SECONDS_MAX)
        if left or self._failures:
            raise ClientFailed(f"{left} unanswered, {len(self._failures)} failed: {self._failures[:1]}")

    def close(self) -> None:
        """It ends with its last reference."""

    def _produce(self, topic: str, record: Record) -> None:
        while True:
            try:
                self._producer.produce(topic, record.value, record.key, on_delivery=self._on_delivery)
            except BufferError:
                # Its queue is full (100,000 records by default).
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failures.append(str(error))


class Confluent:
    name = "confluent-kafka"
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    drops_records_when_it_leaves = False
    has_groups = True

    def open_writer(self, bootstrap_servers: str, codec: str) -> ConfluentWriter:
        return ConfluentWriter(bootstrap_servers, codec)

    def read(self, bootstrap_servers: str, topic: str, group: str, member: Member) -> None:
        consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": group, "auto.offset.reset": "earliest"}
        )
        consumer.subscribe([topic])
        try:
            while not member.is_over:
                for message in consumer.consume(500, timeout=0.1):
                    _take(message, member)
                member.on_assigned(len(consumer.assignment()))
        finally:
            consumer.close()


def _take(message: Message, member: Member) -> None:
    error, partition = message.error(), message.partition()
    offset, value = message.offset(), message.value()
    if error is not None:
        if not error.retriable():
            raise ClientFailed(str(error))
    elif partition is not None and offset is not None and value is not None:
        member.take(partition, offset, value)
