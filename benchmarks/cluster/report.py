"""A run of one node beside three, for people (table, Markdown) and for programs (JSON)."""

import dataclasses
import datetime
import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks.cluster.setups import PAIRS
from benchmarks.results import Results
from benchmarks.tables import NOTHING, markdown_table, number, ratio, rich_table


def print_report(results: Results, console: Console) -> None:
    """The medians with their ratios, the machine, and what failed."""
    title = f"Median of {results.rounds} rounds; ratios above 1: three nodes are better"
    console.print(rich_table(title, _rows(results, _median)))
    for fact, value in results.machine.items():
        console.print(f"{fact}: {value}", style="dim", highlight=False)
    for failure in results.failures:
        console.print(f"[red]{failure.peer}, {failure.workload}:[/] ", end="")
        console.print(failure.reason, markup=False, highlight=False)


def as_json(results: Results) -> str:
    """Each sample of each round."""
    figures = [
        {
            "name": name,
            "unit": figure.unit,
            "better": figure.better.value,
            "samples": {setup: results.samples.get((name, setup), []) for setup in results.peers},
            "median": {setup: results.median(name, setup) for setup in results.peers},
        }
        for name, figure in results.figures.items()
    ]
    return json.dumps(
        {
            "machine": results.machine,
            "setups": results.peers,
            "rounds": results.rounds,
            "seconds": results.seconds,
            "figures": figures,
            "failures": [dataclasses.asdict(failure) for failure in results.failures],
        },
        indent=2,
    )


def write_report(results: Results, directory: Path) -> None:
    """Write `<date>-cluster.json` and `.md`. A later run on the same day replaces them."""
    directory.mkdir(parents=True, exist_ok=True)
    date = datetime.date.today().isoformat()
    (directory / f"{date}-cluster.json").write_text(as_json(results) + "\n")
    lines = [f"# Three nodes beside one, {date}", ""]
    lines += [f"* {name}: {about}" for name, about in results.peers.items()]
    lines += ["", *(f"* {fact}: {value}" for fact, value in results.machine.items()), ""]
    lines += [
        f"Median of {results.rounds} rounds (lowest to highest), {results.seconds:g} s each part. "
        "Ratios: above 1, three nodes are better.",
        "",
    ]
    lines += markdown_table(_rows(results, _median_with_spread))
    lines += ["", *(f"* failed: {it.peer}, {it.workload}: {it.reason}" for it in results.failures)]
    (directory / f"{date}-cluster.md").write_text("\n".join(lines).rstrip() + "\n")


def _rows(results: Results, show: Callable[[Results, str, str], str]) -> list[list[str]]:
    """A heading and a row for each figure: each pair of setups, and its ratio."""
    pairs = [pair for pair in PAIRS if all(setup in results.peers for setup in pair)]
    paired = [setup for pair in pairs for setup in pair]
    alone = [setup for setup in results.peers if setup not in paired]
    heading = ["", *(cell for three, one in pairs for cell in (one, three, f"{three} / {one}")), *alone]
    rows = [heading]
    for name, figure in results.figures.items():
        cells = [
            cell
            for three, one in pairs
            for cell in (
                show(results, name, one),
                show(results, name, three),
                ratio(results.ratio(name, three, one)),
            )
        ]
        rows.append([f"{name}, {figure.unit}", *cells, *(show(results, name, setup) for setup in alone)])
    return rows


def _median(results: Results, name: str, setup: str) -> str:
    return number(results.median(name, setup))


def _median_with_spread(results: Results, name: str, setup: str) -> str:
    median = results.median(name, setup)
    if median is None:
        return NOTHING
    low, high = results.spread(name, setup)
    return f"{number(median)} ({number(low)} to {number(high)})"
