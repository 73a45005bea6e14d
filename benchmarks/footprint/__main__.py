"""`python -m benchmarks.footprint`: start, memory, first records and end, Chronik beside others."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.footprint.measure import Options
from benchmarks.footprint.memory import measure_used_memory
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

# What Chronik promises, by figure name.
LIMITS = {
    "start": 300.0,
    "idle memory": 60.0,
    "memory after 1 GB": 200.0,
    "join to first record": 500.0,
    "SIGTERM": 1000.0,
    "failed first sends, confluent-kafka": 0.0,
    "failed first sends, kafka-python": 0.0,
}


class Readings:
    """Figures and failures of all peers, filled as they come."""

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, Figure]] = {}
        self.failures: list[tuple[str, str, str]] = []

    def add(self, peer: str, figure: Figure) -> None:
        self.figures.setdefault(figure.name, {})[peer] = figure

    def is_kept(self) -> bool:
        """Whether Chronik was measured whole and kept every limit."""
        if any(peer == CHRONIK.name for peer, _, _ in self.failures):
            return False
        mine = {name: by_peer.get(CHRONIK.name) for name, by_peer in self.figures.items()}
        return all(
            figure is None or figure.value <= LIMITS.get(name, float("inf")) for name, figure in mine.items()
        )


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
        print(json.dumps(_as_json(readings, facts), indent=2))
    else:
        _print(readings, facts, console)
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


def _print(readings: Readings, facts: dict[str, str], console: Console) -> None:
    peers = list(dict.fromkeys(peer for by_peer in readings.figures.values() for peer in by_peer))
    table = Table()
    for heading in ("", "limit", *peers):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, by_peer in readings.figures.items():
        unit = next(iter(by_peer.values())).unit
        limit = f"{LIMITS[name]:,.0f}" if name in LIMITS else ""
        table.add_row(f"{name}, {unit}", limit, *(_cell(by_peer.get(peer)) for peer in peers))
    console.print(table)
    for fact, value in facts.items():
        console.print(f"{fact}: {value}", style="dim", highlight=False)
    for peer, what, reason in readings.failures:
        console.print(f"{peer}, {what}: {reason}", style="red", markup=False, highlight=False)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return f"{figure.value:,.0f}" + (f"\n[dim]{figure.note}[/]" if figure.note else "")


def _as_json(readings: Readings, facts: dict[str, str]) -> dict[str, object]:
    return {
        "machine": facts,
        "limits": LIMITS,
        "figures": {
            name: {peer: asdict(figure) | {"better": figure.better.value} for peer, figure in by_peer.items()}
            for name, by_peer in readings.figures.items()
        },
        "failures": [
            {"peer": peer, "measure": what, "reason": reason} for peer, what, reason in readings.failures
        ],
    }


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
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
