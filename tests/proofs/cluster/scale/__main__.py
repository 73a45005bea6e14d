"""Thousands of partitions on three local nodes: creation, rest, the loss of a node, full load.

    python -m tests.proofs.cluster.scale [--partitions 3000] [--idle-minutes 10] [--load-minutes 10] [--json]

First a cluster in which one CreateTopics makes many topics of ten partitions; then another in which it makes
one topic of all partitions, three replicas each, and an fsync on a majority before each acknowledgement. That
one is left alone: how much of a core each node uses, and no leader epoch may change. Nodes are then killed
(SIGKILL) in turn: the clock runs until both others show a living leader of every partition, and again from
the start of the lost node until it is ready, all replicas are in sync, and leaderships are where they were
placed. In the end one idempotent producer sends as much as it can to all partitions in turn; again no epoch
may change. Exit code 1 when something takes longer than promised, or an epoch changed. Needs Linux.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from chronik.testing import BrokerError, Cluster
from tests.proofs.cluster.scale.creating import FirstRecords, create
from tests.proofs.cluster.scale.load import FullLoad
from tests.proofs.cluster.scale.nodes import CpuMeter, resident_mb
from tests.proofs.cluster.scale.report import Report, print_report
from tests.proofs.cluster.scale.view import NodeViews

TOPIC = "scale"
_PER_SMALL_TOPIC = 10

# For what is measured and not promised.
_WAIT_SECONDS_MAX = 300.0
# From the last thing that happened to the begin of an idle time: groups fall silent within a second or two.
_SETTLE_SECONDS = 5.0


class Run:
    """One run. `show` is told what is being done, and how much of it is."""

    def __init__(self, partitions: int, show: Callable[[str, float | None], None]) -> None:
        self.report = Report(partitions)
        self._partitions = partitions
        self._show = show

    def create_small_topics(self, cluster: Cluster) -> None:
        count = self._partitions // _PER_SMALL_TOPIC
        topics = {f"scale-{number}": _PER_SMALL_TOPIC for number in range(count)}
        self._create(cluster, f"{count} topics of {_PER_SMALL_TOPIC}", topics)

    def create_large_topic(self, cluster: Cluster) -> None:
        self._create(cluster, f"1 topic of {self._partitions}", {TOPIC: self._partitions})

    def _create(self, cluster: Cluster, how: str, topics: dict[str, int]) -> None:
        self._show(f"creating {how}", None)
        report, servers = self.report, cluster.bootstrap_servers
        records, cpu = FirstRecords(servers), CpuMeter(cluster)
        report.create[how] = create(servers, topics)
        report.first_record[how] = records.send_one(next(iter(topics)))
        time.sleep(_SETTLE_SECONDS)
        report.create_cpu[how] = dict(cpu.seconds())
        report.record_to_each[how] = records.send_to_each(topics)
        report.problems += records.problems

    def idle(self, cluster: Cluster, views: NodeViews, seconds: float) -> None:
        time.sleep(_SETTLE_SECONDS)
        before = views.epochs()
        time.sleep(1)
        cpu, begun = CpuMeter(cluster), time.monotonic()
        while (elapsed := time.monotonic() - begun) < seconds:
            self._show("idle", elapsed / seconds)
            time.sleep(min(1.0, seconds - elapsed))
        report = self.report
        report.idle_seconds, report.idle_percent = elapsed, dict(cpu.percent())
        report.resident_mb = {node.node_id: round(resident_mb(node.pid), 1) for node in cluster.nodes}
        report.idle_elections = self._changed(before, views, "while nothing happened")

    def lose(self, cluster: Cluster, views: NodeViews, node: int) -> None:
        self._show(f"node {node} is killed", None)
        report = self.report
        others = [other.node_id for other in cluster.nodes if other.node_id != node]
        for other in others:
            views.of(other)
        cpu = CpuMeter(cluster)
        cluster.kill(node)
        took, _ = views.wait(
            "a living leader of each partition",
            self._partitions,
            lambda led: led.leader in others,
            _WAIT_SECONDS_MAX,
        )
        report.failover.append(round(took, 2))
        time.sleep(_SETTLE_SECONDS)
        report.failover_cpu.append(dict(cpu.seconds()))
        self._bring_back(cluster, views, node)

    def _bring_back(self, cluster: Cluster, views: NodeViews, node: int) -> None:
        report, begun = self.report, time.monotonic()
        self._show(f"node {node} starts", None)
        cluster.restart(node)
        report.restart_ready.append(round(time.monotonic() - begun, 2))
        self._show(f"node {node} catches up", None)
        views.wait(
            "all replicas in sync",
            self._partitions,
            lambda led: set(led.in_sync) == set(led.replicas),
            _WAIT_SECONDS_MAX,
        )
        report.restart_in_sync.append(round(time.monotonic() - begun, 2))
        self._show(f"node {node} gets its leaderships back", None)
        views.wait(
            "leaderships where they were placed",
            self._partitions,
            lambda led: led.leader == led.replicas[0],
            _WAIT_SECONDS_MAX,
        )
        report.restart_balanced.append(round(time.monotonic() - begun, 2))

    def load(self, cluster: Cluster, views: NodeViews, seconds: float) -> None:
        report = self.report
        before, cpu, begun = views.epochs(), CpuMeter(cluster), time.monotonic()
        load = FullLoad(cluster.bootstrap_servers, TOPIC, self._partitions)
        load.run(seconds, lambda done: self._show("full load", done))
        report.load_seconds, report.load_records = time.monotonic() - begun, load.acknowledged
        report.load_percent = dict(cpu.percent())
        report.load_elections = self._changed(before, views, "under load")
        if load.unanswered:
            report.problems.append(f"{load.unanswered} records were never answered")
        if load.failures:
            report.problems.append(f"{len(load.failures)} records failed, the first: {load.failures[0]}")

    def _changed(self, before: dict[tuple[str, int], int], views: NodeViews, when: str) -> int:
        after = views.epochs()
        changed = [name for name, epoch in before.items() if after.get(name) != epoch]
        if changed:
            (topic, partition), first = changed[0], before[changed[0]]
            self.report.problems.append(
                f"{len(changed)} leader epochs changed {when}: that of {topic}-{partition} was {first}, "
                f"and is {after.get(changed[0])}; the nodes' logs, which --data-dir keeps, say why"
            )
        return len(changed)


def run(arguments: argparse.Namespace, show: Callable[[str, float | None], None]) -> Report:
    """Everything. What cannot be waited for is a problem in the report, and the rest is left out."""
    one = Run(arguments.partitions, show)
    try:
        with _cluster(arguments.data_dir, "topics") as cluster:
            one.create_small_topics(cluster)
        with _cluster(arguments.data_dir, "partitions") as cluster:
            views = NodeViews(cluster)
            one.create_large_topic(cluster)
            one.idle(cluster, views, 60 * arguments.idle_minutes)
            for number in range(arguments.kills):
                one.lose(cluster, views, 1 + number % len(cluster.nodes))
            if arguments.load_minutes:
                one.load(cluster, views, 60 * arguments.load_minutes)
            views.close()
    except (TimeoutError, RuntimeError, BrokerError) as error:
        # Also a cluster that does not stop: what was measured until then is shown all the same.
        one.report.problems.append(str(error))
    one.report.judge()
    return one.report


def _cluster(data_dir: Path | None, name: str) -> Cluster:
    return Cluster(write_caching=False, data_dir=None if data_dir is None else data_dir / name)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proofs.cluster.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--partitions", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--idle-minutes", type=float, default=1.0)
    parser.add_argument("--load-minutes", type=float, default=1.0)
    parser.add_argument(
        "--data-dir", type=Path, help="keeps data and the nodes' logs there; default: temporary files"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        report = run(arguments, _Shown(progress))
    if arguments.json:
        print(report.as_json())
    else:
        print_report(report, console)
    return 1 if report.problems else 0


class _Shown:
    """A bar for what is being done now."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("", total=None)

    def __call__(self, what: str, done: float | None) -> None:
        if done is None:
            self._progress.reset(self._task, total=None, description=what)
        else:
            self._progress.update(self._task, total=1.0, completed=done, description=what)


if __name__ == "__main__":
    sys.exit(main())
