"""From the first metadata request for a topic that does not exist to its first acknowledged record.

    python -m tests.proofs.cluster.first_send_latency [--topics 200] [--json]

Three nodes, topics of three partitions with three replicas, acks=all, an fsync on a majority before each
acknowledgement. Each topic gets a producer of its own, whose first act is that send, from each Python client
in turn. What clients and nodes take is told apart on the wire. The nodes' share is the time from the first
Metadata request that names the topic to the last such answer before the record goes out, without the pauses
in between, and the time from the Produce request to its answer. The rest is the client's, such as pauses and
a connection to the leader. The same with a topic that exists is the yardstick. Listening in costs each
message a fraction of a millisecond, which counts as the nodes'. Exit code 1 when a send fails.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, field

from rich.progress import Progress

from tests.proofs.cluster.figures import Figures
from tests.proofs.cluster.senders import SENDERS
from tests.proofs.cluster.shares import Shares
from tests.proofs.cluster.tapped import TappedCluster, tapped_cluster

PARTITIONS = 3
KNOWN_TOPIC = "first-known"


@dataclass(slots=True)
class Timings:
    """In seconds; one entry for each topic."""

    # By the program's own clock, from the call to the acknowledgement; and with making the producer.
    send: list[float] = field(default_factory=list)
    producer_and_send: list[float] = field(default_factory=list)
    # See `Shares`.
    wire: list[float] = field(default_factory=list)
    nodes: list[float] = field(default_factory=list)
    metadata: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Figures]:
        return {name: Figures.of_seconds(getattr(self, name)) for name in self.__slots__}


@dataclass(slots=True)
class Report:
    """Timings by client, of topics that were new and of one that was not."""

    new: dict[str, Timings] = field(default_factory=lambda: {client: Timings() for client in SENDERS})
    known: dict[str, Timings] = field(default_factory=lambda: {client: Timings() for client in SENDERS})
    problems: list[str] = field(default_factory=list)


def run(tapped: TappedCluster, topics: int, progress: Progress) -> Report:
    report = Report()
    tapped.cluster.create_topic(KNOWN_TOPIC, partitions=PARTITIONS, replication_factor=3)
    clients = list(SENDERS)
    for number in progress.track(range(topics * len(clients)), description="first sends"):
        client = clients[number % len(clients)]
        report.problems += measure(tapped, client, f"first-{number}", report.new[client])
        if number % (4 * len(clients)) < len(clients):
            report.problems += measure(tapped, client, KNOWN_TOPIC, report.known[client])
    return report


def measure(tapped: TappedCluster, client: str, topic: str, timings: Timings) -> list[str]:
    """One producer's first send."""
    tapped.tap.take()
    began = time.monotonic()
    sender = SENDERS[client](tapped.bootstrap_servers)
    try:
        made = time.monotonic()
        problem = sender.send(topic, b"first")
        done = time.monotonic()
    finally:
        sender.close()
    exchanges = tapped.tap.take()
    problems = [f"{topic}: {error}" for exchange in exchanges for error in exchange.errors()]
    if problem is not None:
        return [f"{topic}: {client}: {problem}", *problems]
    timings.send.append(done - made)
    timings.producer_and_send.append(done - began)
    shares = Shares.of(exchanges, topic)
    timings.wire.append(shares.wire)
    timings.nodes.append(shares.nodes)
    timings.metadata.append(shares.metadata)
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--topics", type=int, default=200, help="per client")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with (
        tapped_cluster(num_partitions=PARTITIONS) as tapped,
        Progress(transient=True, disable=arguments.json) as progress,
    ):
        report = run(tapped, arguments.topics, progress)
        show(report, is_json=arguments.json)
    return 1 if report.problems else 0


def show(report: Report, *, is_json: bool) -> None:
    figures = {
        f"{kind} {client}": timings.figures()
        for kind, by_client in [("new", report.new), ("known", report.known)]
        for client, timings in by_client.items()
        if timings.send
    }
    if is_json:
        shown = {
            name: {part: asdict(each) for part, each in parts.items()} for name, parts in figures.items()
        }
        print(json.dumps({"problems": report.problems, **shown}))
        return
    for name, parts in figures.items():
        print(name)
        for part, each in parts.items():
            print(f"  {part:18} {each}")
    for problem in report.problems[:20]:
        print(f"  PROBLEM {problem[:600]}")


if __name__ == "__main__":
    sys.exit(main())
