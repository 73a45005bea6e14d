"""Restart the nodes one after the other, under load from clients that know nothing of it.

    python -m tests.proofs.cluster.rolling_restart [--rounds 2] [--json]

For each of the three Python clients a topic with six partitions of three replicas, a producer that writes
100 records a second, and a consumer in a group of its own that reads all three topics; all with default
settings. Each node is sent SIGTERM, and started when it has ended; the next one follows when all replicas are
in sync. No send may fail; each record must be in its log, once where the producer is idempotent by default,
and in the order in which it was sent, where the client keeps order by default; each group must have read
every record without anybody's help. Exit code 1 otherwise.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from rich.progress import Progress

from chronik.history.events import Place, Records
from chronik.history.violations import Allowances
from chronik.testing import Cluster
from tests.proofs.cluster.in_sync import wait_in_sync
from tests.proofs.cluster.ledger import Ledger, read_all
from tests.proofs.cluster.restart_clients import CLIENTS
from tests.proofs.cluster.streams import Taken
from tests.support.waiting import wait_until

T = TypeVar("T")

PARTITIONS = 6
# Joining, and coming back from whatever a client falls into, must be done by then.
SECONDS_MAX = 90.0
# Load around each restart.
_STEADY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """One node's. Seconds until its process had ended, until it served again, until all was in sync."""

    node: int
    stop: float
    start: float
    in_sync: float


@dataclass(slots=True)
class Report:
    """`problems` is empty when nobody noticed anything. Pauses in seconds, by client."""

    restarts: list[Restart] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    # Records that a producer which is not idempotent has written twice.
    doubled: dict[str, int] = field(default_factory=dict)
    # Longest time without an acknowledgement from a partition.
    write_pause: dict[str, float] = field(default_factory=dict)
    # Longest time in which a member got nothing of a partition.
    read_pause: dict[str, float] = field(default_factory=dict)
    read_again: dict[str, int] = field(default_factory=dict)
    # What consumers were shown and went on after.
    shown: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Load:
    """All clients; between entering and leaving `running`."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self.written = {client: Ledger(f"rolling-{client}", PARTITIONS, client=client) for client in CLIENTS}
        topics = [written.topic for written in self.written.values()]
        self.taken = {client: Taken(client, topics, PARTITIONS) for client in CLIENTS}
        self._writing_is_over = threading.Event()
        self._reading_is_over = threading.Event()
        self.failures: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ends when everything is written and read, or was not in time."""
        readers = [
            self._start(CLIENTS[client].read, self.taken[client], self._reading_is_over) for client in CLIENTS
        ]
        writers = [
            self._start(CLIENTS[client].write, self.written[client], self._writing_is_over)
            for client in CLIENTS
        ]
        try:
            self._wait(lambda: all(taken.has_read_everywhere for taken in self.taken.values()), "first reads")
            yield
        finally:
            self._writing_is_over.set()
            _join(writers)
            try:
                self._wait(self._has_read_all, "all records read")
            except TimeoutError as error:
                self.failures.append(str(error))
            self._reading_is_over.set()
            _join(readers)

    def wait_acknowledged(self) -> None:
        """Return when each partition has acknowledged something that was sent after this call.

        Raises TimeoutError.
        """
        marks = {client: list(self.written[client].sent) for client in CLIENTS}
        self._wait(
            lambda: all(self.written[client].is_everywhere_past(marks[client]) for client in CLIENTS),
            "acknowledgements for every client from every partition",
        )

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        wait_until(lambda: bool(self.failures) or condition(), what, SECONDS_MAX)

    def _has_read_all(self) -> bool:
        return all(
            taken.has_all(written) for taken in self.taken.values() for written in self.written.values()
        )

    def _start(
        self,
        work: Callable[[str, T, threading.Event], None],
        stream: T,
        is_over: threading.Event,
    ) -> threading.Thread:
        def run() -> None:
            try:
                work(self._servers, stream, is_over)
            except BaseException as error:
                self.failures.append(f"{work.__qualname__} ended: {error!r}")

        thread = threading.Thread(target=run, name=work.__qualname__, daemon=True)
        thread.start()
        return thread


def run(rounds: int, progress: Progress) -> Report:
    report = Report()
    with Cluster(write_caching=False) as cluster:
        load = Load(cluster.bootstrap_servers)
        for written in load.written.values():
            cluster.create_topic(written.topic, PARTITIONS, replication_factor=3)
        nodes = [node.node_id for _ in range(rounds) for node in cluster.nodes]
        with load.running():
            for node in progress.track(nodes, description="rolling restart"):
                load.wait_acknowledged()
                time.sleep(_STEADY_SECONDS)
                report.restarts.append(restart(cluster, node))
            load.wait_acknowledged()
            time.sleep(_STEADY_SECONDS)
        check(cluster, load, report)
    return report


def restart(cluster: Cluster, node: int) -> Restart:
    began = time.monotonic()
    cluster.stop_node(node)
    stopped = time.monotonic()
    cluster.restart(node)
    started = time.monotonic()
    wait_in_sync(cluster)
    done = time.monotonic()
    return Restart(node=node, stop=stopped - began, start=started - stopped, in_sync=done - started)


def check(cluster: Cluster, load: Load, report: Report) -> None:
    """Read everything, and compare."""
    report.problems += load.failures
    allowed = Allowances(
        repeating=[client for client in CLIENTS if not CLIENTS[client].is_idempotent],
        unordered=[client for client in CLIENTS if not CLIENTS[client].keeps_order],
    )
    logs: dict[Place, Records] = {}
    for client, ledger in load.written.items():
        report.sent[client] = sum(ledger.sent)
        report.acknowledged[client] = ledger.acknowledged
        report.write_pause[client] = ledger.longest_pause()
        read = read_all(cluster.bootstrap_servers, ledger.topic, PARTITIONS)
        report.doubled[client] = sum(len(log) - len({number for _, number in log}) for log in read)
        report.problems += ledger.problems(read, allowed)
        logs.update((ledger.place(partition), log) for partition, log in enumerate(read))
    for client, taken in load.taken.items():
        report.read_pause[client] = taken.longest_pause()
        report.read_again[client] = taken.read_again()
        report.shown += taken.errors
        report.problems += taken.problems(list(load.written.values()), logs)


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join(SECONDS_MAX)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2, help="each restarts every node")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with Progress(transient=True, disable=arguments.json) as progress:
        report = run(arguments.rounds, progress)
    if arguments.json:
        print(json.dumps(asdict(report)))
    else:
        show(report)
    return 1 if report.problems else 0


def show(report: Report) -> None:
    for each in report.restarts:
        print(
            f"node {each.node}: ended after {each.stop:.2f} s, served again {each.start:.2f} s later, "
            f"all in sync {each.in_sync:.2f} s later"
        )
    for client in report.sent:
        print(
            f"{client}: {report.sent[client]} sent, {report.acknowledged[client]} acknowledged, "
            f"{report.doubled[client]} twice, pauses up to {report.write_pause[client]:.2f} s; "
            f"as a consumer {report.read_again[client]} read again, "
            f"pauses up to {report.read_pause[client]:.2f} s"
        )
    for text in report.shown[:20]:
        print(f"  shown: {text}")
    for problem in report.problems[:20]:
        print(f"  PROBLEM {problem}")


if __name__ == "__main__":
    sys.exit(main())
