"""Take a leader away under load, again and again: how long nothing is acknowledged, and that nothing is lost.

    python -m tests.proofs.cluster.failover [kill|pause|cut] [--rounds 30] [--json]

Twelve partitions with three replicas, an fsync on a majority before each acknowledgement, one idempotent
producer of confluent-kafka (acks=all) that sends 200 records a second to each. `kill`: SIGKILL of a node that
leads some of them; when all partitions acknowledge again it is started. `pause`: SIGSTOP for three election
timeouts, then SIGCONT. `cut`: the node's connections to the others stay open and carry nothing for as long,
while clients still reach it. The next round begins when all replicas are in sync and each node leads what it
led at first, as it does some seconds after a failure; the client is connected to all of them then.

A gap is the longest time between two acknowledgements of a partition from the fault on. It contains what the
client needs to find the new leader; when both other nodes name one is measured beside it. In the end each
partition must hold the numbers 0, 1, 2, … exactly once and in order, each acknowledged one at the offset
it was acknowledged with. Exit code 1 otherwise.

Client settings are default with two exceptions. librdkafka tries to reach a node that was away only after up
to ten seconds (`reconnect.backoff.max.ms`); nodes go away much more often here than in life, so it is 200 ms.
And a paused node does not answer while its connections stay open: the client would wait for a minute
(`socket.timeout.ms`), and an idempotent producer does so before it turns to the new leader.
With `pause` it is `--client-timeout-ms`; librdkafka looks at it once a second.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from rich.progress import Progress

from chronik.testing import Cluster
from tests.proofs.cluster.figures import Figures
from tests.proofs.cluster.in_sync import leaders, wait_balanced, wait_in_sync, wait_led_elsewhere
from tests.proofs.cluster.ledger import Ledger, read_all
from tests.proofs.cluster.numbered_load import NumberedLoad

TOPIC = "failover"
PARTITIONS = 12
# `controller.quorum.election.timeout.ms` by default.
ELECTION_TIMEOUT_SECONDS = 1.0
FAULTS = ("kill", "pause", "cut")
# Load before each fault.
_STEADY_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One fault. Gaps in seconds."""

    node: int
    # Until both other nodes named other leaders of all partitions: the nodes' part, without the client's.
    elsewhere: float
    # Of the partitions that the lost node led, until all replicas were in sync again.
    led: list[float]
    # Of the partitions that others led, while the node was away.
    others: list[float]
    # Of all partitions taken as one, while the node was away.
    overall: float
    # The longest of any partition that began after the node came back.
    back: float


@dataclass(slots=True)
class Report:
    """`problems` is empty when every promise was kept."""

    fault: str
    rounds: list[Round] = field(default_factory=list)
    sent: int = 0
    acknowledged: int = 0
    read: int = 0
    problems: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Figures]:
        """Without those that have nothing in them: one node may have led everything each time."""
        gaps = {
            "led elsewhere, as the others say": [each.elsewhere for each in self.rounds],
            "partitions that lost their leader": [gap for each in self.rounds for gap in each.led],
            "worst partition of each round": [max(each.led) for each in self.rounds],
            "partitions that others led": [gap for each in self.rounds for gap in each.others],
            "all partitions as one": [each.overall for each in self.rounds],
            "any partition while the node returns": [each.back for each in self.rounds],
        }
        return {name: Figures.of_seconds(values) for name, values in gaps.items() if values}


def run(fault: str, rounds: int, settings: Mapping[str, str | int | bool], progress: Progress) -> Report:
    report = Report(fault)
    with Cluster(write_caching=False, can_isolate=fault == "cut") as cluster:
        cluster.create_topic(TOPIC, PARTITIONS, replication_factor=3)
        with NumberedLoad(cluster.bootstrap_servers, TOPIC, PARTITIONS, settings) as load:
            load.wait_acknowledged()
            for number in progress.track(range(rounds), description=fault):
                time.sleep(_STEADY_SECONDS)
                report.rounds.append(run_round(cluster, load, fault, number))
        check(cluster, load.ledger, report)
    return report


def check(cluster: Cluster, ledger: Ledger, report: Report) -> None:
    """Read everything, and compare."""
    read = read_all(cluster.bootstrap_servers, TOPIC, PARTITIONS)
    report.sent, report.acknowledged = sum(ledger.sent), ledger.acknowledged
    report.read = sum(map(len, read))
    report.problems += ledger.problems(read)


def run_round(cluster: Cluster, load: NumberedLoad, fault: str, number: int) -> Round:
    """Returns when all replicas are in sync again. Raises TimeoutError when they never are."""
    led_by = leaders(cluster, TOPIC)
    node = next_leader(led_by, number)
    lost_at = time.monotonic()
    lose(cluster, fault, node)
    wait_led_elsewhere(cluster, TOPIC, node)
    elsewhere = time.monotonic() - lost_at
    if fault == "kill":
        load.wait_acknowledged()
    else:
        time.sleep(max(0.0, 3 * ELECTION_TIMEOUT_SECONDS - elsewhere))
    back_at = time.monotonic()
    give_back(cluster, fault, node)
    load.wait_acknowledged()
    recovered_at = back_at if fault == "kill" else time.monotonic()
    wait_in_sync(cluster)
    wait_balanced(cluster, TOPIC)
    load.wait_acknowledged()
    end = time.monotonic()
    ledger = load.ledger
    led = [partition for partition, leader in led_by.items() if leader == node]
    others = [partition for partition in ledger.partitions if partition not in led]
    return Round(
        node=node,
        elsewhere=elsewhere,
        led=[ledger.longest_gap(partition, lost_at, end) for partition in led],
        others=[ledger.longest_gap(partition, lost_at, back_at) for partition in others],
        overall=ledger.longest_gap_overall(lost_at, back_at),
        back=max(ledger.longest_gap(partition, recovered_at, end) for partition in ledger.partitions),
    )


def next_leader(led_by: Mapping[int, int], number: int) -> int:
    """A node that leads something; each in turn."""
    candidates = sorted(set(led_by.values()))
    return min(candidates, key=lambda node: (node - 1 - number) % 3)


def lose(cluster: Cluster, fault: str, node: int) -> None:
    match fault:
        case "kill":
            cluster.kill(node)
        case "pause":
            cluster.pause(node)
        case _:
            cluster.isolate(node)


def give_back(cluster: Cluster, fault: str, node: int) -> None:
    match fault:
        case "kill":
            cluster.restart(node)
        case "pause":
            cluster.resume(node)
        case _:
            cluster.heal(node)


def client_settings(fault: str, timeout_ms: int) -> dict[str, str | int | bool]:
    """See the module. Log lines about lost connections would fill the screen."""
    settings: dict[str, str | int | bool] = {"log_level": 0, "reconnect.backoff.max.ms": 200}
    return {**settings, "socket.timeout.ms": timeout_ms} if fault == "pause" else settings


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fault", nargs="?", choices=FAULTS, default="kill")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--client-timeout-ms", type=int, default=500, help="with pause")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    settings = client_settings(arguments.fault, arguments.client_timeout_ms)
    with Progress(transient=True, disable=arguments.json) as progress:
        report = run(arguments.fault, arguments.rounds, settings, progress)
    figures = report.figures()
    if arguments.json:
        shown = {name: asdict(each) for name, each in figures.items()}
        print(json.dumps({**asdict(report), "client": settings, "figures": shown}))
    else:
        print(
            f"{len(report.rounds)} times {report.fault}: {report.sent} sent, "
            f"{report.acknowledged} acknowledged, {report.read} read"
        )
        for name, each in figures.items():
            print(f"  {name:37} {each}")
        for problem in report.problems[:20]:
            print(f"  PROBLEM {problem}")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
