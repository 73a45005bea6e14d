"""What Apache Kafka's tools said of Apache Kafka, kept in `recorded/`, and what differs from it.

A file is a case on so many nodes: `$ ` and the command, then the lines that came.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

from tests.proofs.java.session import Step

_DIRECTORY = Path(__file__).parent / "recorded"
_COMMAND = "$ "


def path(case: str, nodes: int) -> Path:
    return _DIRECTORY / f"{case}-{nodes}.txt"


def write(case: str, nodes: int, steps: Sequence[Step]) -> None:
    path(case, nodes).parent.mkdir(exist_ok=True)
    path(case, nodes).write_text(as_text(steps), encoding="utf-8")


def read(case: str, nodes: int) -> list[Step]:
    """Raises FileNotFoundError where nothing was recorded."""
    steps: list[Step] = []
    command: str | None = None
    lines: list[str] = []
    for line in [*path(case, nodes).read_text(encoding="utf-8").splitlines(), _COMMAND]:
        if line.startswith(_COMMAND):
            if command is not None:
                steps.append(Step(command=command, lines=lines))
            command, lines = line[len(_COMMAND) :], []
        else:
            lines.append(line)
    return steps


def as_text(steps: Sequence[Step]) -> str:
    return "".join(
        f"{_COMMAND}{step.command}\n" + "".join(f"{line}\n" for line in step.lines) for step in steps
    )


def difference(kafka: Step | None, chronik: Step | None) -> str:
    """Kafka's lines with `-` and Chronik's with `+`, where they differ; empty when they are equal."""
    theirs = [] if kafka is None else list(kafka.lines)
    ours = [] if chronik is None else list(chronik.lines)
    changed = difflib.unified_diff(theirs, ours, lineterm="", n=0)
    return "\n".join(line for line in changed if not line.startswith(("---", "+++", "@@")))
