import io
import json
from dataclasses import dataclass
from enum import Enum

import pytest

from chronik.cli.output import left, print_facts, print_json, print_table, right, shown, to_plain


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    tags: tuple[str, ...]
    colour: Colour


def test_what_json_has_no_word_for() -> None:
    plain = to_plain({"point": Point(1, ("a",), Colour.RED), "raw": b"\xff", 3: None})
    assert plain == {
        "point": {"x": 1, "tags": ["a"], "colour": "red"},
        "raw": {"base64": "/w=="},
        "3": None,
    }


def test_json_is_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([Point(1, (), Colour.RED)])
    assert json.loads(capsys.readouterr().out) == [{"x": 1, "tags": [], "colour": "red"}]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        ((), "-"),
        (True, "yes"),
        (1234567, "1234567"),
        (0.5, "0.50"),
        ((1, 2), "1,2"),
        ("text", "text"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert shown(value) == text


def test_thousands_stand_apart_where_a_person_looks_and_in_no_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    assert shown(1234567) == "1 234 567"
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert shown(1234567) == "1234567"


def test_a_table_in_a_pipe_has_a_line_per_row_whatever_its_width(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 500
    print_table([left("Name", is_cut=True), right("Count")], [(long, 1), ("b", 22)])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[2].split() == [long, "1"]
    assert lines[3].split() == ["b", "22"]


def test_markup_in_values_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([left("Name")], [("[bold]x[/bold] [/]",)])
    print_facts({"Name": "[red]y"})
    shown = capsys.readouterr().out
    assert "[bold]x[/bold] [/]" in shown
    assert "[red]y" in shown


def test_no_rows_are_told_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([left("Name")], [], empty="There are none.")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip() == "There are none."


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [80, 120])
def test_a_table_fits_into_a_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")
    columns = [left("Topic", is_cut=True), right("Offset"), left("Meaning", is_folded=True)]
    print_table(columns, [("t" * 200, 2**60, "word " * 60)])
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert shown(2**60) in terminal.getvalue()
    assert "…" in terminal.getvalue()
