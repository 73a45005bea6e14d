"""Rows of text as a table for the terminal and for Markdown. The first row is the heading."""

from collections.abc import Sequence

from rich.table import Table

NOTHING = "–"

Rows = Sequence[Sequence[str]]


def rich_table(title: str, rows: Rows) -> Table:
    """Ratios (`ratio`) are green where they are at least 1, otherwise red."""
    table = Table(title=title, title_justify="left")
    for index, heading in enumerate(rows[0]):
        table.add_column(heading, justify="left" if index == 0 else "right")
    for row in rows[1:]:
        table.add_row(*(_coloured(cell) for cell in row))
    return table


def markdown_table(rows: Rows) -> list[str]:
    """Its lines."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "| --- |" + " ---: |" * (len(rows[0]) - 1), *lines[1:]]


def number(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}x"


def _coloured(cell: str) -> str:
    if not cell.endswith("x"):
        return cell
    return f"[{'green' if float(cell[:-1]) >= 1 else 'red'}]{cell}[/]"
