"""The librdkafka clients all workloads use, with the settings that the figures are stated for."""

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from chronik.cli.perf.api_versions import (
    CREATE_TOPICS_KEY,
    DELETE_TOPICS_KEY,
    first_address,
    supported_apis,
)
from chronik.cli.perf.figure import MeasurementError

# Long enough for a slow broker on a busy machine, short enough that a dead one does not hold a run up.
ANSWER_TIMEOUT_S = 15.0

PARTITION = 0


def producer(bootstrap_servers: str, *, linger_ms: float, failures: list[str]) -> Producer:
    """A producer with acks=all. What cannot be delivered is noted in `failures`, one line per record."""

    def on_delivery(error: KafkaError | None, _: Any) -> None:
        if error is not None:
            failures.append(error.str())

    return Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "acks": "all",
            "linger.ms": linger_ms,
            "socket.nagle.disable": True,
            # A callback in Python for every record would measure Python; failures are still all reported.
            "delivery.report.only.error": True,
            "on_delivery": on_delivery,
            "log_level": 3,
        }
    )


def consumer(bootstrap_servers: str) -> Consumer:
    """A consumer that reads by assignment: no group takes part."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "chronik-perf",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # With its defaults librdkafka stops fetching for a second when 100,000 records wait to be taken:
            # small records are then consumed as fast as that timer allows, whatever the broker.
            "queued.min.messages": 1_000_000,
            "fetch.queue.backoff.ms": 5,
            "log_level": 3,
        }
    )


@contextlib.contextmanager
def temporary_topic(bootstrap_servers: str) -> Iterator[str]:
    """A topic of one partition that is deleted at the end, where the broker can create and delete topics.

    A broker without CreateTopics (librdkafka's mock cluster) creates it when it is first named, with as many
    partitions as it likes; the workloads use partition 0 alone.
    """
    topic = f"chronik-perf-{secrets.token_hex(4)}"
    admin = _admin(bootstrap_servers)
    apis = supported_apis(first_address(bootstrap_servers), ANSWER_TIMEOUT_S)
    if CREATE_TOPICS_KEY in apis:
        new_topic = NewTopic(topic, num_partitions=1, replication_factor=-1)
        _finish(admin.create_topics([new_topic])[topic], f"create topic {topic}")
    try:
        yield topic
    finally:
        if DELETE_TOPICS_KEY in apis:
            _finish(admin.delete_topics([topic])[topic], f"delete topic {topic}")


def leader_address(bootstrap_servers: str, topic: str) -> tuple[str, int]:
    """Host and port of the leader of the topic's partition 0."""
    metadata = _admin(bootstrap_servers).list_topics(topic, timeout=ANSWER_TIMEOUT_S)
    partition = metadata.topics[topic].partitions.get(PARTITION)
    if partition is None or partition.leader not in metadata.brokers:
        raise MeasurementError(f"topic {topic} has no leader")
    broker = metadata.brokers[partition.leader]
    return str(broker.host), int(broker.port)


def _admin(bootstrap_servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 3})


def _finish(future: Any, what: str) -> None:
    try:
        future.result(timeout=ANSWER_TIMEOUT_S)
    except KafkaException as failure:
        raise MeasurementError(f"cannot {what}: {failure.args[0].str()}") from failure
