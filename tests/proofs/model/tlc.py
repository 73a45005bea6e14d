"""Running TLC on the model in docs/model, with or without a planted error."""

import os
import re
import resource
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.proofs.model.output import Counts, Message, Outcome, messages, outcome, progress

MODEL = Path(__file__).parents[3] / "docs" / "model"
ROOT_MODULE = "Safety.tla"
PROTOCOL = "Partition.tla"

MISSING = """\
TLC is not here. It is part of the TLA+ tools, the project tlaplus on GitHub: take tla2tools.jar from one of
its releases, or build it from its sources, and name it with --tlc or in the environment variable TLA2TOOLS
(the jar, or a directory with its classes). Java 11 or later runs it."""

# The states of a run that fits the bounds of docs/model take less.
_HEAP = "-Xmx3g"
_PROGRESS_SECONDS = 5
# What stands in each configuration, and is put in its place.
_NO_MUTANT = re.compile(r'Mutant = "none"')

# Nothing found; something violated (tlc2/output/EC.java, ExitStatus).
_ENDS = frozenset({0, 10, 11, 12, 13, 14})
_LINES_MAX = 20


class TlcMissing(Exception):
    """There is no TLC, or no Java to run it; says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    configuration: str
    # None: the protocol as built.
    mutant: str | None
    seconds: float
    # Of TLC, all its threads: says more than the former beside other work.
    cpu_seconds: float
    outcome: Outcome

    @property
    def steps(self) -> tuple[str, ...]:
        """What leads to what was found."""
        return self.outcome.steps((MODEL / PROTOCOL).read_text(encoding="utf-8").splitlines())


def locate(path: str | None) -> Path:
    """Where TLC is: as said, or by TLA2TOOLS. Raises TlcMissing."""
    named = path or os.environ.get("TLA2TOOLS")
    if not named or not Path(named).exists():
        raise TlcMissing(f"{named} does not exist.\n{MISSING}" if named else MISSING)
    if shutil.which("java") is None:
        raise TlcMissing(f"There is no java on the PATH.\n{MISSING}")
    return Path(named).resolve()


def run(
    tlc: Path,
    configuration: str,
    mutant: str | None,
    *,
    workers: int,
    on_progress: Callable[[Counts], None] = lambda _: None,
) -> Run:
    """Check one configuration of docs/model, in a directory of its own."""
    with TemporaryDirectory(prefix="chronik-model-") as name:
        directory = Path(name)
        prepare(directory, configuration, mutant)
        started, cpu_before = time.monotonic(), _cpu_of_children()
        found: list[Message] = []
        for message in _messages(_command(tlc, configuration, workers), directory):
            found.append(message)
            counts = progress(message)
            if counts is not None:
                on_progress(counts)
        seconds = time.monotonic() - started
    return Run(
        configuration=configuration,
        mutant=mutant,
        seconds=seconds,
        cpu_seconds=_cpu_of_children() - cpu_before,
        outcome=outcome(found),
    )


def prepare(directory: Path, configuration: str, mutant: str | None) -> None:
    """The modules, and the configuration with the error planted. Raises ValueError when it has no place."""
    for module in MODEL.glob("*.tla"):
        shutil.copy(module, directory)
    text = (MODEL / f"{configuration}.cfg").read_text(encoding="utf-8")
    planted, places = _NO_MUTANT.subn(f'Mutant = "{mutant or "none"}"', text)
    if places != 1:
        raise ValueError(f"{configuration}.cfg has {places} places for a planted error")
    (directory / f"{configuration}.cfg").write_text(planted, encoding="utf-8")


def _cpu_of_children() -> float:
    """Seconds of processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _command(tlc: Path, configuration: str, workers: int) -> list[str]:
    return [
        "java",
        "-XX:+UseParallelGC",
        _HEAP,
        f"-Dtlc2.TLC.progressInterval={_PROGRESS_SECONDS}",
        "-cp",
        str(tlc),
        "tlc2.TLC",
        "-tool",
        "-workers",
        str(workers),
        "-metadir",
        "states",
        "-config",
        f"{configuration}.cfg",
        ROOT_MODULE,
    ]


def _messages(command: list[str], directory: Path) -> Iterator[Message]:
    """A run that ends otherwise than TLC does is told of in one more, with the last it said."""
    last: deque[str] = deque(maxlen=_LINES_MAX)

    def noted(lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            last.append(line)
            yield line

    with subprocess.Popen(
        command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield from messages(noted(process.stdout))
            code = process.wait()
        finally:
            process.kill()
    if code not in _ENDS:
        yield Message(0, 1, f"TLC ended with {code}: {''.join(last)}")
