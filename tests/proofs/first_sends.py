"""The first send to a topic that does not exist, with retries off, to many topics in a row.

    python -m tests.proofs.first_sends [--topics 1000]

A fresh broker; for each topic one record from one client library, in turn, none of which may retry. Exit code
1 when a send fails or a record is not there afterwards.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from rich.progress import Progress

from tests.proofs.cluster.senders import SECONDS_MAX, SENDERS
from tests.support.broker_process import BrokerProcess


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
    senders = [make(servers) for make in SENDERS.values()]
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
