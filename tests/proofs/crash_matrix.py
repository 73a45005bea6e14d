"""Crash one of three nodes at each point at which its disk changes, and see that the cluster agrees and kept
what it promised.

    python -m tests.proofs.crash_matrix
    python -m tests.proofs.crash_matrix --random 2000 --json

Whole nodes run on simulated disks, network and time (`tests.support.cluster_life`). A cell of the matrix is a
point, before or after the change, process death or power loss, on a leader or a follower of what is
concerned. It is run with some seeds, which choose the occurrence and everything else. `--random` instead
crashes at a change drawn from each seed. Exit code 1 when a cell was not reached, or something was not as it
should be; the seed in front of a problem repeats it: `--seed`.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, TypeVar

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from chronik.sim.process import on_processes
from chronik.sim.process_disk import Death
from chronik.sim.workers import end_with_parent
from tests.support.cluster_life import LifeReport, live
from tests.support.crash_plan import CrashPlan, Part
from tests.support.durability_points import Point

# So many has about every life.
RANDOM_CHANGES_MAX = 4000
# Lives without a crash to choose from.
LIVES = 24

# What only one of the two does: a follower's suffix is cut and its log restarted; a term without a vote is
# another's; a node that starts leads nothing.
ONLY_FOLLOWERS = frozenset(
    {
        Point.TERM,
        Point.TRUNCATE,
        Point.TRUNCATE_FSYNC,
        Point.TRUNCATE_BESIDE,
        Point.TRUNCATE_MARKERS,
        Point.RESTART_MARKERS,
        Point.RESTART_START,
        Point.RESTART_REMOVE,
        Point.RESTART_NAMES,
        Point.START,
        Point.RECOVERY,
        Point.RECOVERY_STATE,
        Point.CLEAN_MARK,
    }
)


NO_CRASH = CrashPlan(death=Death.BEFORE, is_power_lost=False, number=1 << 40)


class Cell(NamedTuple):
    """One place in the matrix."""

    point: Point
    part: Part
    death: Death
    is_power_lost: bool

    def plan(self, number: int) -> CrashPlan:
        return CrashPlan(
            point=self.point,
            part=self.part,
            death=self.death,
            is_power_lost=self.is_power_lost,
            number=number,
        )


class Job(NamedTuple):
    """One life; without a cell its seed says all."""

    seed: int
    cell: Cell | None
    number: int = 1


@dataclass
class Outcome:
    """What the lives of a cell came to."""

    runs: int = 0
    reached: int = 0
    clean: int = 0
    # Lives in which records were lost that write.caching had acknowledged from memory.
    lost_cached: int = 0
    problems: list[str] = field(default_factory=list)


Outcomes = dict[Cell | None, Outcome]


def cells() -> Iterator[Cell]:
    for point in Point:
        if point is Point.OTHER:
            continue
        for part in Part:
            if part is Part.LEADER and point in ONLY_FOLLOWERS:
                continue
            for death in Death:
                for is_power_lost in (False, True):
                    yield Cell(point, part, death, is_power_lost)


def passes(seed: int) -> Mapping[tuple[Point, Part], int]:
    """How often a life without a crash comes by each point."""
    return run_life(seed, NO_CRASH).seen


def choose(cell: Cell, seen: Mapping[int, Mapping[tuple[Point, Part], int]], count: int) -> list[Job]:
    """Lives that come by the point of a cell, and which of the changes there it shall be."""
    chance = Random(f"{cell}")
    there = [seed for seed, passed in seen.items() if passed.get((cell.point, cell.part))]
    chosen = sorted(chance.sample(there, min(count, len(there))))
    return [Job(seed, cell, 1 + chance.randrange(seen[seed][cell.point, cell.part])) for seed in chosen]


def random_plan(seed: int) -> CrashPlan:
    """A crash at any change."""
    chance = Random(seed * 7919)
    return CrashPlan(
        death=chance.choice(list(Death)),
        is_power_lost=chance.random() < 0.6,
        number=1 + chance.randrange(RANDOM_CHANGES_MAX),
    )


def run_life(seed: int, plan: CrashPlan) -> LifeReport:
    """A whole life, in a loop of its own. What the nodes log is not shown."""
    logger = logging.getLogger("chronik")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        return on_processes(live)(seed, plan)
    finally:
        logger.setLevel(level)


def run_job(job: Job) -> LifeReport:
    plan = random_plan(job.seed) if job.cell is None else job.cell.plan(job.number)
    return run_life(job.seed, plan)


Result = TypeVar("Result")
Work = TypeVar("Work")


def spread(
    pool: Executor, work: Callable[[Work], Result], jobs: Sequence[Work], what: str
) -> Iterator[tuple[Work, Result]]:
    """Do the jobs in processes, and show how far they are."""
    with Progress(transient=True, console=_console()) as progress:
        task = progress.add_task(what, total=len(jobs))
        for job, result in zip(jobs, pool.map(work, jobs), strict=True):
            yield job, result
            progress.advance(task)


def run_matrix(pool: Executor, chosen: Sequence[Cell], seeds: Sequence[int], count: int) -> Outcomes:
    seen = dict(spread(pool, passes, seeds, "lives without a crash"))
    jobs = [job for cell in chosen for job in choose(cell, seen, count)]
    return run_jobs(pool, chosen, jobs)


def run_jobs(pool: Executor, chosen: Sequence[Cell | None], jobs: Sequence[Job]) -> Outcomes:
    outcomes: Outcomes = {cell: Outcome() for cell in chosen}
    for job, report in spread(pool, run_job, jobs, "crashes"):
        _add(outcomes[job.cell], report)
    return outcomes


def _add(outcome: Outcome, report: LifeReport) -> None:
    outcome.runs += 1
    outcome.reached += report.crashed_at is not None
    outcome.clean += not report.problems
    outcome.lost_cached += report.lost_cached > 0
    outcome.problems += [f"seed {report.seed}, {report.plan}: {problem}" for problem in report.problems[:3]]


def is_good(cell: Cell | None, outcome: Outcome) -> bool:
    """True if every life of a cell came by its point, and nothing was wrong in it."""
    is_reached = cell is None or outcome.reached == outcome.runs > 0
    return is_reached and outcome.clean == outcome.runs


# Showing.


def _console() -> Console:
    return Console(stderr=True)


def show(outcomes: Outcomes) -> None:
    table = Table(
        title="crashes survived / crashes; lives without one, because their seed had no such change"
    )
    table.add_column("point")
    table.add_column("on a")
    columns = [(death, lost) for lost in (False, True) for death in Death]
    for death, lost in columns:
        table.add_column(f"{'power' if lost else 'death'} {death.value}", justify="right")
    for point in Point:
        for part in Part:
            row = [Cell(point, part, death, lost) for death, lost in columns]
            if any(cell in outcomes for cell in row):
                table.add_row(point.value, part.value, *(_shown(cell, outcomes.get(cell)) for cell in row))
    if None in outcomes:
        table.add_row("any change", "any", _shown(None, outcomes[None]))
    Console(width=130).print(table)


def _shown(cell: Cell | None, outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    text = f"{outcome.reached - (outcome.runs - outcome.clean)}/{outcome.reached}"
    return text if is_good(cell, outcome) else f"[red]{text}[/red]"


def as_json(outcomes: Outcomes) -> str:
    return json.dumps(
        [
            {
                "point": "any" if cell is None else cell.point.value,
                "part": "any" if cell is None else cell.part.value,
                "death": "any" if cell is None else cell.death.value,
                "power_lost": None if cell is None else cell.is_power_lost,
                **vars(outcome),
            }
            for cell, outcome in outcomes.items()
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lives", type=int, default=2, help="for each cell (2)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--random", type=int, metavar="LIVES", help="crash anywhere, in so many lives")
    parser.add_argument("--point", help="only points with this in their name")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.processes, initializer=end_with_parent) as pool:
        if arguments.random is not None:
            seeds = range(arguments.seed, arguments.seed + arguments.random)
            outcomes = run_jobs(pool, [None], [Job(seed, None) for seed in seeds])
        else:
            chosen = [cell for cell in cells() if (arguments.point or "") in cell.point.value]
            seeds = range(arguments.seed, arguments.seed + LIVES)
            outcomes = run_matrix(pool, chosen, seeds, arguments.lives)
    if arguments.json:
        print(as_json(outcomes))
    else:
        show(outcomes)
    bad = {cell: outcome for cell, outcome in outcomes.items() if not is_good(cell, outcome)}
    for cell, outcome in bad.items():
        where = "anywhere" if cell is None else str(cell.plan(1))
        _console().print(f"PROBLEM {where}: {outcome.problems or 'not reached'}", highlight=False)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
