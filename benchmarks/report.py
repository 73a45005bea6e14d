"""A side-by-side run for people (table, Markdown) and for programs (JSON)."""

import dataclasses
import datetime
import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks.peers import CHRONIK, CHRONIK_CACHING, MOCK, TANSU
from benchmarks.results import Results
from benchmarks.tables import NOTHING, markdown_table, number, ratio, rich_table

# Peers whose ratio to another is shown: (Chronik's side, the other side).
_RATIOS = (
    (CHRONIK_CACHING.name, TANSU.name),
    (CHRONIK.name, TANSU.name),
    (CHRONIK_CACHING.name, MOCK.name),
)


def print_report(results: Results, console: Console) -> None:
    """Tables of medians and of ratios, the machine, and what failed."""
    console.print(rich_table(f"Median of {results.rounds} rounds", _medians(results, _median)))
    if _shown_ratios(results):
        console.print(rich_table("Ratios: above 1, Chronik is better", _ratios(results)))
    for fact, value in results.machine.items():
        console.print(f"{fact}: {value}", style="dim", highlight=False)
    for failure in results.failures:
        console.print(f"[red]{failure.peer}, {failure.workload}:[/] ", end="")
        console.print(failure.reason, markup=False, highlight=False)


def as_json(results: Results) -> str:
    """Everything that was measured: each sample of each round, not only the medians."""
    return json.dumps(
        {
            "machine": results.machine,
            "peers": results.peers,
            "rounds": results.rounds,
            "seconds": results.seconds,
            "figures": [_figure_json(results, name) for name in results.figures],
            "failures": [dataclasses.asdict(failure) for failure in results.failures],
        },
        indent=2,
    )


def write_report(results: Results, directory: Path) -> Path:
    """Write `<date>.json` and `<date>.md`, and return the latter. A later run on the same day replaces it."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = datetime.date.today().isoformat()
    (directory / f"{stem}.json").write_text(as_json(results) + "\n")
    page = directory / f"{stem}.md"
    page.write_text(_markdown(results, stem))
    return page


def _figure_json(results: Results, name: str) -> dict[str, object]:
    figure = results.figures[name]
    return {
        "name": name,
        "unit": figure.unit,
        "better": figure.better.value,
        "samples": {peer: results.samples.get((name, peer), []) for peer in results.peers},
        "median": {peer: results.median(name, peer) for peer in results.peers},
        "syncs per second": {peer: results.syncs_per_second(name, peer) for peer in results.peers},
    }


def _medians(results: Results, show: Callable[[Results, str, str], str]) -> list[list[str]]:
    """A heading and a row for each figure; `show` turns a figure's name and a peer into a cell."""
    syncs = [CHRONIK.name] if CHRONIK.name in results.peers else []
    return [
        ["", *results.peers, *(f"{peer} fsyncs/s" for peer in syncs)],
        *(
            [
                f"{name}, {results.figures[name].unit}",
                *(show(results, name, peer) for peer in results.peers),
                *(number(results.syncs_per_second(name, peer)) for peer in syncs),
            ]
            for name in results.figures
        ),
    ]


def _ratios(results: Results) -> list[list[str]]:
    """A heading and a row for each figure."""
    pairs = _shown_ratios(results)
    return [
        ["", *(f"{mine} / {other}" for mine, other in pairs)],
        *([name, *(ratio(results.ratio(name, *pair)) for pair in pairs)] for name in results.figures),
    ]


def _shown_ratios(results: Results) -> list[tuple[str, str]]:
    return [pair for pair in _RATIOS if all(peer in results.peers for peer in pair)]


def _median(results: Results, name: str, peer: str) -> str:
    return number(results.median(name, peer))


def _median_with_spread(results: Results, name: str, peer: str) -> str:
    median = results.median(name, peer)
    if median is None:
        return NOTHING
    low, high = results.spread(name, peer)
    return f"{number(median)} ({number(low)} to {number(high)})"


def _markdown(results: Results, date: str) -> str:
    lines = [f"# Side by side, {date}", ""]
    lines += [f"* {name}: {description}" for name, description in results.peers.items()]
    lines += ["", *(f"* {fact}: {value}" for fact, value in results.machine.items())]
    lines += [
        "",
        f"Median of {results.rounds} rounds (lowest to highest), {results.seconds:g} s each part.",
        "",
    ]
    lines += markdown_table(_medians(results, _median_with_spread))
    if _shown_ratios(results):
        lines += ["", "Ratios; above 1, Chronik is better.", "", *markdown_table(_ratios(results))]
    lines += ["", *(f"* failed: {it.peer}, {it.workload}: {it.reason}" for it in results.failures)]
    return "\n".join(lines).rstrip() + "\n"
