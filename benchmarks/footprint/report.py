"""A footprint run for people (table, Markdown) and for programs (JSON)."""

import datetime
import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.footprint.readings import LIMITS, Readings
from chronik.cli.perf.figure import Figure


def print_report(readings: Readings, facts: dict[str, str], console: Console) -> None:
    """The figures with their limits, the machine, and what failed."""
    heading, *rows = _rows(readings, note="\n[dim]{}[/]")
    table = Table()
    for index, title in enumerate(heading):
        table.add_column(title, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for fact, value in facts.items():
        console.print(f"{fact}: {value}", style="dim", highlight=False)
    for peer, what, reason in readings.failures:
        console.print(f"{peer}, {what}: {reason}", style="red", markup=False, highlight=False)


def as_json(readings: Readings, facts: dict[str, str]) -> str:
    """All figures with their notes."""
    figures = {
        name: {peer: asdict(figure) | {"better": figure.better.value} for peer, figure in by_peer.items()}
        for name, by_peer in readings.figures.items()
    }
    failures = [{"peer": peer, "measure": what, "reason": reason} for peer, what, reason in readings.failures]
    everything = {"machine": facts, "limits": LIMITS, "figures": figures, "failures": failures}
    return json.dumps(everything, indent=2)


def write_report(readings: Readings, facts: dict[str, str], directory: Path) -> None:
    """Write `<date>-footprint.json` and `.md`; a later run on the same day replaces them."""
    directory.mkdir(parents=True, exist_ok=True)
    date = datetime.date.today().isoformat()
    (directory / f"{date}-footprint.json").write_text(as_json(readings, facts) + "\n")
    heading, *rows = ("| " + " | ".join(row) + " |" for row in _rows(readings, note=" ({})"))
    columns = heading.count("|") - 1
    lines = [f"# Footprint, {date}", "", *(f"* {fact}: {value}" for fact, value in facts.items()), ""]
    lines += [heading, "| --- |" + " ---: |" * (columns - 1), *rows, ""]
    lines += [f"* failed: {peer}, {what}: {reason}" for peer, what, reason in readings.failures]
    (directory / f"{date}-footprint.md").write_text("\n".join(lines).rstrip() + "\n")


def _rows(readings: Readings, note: str) -> list[list[str]]:
    """A heading and a row for each figure; a figure's note goes into the braces of `note`."""
    peers = list(dict.fromkeys(peer for by_peer in readings.figures.values() for peer in by_peer))
    rows = [["", "limit", *peers]]
    for name, by_peer in readings.figures.items():
        unit = next(iter(by_peer.values())).unit
        limit = f"{LIMITS[name]:,.0f}" if name in LIMITS else ""
        rows.append([f"{name}, {unit}", limit, *(_cell(by_peer.get(peer), note) for peer in peers)])
    return rows


def _cell(figure: Figure | None, note: str) -> str:
    if figure is None:
        return "–"
    return f"{figure.value:,.0f}" + (note.format(figure.note) if figure.note else "")
