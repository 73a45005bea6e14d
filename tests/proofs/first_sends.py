"""The first send to a topic that does not exist, with retries off, to many topics in a row.

    python -m tests.proofs.first_sends [--topics 1000]

A fresh broker; for each topic one record from one client library, in turn, none of which may retry. Exit code
1 when a send fails or a record is not there afterwards.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from kafka import KafkaProducer
from kafka.errors import KafkaError as KafkaPythonError
from rich.progress import Progress

from tests.support.broker_process import BrokerProcess

SECONDS_MAX = 20.0


class Sender(Protocol):
    """A producer without retries."""

    def send(self, topic: str, value: bytes) -> str | None:
        """What went wrong; None when it is acknowledged."""
        ...

    def close(self) -> None: ...


class ConfluentSender:
    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "retries": 0})
        self._problem: str | None = None

    def send(self, topic: str, value: bytes) -> str | None:
        self._problem = "not answered"
        self._producer.produce(topic, value, on_delivery=self._on_delivery)
        self._producer.flush(SECONDS_MAX)
        return self._problem

    def close(self) -> None: ...

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        self._problem = None if error is None else str(error)


class KafkaPythonSender:
    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers, retries=0, enable_idempotence=False
        )

    def send(self, topic: str, value: bytes) -> str | None:
        try:
            self._producer.send(topic, value).get(SECONDS_MAX)
        except KafkaPythonError as error:
            return repr(error)
        return None

    def close(self) -> None:
        self._producer.close()


class AiokafkaSender:
    """It has no setting for retries: a request that would be tried again fails by its time instead."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._runner = asyncio.Runner()
        self._producer = self._runner.run(self._start(bootstrap_servers))

    def send(self, topic: str, value: bytes) -> str | None:
        try:
            self._runner.run(self._producer.send_and_wait(topic, value))
        except AiokafkaError as error:
            return repr(error)
        return None

    def close(self) -> None:
        self._runner.run(self._producer.stop())
        self._runner.close()

    async def _start(self, bootstrap_servers: str) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
        await producer.start()
        return producer


@dataclass(slots=True)
class Report:
    """`problems` is empty when every first send worked."""

    topics: int = 0
    slowest_ms: float = 0.0
    problems: list[str] = field(default_factory=list)


def run(broker: BrokerProcess, topics: int, progress: Progress) -> Report:
    """Send to topics named `first-0`, `first-1`, …"""
    report = Report()
    servers = broker.bootstrap_servers
    senders: Sequence[Sender] = [
        ConfluentSender(servers),
        KafkaPythonSender(servers),
        AiokafkaSender(servers),
    ]
    try:
        for number in progress.track(range(topics), description="first sends"):
            started = time.monotonic()
            problem = senders[number % len(senders)].send(f"first-{number}", b"%d" % number)
            report.slowest_ms = max(report.slowest_ms, (time.monotonic() - started) * 1000)
            report.topics += 1
            if problem is not None:
                report.problems.append(f"topic {number}: {problem}")
    finally:
        for sender in senders:
            sender.close()
    report.problems += read_back(servers, topics)
    return report


def read_back(bootstrap_servers: str, topics: int) -> list[str]:
    """Each topic must hold its one record."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "first-sends"})
    consumer.assign([TopicPartition(f"first-{number}", 0, 0) for number in range(topics)])
    missing = set(range(topics))
    deadline = time.monotonic() + SECONDS_MAX
    while missing and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        value = None if message is None or message.error() is not None else message.value()
        if value is not None:
            missing.discard(int(value))
    consumer.close()
    return [f"topic {number}: its record is not there" for number in sorted(missing)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--topics", type=int, default=1000)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="chronik-first-") as directory,
        Progress(transient=True) as progress,
    ):
        broker = BrokerProcess(Path(directory))
        broker.start()
        try:
            report = run(broker, arguments.topics, progress)
        finally:
            broker.stop()
    print(f"{report.topics} first sends, the slowest {report.slowest_ms:.0f} ms")
    for problem in report.problems[:20]:
        print(f"  PROBLEM {problem}")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
