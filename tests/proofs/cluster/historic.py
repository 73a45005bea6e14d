"""The historic failure: a topic that does not exist yet, on three nodes, written to without retries.

    python -m tests.proofs.cluster.historic [--topics 20] [--json]

First 1,000 synchronous sends of kafka-python to `test-cluster-topic` right after the first metadata, all of
which must be acknowledged and read back; once timed, and once listened to. Then, for each Python client,
topics in a row in each of three ways: the first Metadata request creates the topic; a send does; the client's
admin does, and every partition is written to at once through a producer bootstrapped from each node. Clients
are listened to on the wire: an error code in any answer is a problem, whether or not the client shows it.
Exit code 1 when there is one.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from kafka import KafkaProducer
from kafka.errors import KafkaError
from rich.progress import Progress

from chronik.history.events import Place, Send
from chronik.history.logs import check_log
from chronik.testing import Cluster
from tests.proofs.cluster.ledger import read_all
from tests.proofs.cluster.senders import SECONDS_MAX, SENDERS, Sender
from tests.proofs.cluster.tapped import TappedCluster, tapped_cluster
from tests.proofs.cluster.wire_tap import WireTap

TOPIC = "test-cluster-topic"
PARTITIONS = 3
SENDS = 1000


@dataclass(slots=True)
class Report:
    """`problems` is empty when nothing failed, not even once on the way."""

    sent: int = 0
    acknowledged: int = 0
    read: int = 0
    # From a producer's first look at the cluster to its last acknowledgement, with nobody in between.
    seconds: float = 0.0
    topics: Counter[str] = field(default_factory=Counter)
    sends: int = 0
    # Answers seen on the wire, by API.
    answers: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def listen(self, tap: WireTap, where: str) -> None:
        """Take what the tap has heard."""
        for exchange in tap.take():
            self.answers[exchange.api.name] += 1
            self.problems += [f"{where}: {error}" for error in exchange.errors()]


def run(*, sends: int, topics: int, progress: Progress) -> Report:
    report = Report()
    with Cluster(num_partitions=PARTITIONS, write_caching=False) as cluster:
        report.seconds = run_historic(cluster.bootstrap_servers, sends, report)
    with tapped_cluster(num_partitions=PARTITIONS) as tapped:
        run_historic(tapped.bootstrap_servers, sends, report)
        report.listen(tapped.tap, TOPIC)
        for client in SENDERS:
            run_client(tapped, client, topics, report, progress)
    return report


def run_historic(servers: str, count: int, report: Report) -> float:
    """The seconds it took."""
    started = time.monotonic()
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", retries=0)
    sends: defaultdict[Place, list[Send]] = defaultdict(list)
    for number in range(count):
        report.sent += 1
        sent_at = time.monotonic()
        try:
            sent = producer.send(TOPIC, b"%d" % number).get(SECONDS_MAX)
        except KafkaError as error:
            report.problems.append(f"send {number}: {error!r}")
        else:
            place = f"{TOPIC}-{sent.partition}"
            done_at = time.monotonic()
            sends[place].append(
                Send(place=place, number=number, sent_at=sent_at, done_at=done_at, offset=sent.offset)
            )
            report.acknowledged += 1
    seconds = time.monotonic() - started
    producer.close()
    for partition, records in enumerate(read_all(servers, TOPIC, PARTITIONS)):
        place = f"{TOPIC}-{partition}"
        report.read += len(records)
        report.problems += map(str, check_log(place, sends[place], records))
    return seconds


def run_client(tapped: TappedCluster, client: str, topics: int, report: Report, progress: Progress) -> None:
    senders = [SENDERS[client](address) for address in tapped.addresses.values()]
    try:
        for way in (by_metadata, by_produce, by_admin):
            for number in progress.track(range(topics), description=f"{client} {way.__name__}"):
                topic = f"{client}-{way.__name__}-{number}"
                try:
                    failures = way(senders, topic, number, report)
                except Exception as error:  # whatever a library raises is what this looks for
                    failures = [repr(error)]
                report.topics[client] += 1
                report.problems += [f"{topic}: {failure}" for failure in failures]
                report.listen(tapped.tap, topic)
    finally:
        for sender in senders:
            sender.close()
    report.listen(tapped.tap, client)


def by_metadata(senders: Sequence[Sender], topic: str, number: int, report: Report) -> list[str]:
    """One producer asks for the topic, and then writes to each partition it is told of."""
    sender = senders[number % len(senders)]
    count = sender.partitions(topic)
    wrong = [] if count == PARTITIONS else [f"{count} partitions instead of {PARTITIONS}"]
    return wrong + _write(sender, topic, range(count), report)


def by_produce(senders: Sequence[Sender], topic: str, number: int, report: Report) -> list[str]:
    """One producer writes, as if the topic were there."""
    return _write(senders[number % len(senders)], topic, [None], report)


def by_admin(senders: Sequence[Sender], topic: str, number: int, report: Report) -> list[str]:
    """As soon as the topic is created everybody writes to all of it."""
    senders[number % len(senders)].create(topic, PARTITIONS)
    return [failure for sender in senders for failure in _write(sender, topic, range(PARTITIONS), report)]


def _write(sender: Sender, topic: str, partitions: Sequence[int | None], report: Report) -> list[str]:
    failures = []
    for partition in partitions:
        failure = sender.send(topic, b"first", partition)
        report.sends += 1
        if failure is not None:
            failures.append(f"partition {partition}: {failure}")
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sends", type=int, default=SENDS)
    parser.add_argument("--topics", type=int, default=20, help="per client and way")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with Progress(transient=True, disable=arguments.json) as progress:
        report = run(sends=arguments.sends, topics=arguments.topics, progress=progress)
    if arguments.json:
        print(json.dumps({name: getattr(report, name) for name in Report.__slots__}))
    else:
        print(
            f"{TOPIC}: {report.acknowledged} of {report.sent} acknowledged, {report.read} read back, "
            f"{arguments.sends} in {report.seconds:.2f} s; then {report.topics.total()} new topics, "
            f"{report.sends} sends; answers on the wire: {dict(report.answers)}"
        )
        for problem in report.problems[:20]:
            print(f"  PROBLEM {problem[:600]}")
        if len(report.problems) > 20:
            print(f"  and {len(report.problems) - 20} more")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
