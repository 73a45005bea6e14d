"""How long clients wait: for the first record of a group, and for the first send to a new topic."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, Producer
from kafka import KafkaProducer
from kafka.errors import KafkaError

from benchmarks.footprint.measure import Options
from benchmarks.peers import Peer, running
from chronik.cli.perf.client import ANSWER_TIMEOUT_S, producer
from chronik.cli.perf.figure import Direction, Figure, MeasurementError

# Longer than the slowest broker seen took (23 s), so that its figure can be shown.
_JOIN_TIMEOUT_S = 40.0
_TOPICS_TIMEOUT_S = 150.0

# Sends one record to a topic, and returns why it failed, or None.
_Send = Callable[[str], str | None]


def measure_join(peer: Peer, options: Options) -> list[Figure]:
    """Figure `join to first record`: from creating a group's only member to the record it finds there."""
    with running(peer, options.data_parent) as broker:
        with_one_record(broker.bootstrap_servers, "joined")
        took_ms = []
        for index in range(options.joins):
            start = time.perf_counter()
            member = group_consumer(broker.bootstrap_servers, "joined", group=f"group-{index}")
            first_record_s(member)
            took_ms.append((time.perf_counter() - start) * 1000)
            member.close()
            options.progress(f"{peer.name}: joins", (index + 1) / options.joins)
            if sum(took_ms) > _JOIN_TIMEOUT_S * 1000:
                break
    note = f"{min(took_ms):.0f} to {max(took_ms):.0f} ms in {len(took_ms)} joins"
    value = statistics.median(took_ms)
    return [Figure(name="join to first record", value=value, unit="ms", better=Direction.LOWER, note=note)]


def measure_first_sends(peer: Peer, options: Options) -> list[Figure]:
    """Figures `failed first sends`, one per client: each topic is new, retries are off."""
    figures = []
    for client, connect in (("confluent-kafka", _confluent_kafka), ("kafka-python", _kafka_python)):
        with running(peer, options.data_parent) as broker, connect(broker.bootstrap_servers) as send:
            figures.append(_first_sends(client, send, options))
    return figures


def group_consumer(servers: str, topic: str, group: str = "group") -> Consumer:
    """A member with librdkafka's defaults that reads from the beginning."""
    settings = {
        "bootstrap.servers": servers,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "log_level": 0,
    }
    member = Consumer(settings)
    member.subscribe([topic])
    return member


def first_record_s(member: Consumer) -> float:
    """Seconds until a record arrives. Raises MeasurementError."""
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < _JOIN_TIMEOUT_S:
        message = member.poll(1.0)
        if message is not None and message.error() is None:
            return elapsed
    raise MeasurementError(f"no record {_JOIN_TIMEOUT_S:.0f} s after joining")


def with_one_record(servers: str, topic: str) -> None:
    """Make sure the topic exists and holds a record."""
    failures: list[str] = []
    sender = producer(servers, linger_ms=0, failures=failures)
    sender.produce(topic, b"first")
    if sender.flush(ANSWER_TIMEOUT_S) or failures:
        raise MeasurementError(f"cannot produce to {topic}: {failures}")


def _first_sends(client: str, send: _Send, options: Options) -> Figure:
    failures = []
    start = time.perf_counter()
    for index in range(options.topics):
        reason = send(f"new-topic-{index}")
        if reason is not None:
            failures.append(reason)
        if time.perf_counter() - start > _TOPICS_TIMEOUT_S:
            raise MeasurementError(f"{client}: only {index + 1} topics in {_TOPICS_TIMEOUT_S:.0f} s")
        options.progress(f"first sends, {client}", (index + 1) / options.topics)
    each_ms = (time.perf_counter() - start) * 1000 / options.topics
    note = f"{options.topics} topics, {each_ms:.1f} ms each" + (f"; {failures[0]}" if failures else "")
    name = f"failed first sends, {client}"
    return Figure(name=name, value=len(failures), unit="records", better=Direction.LOWER, note=note)


@contextlib.contextmanager
def _confluent_kafka(servers: str) -> Iterator[_Send]:
    reasons: list[str] = []

    def on_delivery(error: object, _: object) -> None:
        if error is not None:
            reasons.append(str(error))

    client = Producer({"bootstrap.servers": servers, "retries": 0, "acks": "all", "log_level": 0})

    def send(topic: str) -> str | None:
        reasons.clear()
        client.produce(topic, b"first", on_delivery=on_delivery)
        left = client.flush(ANSWER_TIMEOUT_S)
        return "not acknowledged in time" if left else next(iter(reasons), None)

    yield send


@contextlib.contextmanager
def _kafka_python(servers: str) -> Iterator[_Send]:
    # Idempotence, its default, does not go without retries.
    client = KafkaProducer(bootstrap_servers=servers, retries=0, acks="all", enable_idempotence=False)

    def send(topic: str) -> str | None:
        try:
            client.send(topic, b"first").get(ANSWER_TIMEOUT_S)
        except KafkaError as failure:
            return str(failure)
        return None

    yield send
    client.close(ANSWER_TIMEOUT_S)
