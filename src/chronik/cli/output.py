"""Output of commands: tables for people, JSON for scripts, errors with the remedy.

Results go to standard output, everything else to standard error, so that output can be piped. rich is
imported when there is something to draw.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING

from chronik.cli.layout import GAP, fit
from chronik.cli.units import plain_bytes

if TYPE_CHECKING:
    from rich.console import Console, OverflowMethod

_DIM = "2"
_RED = "31"

# Without a terminal there is no width to fit into: a line is a row, for grep and awk.
_PIPE_COLUMNS = 4000


class Align(Enum):
    LEFT = "left"
    RIGHT = "right"


# Minimum of a cell's width next to the others when it is cut or folded.
_CUT_MIN = 12
_FOLDED_MIN = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column's head, and how its cells stand. Cut and folded ones give way in a narrow terminal."""

    title: str
    align: Align = Align.LEFT
    is_cut: bool = False
    is_folded: bool = False

    def least(self, wanted: int) -> int:
        """The narrowest it may be."""
        if self.is_folded:
            return min(wanted, _FOLDED_MIN)
        return min(wanted, max(_CUT_MIN, len(self.title))) if self.is_cut else wanted


def left(title: str, *, is_cut: bool = False, is_folded: bool = False) -> Column:
    return Column(title, Align.LEFT, is_cut, is_folded)


def right(title: str) -> Column:
    return Column(title, Align.RIGHT)


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
    """A table on standard output; `empty` on standard error instead where there are no rows."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(shown(cell)) for cell in row] for row in rows]
    if not cells and empty:
        print_note(empty)
        return
    screen = console()
    wanted = [
        max([len(column.title), *(row[number].cell_len for row in cells)])
        for number, column in enumerate(columns)
    ]
    least = [column.least(width) for column, width in zip(columns, wanted, strict=True)]
    widths = fit(wanted, least, screen.width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for column, width in zip(columns, widths, strict=True):
        overflow: OverflowMethod = "fold" if column.is_folded else "ellipsis"
        table.add_column(
            column.title,
            justify=column.align.value,
            width=width,
            overflow=overflow,
            no_wrap=not column.is_folded,
        )
    for row in cells:
        table.add_row(*row)
    total = sum(widths) + GAP * (len(widths) - 1)
    width = max(total, screen.width)
    with _unpadded(screen):
        screen.print(table, width=width, crop=False, no_wrap=True, overflow="ignore")


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, one pair a line."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(Text(name), Text(shown(value)))
    screen = console()
    with _unpadded(screen):
        screen.print(table)


@contextmanager
def _unpadded(screen: "Console") -> Iterator[None]:
    """In a pipe, without the blanks that fill up the last column."""
    if screen.is_terminal:
        yield
        return
    with screen.capture() as drawn:
        yield
    for line in drawn.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def print_done(text: str) -> None:
    """Prints on standard output that the command succeeded, in one sentence."""
    sys.stdout.write(text + "\n")


def print_note(text: str) -> None:
    """Prints a remark besides the result, on standard error."""
    sys.stderr.write(_styled(text, _DIM) + "\n")


def print_error(message: str, hint: str = "") -> None:
    """Prints the problem, and the remedy."""
    sys.stderr.write(_styled(f"error: {message}", _RED) + "\n")
    if hint:
        sys.stderr.write(hint + "\n")


def print_json(value: object) -> None:
    """Standard output, indented; dataclasses become objects, bytes text or base64."""
    sys.stdout.write(json.dumps(to_plain(value), indent=2, ensure_ascii=False) + "\n")


def json_line(value: object) -> str:
    """Returns one line of JSON, for streams."""
    return json.dumps(to_plain(value), ensure_ascii=False)


def to_plain(value: object) -> object:
    """The value in what JSON has."""
    match value:
        case None | bool() | int() | float() | str():
            return value.name if isinstance(value, Enum) else value
        case Enum():
            return value.value
        case bytes():
            return plain_bytes(value)
        case Mapping():
            return {str(name): to_plain(item) for name, item in value.items()}
        case list() | tuple():
            return [to_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return str(value)


def shown(value: object) -> str:
    """A cell's text: nothing as a dash, and thousands apart where a person looks; a program reads digits."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}".replace(",", " ") if sys.stdout.isatty() else str(value)
        case float():
            return f"{value:.2f}"
        case tuple() | list():
            return ",".join(map(str, value)) or "-"
    return str(value)


def console(*, is_error: bool = False) -> "Console":
    """A console on standard output or error as they are now."""
    from rich.console import Console

    stream = sys.stderr if is_error else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _PIPE_COLUMNS)


def _styled(text: str, style: str) -> str:
    """In colour at a terminal unless switched off (no-color.org). rich would take its time."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{style}m{text}\x1b[0m"
