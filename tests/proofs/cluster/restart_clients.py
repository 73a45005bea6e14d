"""The three Python clients, each as a producer and as the member of a group, with default settings unless
told otherwise.

Each runs in a thread of its own until it is told that it is over. Producers number their records and tell a
`Ledger` what became of each, members tell a `Taken` what they got.
"""

import asyncio
import functools
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import Consumer, KafkaError, Message, Producer
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError as KafkaPythonError

from tests.proofs.cluster.ledger import Ledger
from tests.proofs.cluster.streams import Taken

_FLUSH_SECONDS_MAX = 120.0
# See tests/proofs/clients/kafka_python.py.
_KAFKA_PYTHON_POLL_MS = 1000

# Of a producer, under the library's names.
Settings = Mapping[str, str | int | bool]
_DEFAULT: Settings = MappingProxyType({})


class RecordMetadata(Protocol):
    """Where a record is, as kafka-python and aiokafka say."""

    @property
    def offset(self) -> int: ...


class Client(Protocol):
    """One library."""

    @property
    def is_idempotent(self) -> bool:
        """True if its producers are by default."""
        ...

    @property
    def keeps_order(self) -> bool:
        """True if a request that is sent again does not come after later ones."""
        ...

    def write(
        self, servers: str, ledger: Ledger, is_over: threading.Event, settings: Settings = _DEFAULT
    ) -> None:
        """Returns when all that was sent is answered, or given up."""
        ...

    def read(self, servers: str, taken: Taken, is_over: threading.Event) -> None: ...


class Confluent:
    is_idempotent = False
    # It has many requests of a partition on the way at once.
    keeps_order = False

    def write(
        self, servers: str, ledger: Ledger, is_over: threading.Event, settings: Settings = _DEFAULT
    ) -> None:
        def on_delivery(error: KafkaError | None, message: Message) -> None:
            partition, value, offset = message.partition(), message.value(), message.offset()
            assert partition is not None
            assert value is not None
            if error is None:
                assert offset is not None
                ledger.on_acknowledged(partition, value, offset)
            else:
                ledger.on_failed(partition, value, str(error))

        producer = Producer({"bootstrap.servers": servers, "log_level": 0, **settings})
        while not is_over.is_set():
            partition, value = ledger.next()
            producer.produce(ledger.topic, value, partition=partition, on_delivery=on_delivery)
            next_at = time.monotonic() + ledger.seconds_to_next()
            while (left := next_at - time.monotonic()) > 0:
                producer.poll(left)
        producer.flush(_FLUSH_SECONDS_MAX)

    def read(self, servers: str, taken: Taken, is_over: threading.Event) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": taken.group,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        consumer.subscribe(taken.topics)
        while not is_over.is_set():
            for message in consumer.consume(500, timeout=0.1):
                _take(message, taken)
        consumer.close()


class KafkaPython:
    is_idempotent = True
    keeps_order = True

    def write(
        self, servers: str, ledger: Ledger, is_over: threading.Event, settings: Settings = _DEFAULT
    ) -> None:
        producer = KafkaProducer(bootstrap_servers=servers, **settings)
        while not is_over.is_set():
            partition, value = ledger.next()
            try:
                future = producer.send(ledger.topic, value, partition=partition)
            except KafkaPythonError as error:
                ledger.on_failed(partition, value, repr(error))
            else:
                future.add_callback(functools.partial(_on_sent, ledger, partition, value))
                future.add_errback(functools.partial(_on_not_sent, ledger, partition, value))
            is_over.wait(ledger.seconds_to_next())
        producer.flush(_FLUSH_SECONDS_MAX)
        producer.close()

    def read(self, servers: str, taken: Taken, is_over: threading.Event) -> None:
        consumer = KafkaConsumer(
            *taken.topics, bootstrap_servers=servers, group_id=taken.group, auto_offset_reset="earliest"
        )
        while not is_over.is_set():
            for batch in consumer.poll(timeout_ms=_KAFKA_PYTHON_POLL_MS).values():
                for record in batch:
                    taken.on_record(record.topic, record.partition, record.offset, record.value)
        consumer.close()


class Aiokafka:
    is_idempotent = False
    # One request of a partition is on the way at a time.
    keeps_order = True

    def write(
        self, servers: str, ledger: Ledger, is_over: threading.Event, settings: Settings = _DEFAULT
    ) -> None:
        asyncio.run(_write(servers, ledger, is_over, settings))

    def read(self, servers: str, taken: Taken, is_over: threading.Event) -> None:
        asyncio.run(_read(servers, taken, is_over))


CLIENTS: dict[str, Client] = {
    "confluent-kafka": Confluent(),
    "kafka-python": KafkaPython(),
    "aiokafka": Aiokafka(),
}


def _take(message: Message, taken: Taken) -> None:
    error, topic, value = message.error(), message.topic(), message.value()
    partition, offset = message.partition(), message.offset()
    if error is not None:
        taken.on_error(str(error))
    elif topic is not None and value is not None and partition is not None and offset is not None:
        taken.on_record(topic, partition, offset, value)


def _on_sent(ledger: Ledger, partition: int, value: bytes, sent: RecordMetadata) -> None:
    ledger.on_acknowledged(partition, value, sent.offset)


def _on_not_sent(ledger: Ledger, partition: int, value: bytes, error: Exception) -> None:
    ledger.on_failed(partition, value, repr(error))


async def _write(servers: str, ledger: Ledger, is_over: threading.Event, settings: Settings) -> None:
    def on_done(partition: int, value: bytes, done: asyncio.Future[RecordMetadata]) -> None:
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is None:
            ledger.on_acknowledged(partition, value, done.result().offset)
        else:
            ledger.on_failed(partition, value, repr(error))

    producer = AIOKafkaProducer(bootstrap_servers=servers, **settings)
    await producer.start()
    waiting: set[asyncio.Future[RecordMetadata]] = set()
    while not is_over.is_set():
        partition, value = ledger.next()
        try:
            # Waits while the partition's batch is full.
            future = await producer.send(ledger.topic, value, partition=partition)
        except AiokafkaError as error:
            ledger.on_failed(partition, value, repr(error))
        else:
            waiting.add(future)
            future.add_done_callback(waiting.discard)
            future.add_done_callback(functools.partial(on_done, partition, value))
        await asyncio.sleep(ledger.seconds_to_next())
    if waiting:
        await asyncio.wait(waiting, timeout=_FLUSH_SECONDS_MAX)
    await producer.stop()


async def _read(servers: str, taken: Taken, is_over: threading.Event) -> None:
    consumer = AIOKafkaConsumer(
        *taken.topics, bootstrap_servers=servers, group_id=taken.group, auto_offset_reset="earliest"
    )
    await consumer.start()
    while not is_over.is_set():
        for batch in (await consumer.getmany(timeout_ms=100)).values():
            for record in batch:
                taken.on_record(record.topic, record.partition, record.offset, record.value)
    await consumer.stop()
