"""The model of a partition's protocol (docs/model), checked by TLC; then with each planted error.

    python -m tests.proofs.model --tlc tla2tools.jar
    python -m tests.proofs.model --mutant none --configuration disks
    python -m tests.proofs.model --mutant wiped_votes --trace

Each configuration looks at one part of the protocol, within bounds that docs/model/README.md gives with the
number of its states. Exit code 1 when a property is violated in the protocol as built, or when a planted
error is not found; 2 when there is no TLC.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.proofs.model.catalogue import BY_NAME, CONFIGURATIONS, MUTANTS
from tests.proofs.model.output import Counts
from tests.proofs.model.tlc import MODEL, Run, TlcMissing, locate, run

# Of what is no terminal; the table is not cut there.
_PIPED_WIDTH = 120

Job = tuple[str, str | None]


def jobs(mutant: str, configuration: str | None) -> list[Job]:
    """What to run: the protocol as built unless one error is asked for, and the planted ones."""
    chosen = [configuration] if configuration else list(CONFIGURATIONS)
    as_built: list[Job] = [(name, None) for name in chosen]
    if mutant == "none":
        return as_built
    if mutant == "all":
        # Another configuration is not the one an error matters in.
        planted = [(name, one.name) for one in MUTANTS for name in one.configurations]
        return as_built + [job for job in planted if configuration in (None, job[0])]
    return [(name, mutant) for name in ([configuration] if configuration else BY_NAME[mutant].configurations)]


def is_good(one: Run) -> bool:
    """True if nothing was found in the protocol as built, or what was planted was."""
    found = one.outcome
    if found.errors:
        return False
    return found.is_complete if one.mutant is None else found.violated is not None


def as_json(runs: Sequence[Run]) -> str:
    return json.dumps(
        [
            {
                "configuration": one.configuration,
                "mutant": one.mutant,
                "is_good": is_good(one),
                "seconds": round(one.seconds, 1),
                "cpu_seconds": round(one.cpu_seconds, 1),
                "violated": one.outcome.violated,
                "steps": one.steps,
                "errors": one.outcome.errors,
                "counts": None if one.outcome.counts is None else one.outcome.counts._asdict(),
            }
            for one in runs
        ]
    )


def show(console: Console, runs: Sequence[Run]) -> None:
    table = Table("configuration", "planted error", "found", "steps", box=None)
    for name in ("states", "distinct", "depth", "seconds", "CPU"):
        table.add_column(name, justify="right")
    for one in runs:
        counts = one.outcome.counts or Counts(0, 0, 0)
        table.add_row(
            one.configuration,
            one.mutant or "",
            one.outcome.violated or "",
            str(len(one.steps)) if one.outcome.violated else "",
            f"{counts.generated:,}",
            f"{counts.distinct:,}",
            str(counts.depth or ""),
            f"{one.seconds:.0f}",
            f"{one.cpu_seconds:.0f}",
        )
    console.print(table)


def check(tlc: Path, todo: Sequence[Job], workers: int, console: Console) -> list[Run]:
    runs: list[Run] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        for number, (configuration, mutant) in enumerate(todo, 1):
            title = f"{number} of {len(todo)}: {configuration}{f', {mutant}' if mutant else ''}"
            task = bar.add_task(title, total=None)

            def on_progress(counts: Counts, *, title: str = title, task: TaskID = task) -> None:
                told = (
                    f"{title}: {counts.distinct:,} states, {counts.queued:,} to look at, depth {counts.depth}"
                )
                bar.update(task, description=told)

            runs.append(run(tlc, configuration, mutant, workers=workers, on_progress=on_progress))
            bar.remove_task(task)
    return runs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tlc", metavar="PATH", help="tla2tools.jar or its classes (TLA2TOOLS)")
    parser.add_argument("--mutant", choices=("all", "none", *BY_NAME), default="all")
    known = sorted(path.stem for path in MODEL.glob("*.cfg"))
    parser.add_argument("--configuration", choices=known, help="only this one")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--trace", action="store_true", help="print the states that lead to what was found")
    parser.add_argument("--json", action="store_true")
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    try:
        tlc = locate(arguments.tlc)
    except TlcMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    todo = jobs(arguments.mutant, arguments.configuration)
    runs = check(tlc, todo, arguments.workers, Console(stderr=arguments.json))
    console = Console() if sys.stdout.isatty() else Console(width=_PIPED_WIDTH)
    if arguments.json:
        print(as_json(runs))
    else:
        show(console, runs)
    for one in runs:
        if arguments.trace:
            print(" → ".join(one.steps), *one.outcome.trace, sep="\n", file=sys.stderr)
        if not is_good(one):
            what = one.outcome.errors or one.outcome.violated or "not found"
            print(f"PROBLEM {one.configuration}, {one.mutant or 'as built'}: {what}", file=sys.stderr)
    return 0 if all(map(is_good, runs)) else 1


if __name__ == "__main__":
    sys.exit(main())
