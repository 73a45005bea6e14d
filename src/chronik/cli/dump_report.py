"""Output of `chronik log dump` for a file."""

import itertools
import json
import sys
from typing import Final

from chronik.cli.log_dump import Dump, Row
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
# Values without information, and those reported among the problems otherwise.
_NOTHING: Final[tuple[object, ...]] = ("", None, "none", "ok", {})
_CUT: Final = {"value", "headers", "key"}


def print_dump(dump: Dump, limit: int) -> None:
    """Prints a table of the first rows, then the problems."""
    rows = iter(dump.rows)
    shown = [_for_people(row) for row in itertools.islice(rows, limit)]
    print_done(f"{dump.path.name}: {dump.kind}")
    if not shown:
        print_note("empty")
    # A column without any information only takes room.
    head = shown[0] if shown else {}
    names = [name for name in head if any(row[name] not in _NOTHING for row in shown)]
    if names:
        cells = [[_cell(row[name]) for name in names] for row in shown]
        print_table([_column(name) for name in names], cells)
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


def _for_people(row: Row) -> Row:
    """A batch's offsets in one column, so that the table fits where it is read."""
    if "base_offset" not in row:
        return row
    offsets = f"{row['base_offset']}-{row['last_offset']}"
    rest = {name: value for name, value in row.items() if name not in ("base_offset", "last_offset")}
    return {"offsets": offsets, **rest}


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
