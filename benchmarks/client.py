"""A client process for each measurement, whose figures come back as JSON lines."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.processes import PeerError
from chronik.cli.perf.figure import Direction, Figure

# Beside the seconds of each part: the client's start, warm-up, and all records back to a slow consumer.
_EXTRA_S = 60.0
_PARTS_MAX = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRun:
    """What it measured, and why that is not all; None when it is."""

    figures: list[Figure]
    failure: str | None


def run_client(module: str, arguments: Sequence[str], seconds: float) -> ClientRun:
    """Run a module that takes `--seconds` and prints figures, to its end. Raises PeerError when that does not
    come.
    """
    command = [sys.executable, "-m", module, "--seconds", str(seconds), *arguments]
    timeout_s = _PARTS_MAX * seconds + _EXTRA_S
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as late:
        raise PeerError(f"the client did not end within {timeout_s:.0f} s") from late
    return ClientRun(
        figures=[_figure(json.loads(line)) for line in child.stdout.splitlines()],
        failure=_reason(child.stderr) if child.returncode else None,
    )


def _reason(stderr: str) -> str:
    """What the client concluded, and the first of the lines that librdkafka may have repeated before."""
    *before, conclusion = stderr.strip().splitlines() or ["no reason given"]
    return f"{conclusion} ({before[0]})" if before else conclusion


def _figure(line: dict[str, Any]) -> Figure:
    return Figure(**{**line, "better": Direction[line["better"]]})
