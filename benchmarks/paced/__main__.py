"""How long records wait for their acknowledgement while three nodes are given a steady load: p50 and p99, and
the processor time that the nodes use for it.

Source trees are compared, for example a worktree of an earlier commit, all run by this interpreter: they take
turns, each turn with fresh nodes, empty directories and a fresh client.

    python -m benchmarks.paced --trees before=../earlier now=.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.cluster.usage import cpu_seconds
from benchmarks.tables import Rows, number, ratio, rich_table

_STOP_TIMEOUT_S = 30.0
_START_AND_STOP_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One turn of one tree: milliseconds, and processor seconds of all nodes for each second of the load."""

    tree: str
    p50: float
    p99: float
    cores: float


def main() -> int:
    options = _parser().parse_args()
    console = Console(stderr=options.json)
    samples = measure(options, console)
    if options.json:
        print(json.dumps({"options": _told(options), "samples": [_sample(one) for one in samples]}))
    else:
        console.print(rich_table(f"{options.mb_per_second:g} MB/s, three nodes, acks=all", _rows(samples)))
    return 0


def measure(options: argparse.Namespace, console: Console) -> list[Sample]:
    """All turns. Raises CalledProcessError when a node or a client ended early."""
    trees = dict(text.partition("=")[::2] for text in options.trees)
    turns = [(name, Path(tree)) for _ in range(options.rounds) for name, tree in trees.items()]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    samples = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(turns))
        for name, tree in turns:
            progress.update(task, description=name)
            samples.append(_take_turn(name, tree, options))
            progress.advance(task)
    return samples


def _take_turn(name: str, tree: Path, options: argparse.Namespace) -> Sample:
    with _running(tree, options.data_parent) as (bootstrap, pids):
        before = sum(map(cpu_seconds, pids))
        seconds = options.warm_up + options.seconds
        figures = _run_client(bootstrap, options)
        cores = (sum(map(cpu_seconds, pids)) - before) / seconds
    return Sample(tree=name, p50=figures["50"], p99=figures["99"], cores=cores)


def _run_client(bootstrap: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.paced.client", "--bootstrap-server", bootstrap]
    command += ["--rate", str(options.mb_per_second * 1e6 / options.record_bytes)]
    for name in ("partitions", "record_bytes", "linger_ms", "warm_up", "seconds"):
        command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    timeout_s = options.warm_up + options.seconds + _START_AND_STOP_S
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    if done.returncode:
        raise SystemExit(f"the client failed: {done.stderr.strip()}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@contextmanager
def _running(tree: Path, data_parent: str | None) -> Iterator[tuple[str, Sequence[int]]]:
    """A cluster of the tree's nodes: where it listens, and its processes."""
    here = Path(__file__).resolve().parents[2]
    paths = [str(tree.resolve() / "src"), str(here)]
    command = [sys.executable, "-m", "benchmarks.paced.cluster", *([data_parent] if data_parent else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"no cluster of {tree}: its output is above")
        told = json.loads(line)
        try:
            yield told["bootstrap"], told["pids"]
        finally:
            process.communicate(timeout=_STOP_TIMEOUT_S)


def _rows(samples: Sequence[Sample]) -> Rows:
    """Medians of the rounds; ratios of the first tree to each."""
    names = list(dict.fromkeys(sample.tree for sample in samples))
    rows: list[list[str]] = [["", "p50, ms", "", "p99, ms", "", "cores", ""]]
    first: list[float] = []
    for name in names:
        own = [sample for sample in samples if sample.tree == name]
        figures = [median(getattr(sample, field) for sample in own) for field in ("p50", "p99", "cores")]
        first = first or figures
        cells = [[number(now), ratio(then / now)] for now, then in zip(figures, first, strict=True)]
        rows.append([name, *(cell for pair in cells for cell in pair)])
    return rows


def _sample(sample: Sample) -> dict[str, object]:
    return {"tree": sample.tree, "p50": sample.p50, "p99": sample.p99, "cores": sample.cores}


def _told(options: argparse.Namespace) -> dict[str, object]:
    return {name: value for name, value in vars(options).items() if name != "json"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paced",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trees", nargs="+", default=["now=."], metavar="NAME=DIRECTORY")
    parser.add_argument("--mb-per-second", type=float, default=5.0, help="units of 10^6 bytes")
    parser.add_argument("--record-bytes", type=int, default=1024)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--linger-ms", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--data-parent", help="where nodes keep their data; default: temporary files")
    parser.add_argument("--json", action="store_true", help="all samples as JSON instead of a table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
