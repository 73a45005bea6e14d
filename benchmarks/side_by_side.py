"""Run the same workloads with the same client against one broker after the other, in rounds, and compare.

Each measurement gets a fresh broker with an empty directory and a fresh client process. Within a round the
brokers take turns at each workload, so that what else the machine does falls on all of them alike; a figure
is the median of its rounds.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.client import run_client
from benchmarks.machine import machine_facts
from benchmarks.peers import DEFAULT_PEERS, PEERS, Peer, running
from benchmarks.processes import PeerError
from benchmarks.report import as_json, print_report, write_report
from benchmarks.results import Failure, Measured, Results
from benchmarks.syncs import SyncMeter
from chronik.cli.perf.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for on the command line."""

    peers: list[Peer]
    workloads: list[Workload]
    rounds: int
    seconds: float
    data_parent: Path | None


def main() -> int:
    """Exit code 1 when something failed, or with `--check` when Chronik is behind Tansu anywhere."""
    arguments = _parser().parse_args()
    options = Options(
        peers=[PEERS[name] for name in arguments.peers],
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
    behind = arguments.check and results.behind()
    return 1 if results.failures or behind else 0


def measure(options: Options, console: Console) -> Results:
    """All rounds. A peer that fails at a workload is named in the results, and the others go on."""
    results = Results(
        machine=machine_facts(options.data_parent),
        peers={peer.name: peer.describe() for peer in options.peers},
        rounds=options.rounds,
        seconds=options.seconds,
    )
    turns = [
        (workload, peer)
        for _ in range(options.rounds)
        for workload in options.workloads
        for peer in options.peers
    ]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(turns))
        for workload, peer in turns:
            progress.update(task, description=f"{workload.value} · {peer.name}")
            _take_turn(workload, peer, options, results)
            progress.advance(task)
    return results


def _take_turn(workload: Workload, peer: Peer, options: Options, results: Results) -> None:
    try:
        with running(peer, options.data_parent) as broker, SyncMeter(broker.metrics_url) as meter:
            arguments = ["--bootstrap-server", broker.bootstrap_servers, workload.value]
            client = run_client("chronik.cli.perf", arguments, options.seconds)
    except PeerError as failure:
        results.failures.append(Failure(peer=peer.name, workload=workload.value, reason=str(failure)))
        return
    results.add(Measured(peer=peer.name, figures=client.figures, syncs_per_second=meter.per_second))
    if client.failure is not None:
        results.failures.append(Failure(peer=peer.name, workload=workload.value, reason=client.failure))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=[p.name for p in DEFAULT_PEERS])
    parser.add_argument("--workloads", nargs="+", type=Workload, default=list(Workload))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each part of a measurement")
    parser.add_argument(
        "--data-parent", type=Path, help="where brokers keep their data; default: temporary files"
    )
    parser.add_argument("--json", action="store_true", help="all samples as JSON instead of tables")
    parser.add_argument("--write", type=Path, help="directory for <date>.md and <date>.json")
    parser.add_argument("--check", action="store_true", help="fail when Chronik with caching is behind Tansu")
    return parser


if __name__ == "__main__":
    sys.exit(main())
