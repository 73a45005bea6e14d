"""Three local nodes beside one, with the same client in the same run: what replication costs.

Each measurement gets fresh nodes with empty directories and a fresh client process; within a round the
setups take turns at each workload. The topic has one partition, with a replica on each node. All nodes and
the client share the machine: three nodes on two cores also compete with each other, which on three machines
they do not.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.client import run_client
from benchmarks.cluster.report import as_json, print_report, write_report
from benchmarks.cluster.setups import SETUPS, Setup, running
from benchmarks.machine import machine_facts
from benchmarks.processes import PeerError
from benchmarks.results import Failure, Measured, Results
from chronik.cli.perf.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for on the command line."""

    setups: list[Setup]
    workloads: list[Workload]
    rounds: int
    seconds: float
    data_parent: Path | None


def main() -> int:
    """Exit code 1 when a figure is missing."""
    arguments = _parser().parse_args()
    options = Options(
        setups=[SETUPS[name] for name in arguments.setups],
        workloads=arguments.workloads,
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        data_parent=arguments.data_parent,
    )
    console = Console(stderr=arguments.json)
    results = measure(options, console)
    if arguments.json:
        print(as_json(results))
    else:
        print_report(results, console)
    if arguments.write:
        write_report(results, arguments.write)
    return 1 if results.failures else 0


def measure(options: Options, console: Console) -> Results:
    """All rounds. A setup that fails at a workload is named in the results, and the others go on."""
    results = Results(
        machine=machine_facts(options.data_parent),
        peers={setup.name: setup.about for setup in options.setups},
        rounds=options.rounds,
        seconds=options.seconds,
    )
    turns = [
        (workload, setup)
        for _ in range(options.rounds)
        for workload in options.workloads
        for setup in options.setups
    ]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(turns))
        for workload, setup in turns:
            progress.update(task, description=f"{workload.value} · {setup.name}")
            _take_turn(workload, setup, options, results)
            progress.advance(task)
    return results


def _take_turn(workload: Workload, setup: Setup, options: Options, results: Results) -> None:
    try:
        with running(setup, options.data_parent) as cluster:
            arguments = ["--bootstrap-server", cluster.bootstrap_servers, "--workload", workload.value]
            arguments += ["--pids", *(str(node.pid) for node in cluster.nodes)]
            arguments += ["--metrics", *(f"{node.http_url}/metrics" for node in cluster.nodes)]
            client = run_client("benchmarks.cluster.client", arguments, options.seconds)
    except PeerError as failure:
        results.failures.append(Failure(peer=setup.name, workload=workload.value, reason=str(failure)))
        return
    results.add(Measured(peer=setup.name, figures=client.figures, syncs_per_second=None))
    if client.failure is not None:
        results.failures.append(Failure(peer=setup.name, workload=workload.value, reason=client.failure))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--setups", nargs="+", choices=list(SETUPS), default=list(SETUPS))
    parser.add_argument("--workloads", nargs="+", type=Workload, default=list(Workload))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each part of a measurement")
    parser.add_argument(
        "--data-parent", type=Path, help="where nodes keep their data; default: temporary files"
    )
    parser.add_argument("--json", action="store_true", help="all samples as JSON instead of a table")
    parser.add_argument("--write", type=Path, help="directory for <date>-cluster.md and .json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
