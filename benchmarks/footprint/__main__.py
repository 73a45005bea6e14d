"""`python -m benchmarks.footprint`: start, memory, first records and end, Chronik beside others."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks.footprint.measure import Options
from benchmarks.footprint.memory import measure_used_memory
from benchmarks.footprint.readings import Readings
from benchmarks.footprint.report import as_json, print_report, write_report
from benchmarks.footprint.starting import measure_end, measure_start
from benchmarks.footprint.waiting import measure_first_sends, measure_join
from benchmarks.machine import machine_facts
from benchmarks.peers import CHRONIK, PEERS, TANSU, Peer
from benchmarks.processes import PeerError
from chronik.cli.perf.figure import Figure, MeasurementError

_Measure = Callable[[Peer, Options], list[Figure]]

MEASURES: dict[str, _Measure] = {
    "start": measure_start,
    "join": measure_join,
    "end": measure_end,
    "first-sends": measure_first_sends,
    "memory": measure_used_memory,
}


def main() -> int:
    """Exit code 1 when Chronik failed at something or is over a limit."""
    arguments = _parser().parse_args()
    console = Console(stderr=arguments.json)
    options = Options(
        starts=arguments.starts,
        topics=arguments.topics,
        gigabytes=arguments.gigabytes,
        data_parent=arguments.data_parent,
    )
    facts = machine_facts(arguments.data_parent)
    peers = [PEERS[name] for name in arguments.peers]
    readings = _measure_all([MEASURES[name] for name in arguments.measures], peers, options, console)
    if arguments.json:
        print(as_json(readings, facts))
    else:
        print_report(readings, facts, console)
    if arguments.write:
        write_report(readings, facts, arguments.write)
    return 0 if readings.is_kept() else 1


def _measure_all(measures: list[_Measure], peers: list[Peer], options: Options, console: Console) -> Readings:
    readings = Readings()
    with Progress(console=console, transient=True) as bars:
        overall = bars.add_task("footprint", total=len(measures) * len(peers))
        current = bars.add_task("", total=1.0)
        options = replace(
            options, progress=lambda title, done: bars.update(current, description=title, completed=done)
        )
        for measure in measures:
            for peer in peers:
                try:
                    for figure in measure(peer, options):
                        readings.add(peer.name, figure)
                except (MeasurementError, PeerError) as failure:
                    readings.failures.append((peer.name, measure.__name__, str(failure)))
                bars.advance(overall)
    return readings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=[CHRONIK.name, TANSU.name])
    parser.add_argument("--measures", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    parser.add_argument("--starts", type=int, default=Options().starts)
    parser.add_argument("--topics", type=int, default=Options().topics)
    parser.add_argument("--gigabytes", type=float, default=Options().gigabytes)
    parser.add_argument(
        "--data-parent", type=Path, help="where brokers keep their data; default: temporary files"
    )
    parser.add_argument("--json", action="store_true", help="figures as JSON instead of a table")
    parser.add_argument("--write", type=Path, help="directory for <date>-footprint.md and .json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
