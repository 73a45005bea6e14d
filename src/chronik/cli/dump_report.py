"""How `chronik log dump` shows a file."""

import itertools
import json
import sys
from typing import Final

from chronik.cli.log_dump import Dump
from chronik.cli.output import (
    Column,
    json_line,
    left,
    print_done,
    print_error,
    print_note,
    print_table,
    right,
)

_NUMBERS: Final = {
    "position",
    "offset",
    "bytes",
    "records",
    "epoch",
    "base_offset",
    "last_offset",
    "start_offset",
}
_CUT: Final = {"value", "headers", "key"}


def print_dump(dump: Dump, limit: int) -> None:
    """A table of the first rows, then what is wrong."""
    rows = iter(dump.rows)
    shown = list(itertools.islice(rows, limit))
    print_done(f"{dump.path.name}: {dump.kind}")
    if shown:
        columns = [_column(name) for name in shown[0]]
        print_table(columns, [[_cell(value) for value in row.values()] for row in shown])
    else:
        print_note("empty")
    rest = sum(1 for _ in rows)
    if rest:
        print_note(f"{rest} more; --limit shows more of them, --json all")
    _print_problems(dump)
    print_done("")


def print_lines(dump: Dump) -> None:
    """Each row, then each problem, as a line of JSON."""
    file = dump.path.name
    for row in dump.rows:
        sys.stdout.write(json_line({"file": file, "kind": dump.kind, **row}) + "\n")
    for problem in dump.problems:
        sys.stdout.write(json_line({"file": file, "problem": problem}) + "\n")


def _print_problems(dump: Dump) -> None:
    for problem in dump.problems:
        print_error(f"{dump.path.name}: {problem}")


def _column(name: str) -> Column:
    title = name.replace("_", " ").capitalize()
    return right(title) if name in _NUMBERS else left(title, is_cut=name in _CUT)


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else None
    # Offsets and positions are looked for as they are: no spaces between thousands.
    return str(value) if isinstance(value, int) else value
