"""Checks that the simulator finds each planted fault, and after how many seeds.

    python -m chronik.sim.hunt [--seeds 1..200] [--jobs 2] [--mutant NAME ...] [--json]

Each mutant runs seeds in order until one breaks a promise. Exit code 1 when one survives them all: that is a
hole in the checks.
"""

import argparse
import json
import multiprocessing
import resource
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.progress import Progress

from chronik.sim.__main__ import seed_range
from chronik.sim.mutants import MUTANTS
from chronik.sim.simulation import simulate
from chronik.sim.workers import end_with_parent

# Of address space; a run takes 100 MB.
_MEMORY_BYTES_MAX = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """The result of one mutant. `seed` is the first that found it, the `seeds`th; None: none did."""

    mutant: str
    what: str
    seeds: int
    seed: int | None = None
    problem: str = ""


def hunt(mutant: str, seeds: Sequence[int]) -> Catch:
    what = MUTANTS[mutant].what
    for count, seed in enumerate(seeds, start=1):
        problem = _first_problem(mutant, seed)
        if problem is not None:
            return Catch(mutant=mutant, what=what, seeds=count, seed=seed, problem=problem)
    return Catch(mutant=mutant, what=what, seeds=len(seeds))


def _first_problem(mutant: str, seed: int) -> str | None:
    try:
        outcome = simulate(seed, mutant=mutant)
    except MemoryError:
        return "takes all memory"
    return outcome.problems[0] if outcome.problems else None


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m chronik.sim.hunt",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=seed_range, metavar="FIRST..LAST", default=range(1, 201))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--mutant", action="append", choices=sorted(MUTANTS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    wanted = arguments.mutant or list(MUTANTS)
    catches = []
    with Progress(console=Console(stderr=True), transient=True, disable=arguments.json) as progress:
        found = _catches(wanted, arguments.seeds, arguments.jobs)
        for catch in progress.track(found, len(wanted), description="mutants"):
            catches.append(catch)
            if not arguments.json:
                print(_line(catch), flush=True)
    if arguments.json:
        print(json.dumps([asdict(catch) for catch in catches]))
    return 1 if any(catch.seed is None for catch in catches) else 0


def _catches(mutants: Sequence[str], seeds: Sequence[int], jobs: int) -> Iterator[Catch]:
    """In the order of completion. Each has a process of its own, of bounded memory: some mutants never
    stop appending.
    """
    with ThreadPoolExecutor(jobs) as threads:
        for future in as_completed([threads.submit(_hunt_apart, mutant, seeds) for mutant in mutants]):
            yield future.result()


def _hunt_apart(mutant: str, seeds: Sequence[int]) -> Catch:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        1, mp_context=context, initializer=end_with_parent, initargs=(_limit_memory,)
    ) as pool:
        return pool.submit(hunt, mutant, seeds).result()


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES_MAX, _MEMORY_BYTES_MAX))


def _line(catch: Catch) -> str:
    """A row of the table in docs/correctness.md."""
    how = "**survives**" if catch.seed is None else f"{catch.seeds}"
    return f"| `{catch.mutant}` | {catch.what} | {how} | {catch.problem[:110]} |"


if __name__ == "__main__":
    sys.exit(main())
