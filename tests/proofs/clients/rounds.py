"""One round: a topic that one client writes with one codec and reads in a changing group, and others read."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.proofs.clients.client import Client, ClientFailed
from tests.proofs.clients.group import Place, read_alone, write_and_read, write_then_read
from tests.proofs.clients.load import PARTITIONS


@dataclass(slots=True)
class Outcome:
    """What a round showed; `problems` is empty when all is as it was written."""

    client: str
    codec: str
    records: int
    seconds: float = 0.0
    read_again: int = 0
    by_member: list[int] = field(default_factory=list)
    also_read_by: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def run_round(
    bootstrap_servers: str, client: Client, codec: str, records: int, others: Sequence[Client]
) -> Outcome:
    topic = f"{client.name}-{codec}"
    create_topic(bootstrap_servers, topic)
    outcome = Outcome(client.name, codec, records)
    started = time.monotonic()
    try:
        digest = _own_round(bootstrap_servers, client, topic, outcome)
        for other in others:
            _read_by(other, bootstrap_servers, topic, digest, outcome)
    except (ClientFailed, TimeoutError) as error:
        outcome.problems.append(f"{type(error).__name__}: {error}")
    outcome.seconds = time.monotonic() - started
    return outcome


def create_topic(bootstrap_servers: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(topic, PARTITIONS)])[topic].result(timeout=30)


def _own_round(bootstrap_servers: str, client: Client, topic: str, outcome: Outcome) -> str:
    writer = client.open_writer(bootstrap_servers, outcome.codec)
    try:
        place = Place(bootstrap_servers, topic, f"{topic}-group")
        play = write_and_read if client.has_groups else write_then_read
        reading = play(client, place, writer, outcome.records)
    finally:
        writer.close()
    outcome.problems += reading.check()
    outcome.read_again = reading.took_again()
    outcome.by_member = [count for _, count in sorted(reading.by_member.items())]
    return reading.digest()


def _read_by(other: Client, bootstrap_servers: str, topic: str, digest: str, outcome: Outcome) -> None:
    reading = read_alone(other, Place(bootstrap_servers, topic, f"{topic}-{other.name}"), outcome.records)
    problems = reading.check()
    if not problems and reading.digest() != digest:
        problems = ["other bytes at the same places"]
    outcome.problems += [f"read by {other.name}: {problem}" for problem in problems]
    outcome.also_read_by.append(other.name)
