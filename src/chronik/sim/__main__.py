"""Runs seeds, and prints their results.

    python -m chronik.sim --seed 7                  one, with its timeline when it fails
    python -m chronik.sim --seeds 1..5000 --jobs 2  many
    python -m chronik.sim --seeds 1..50 --mutant acknowledge-before-fsync   of a cluster with a planted fault

A seed decides everything, also how many nodes there are (three, or five in every fourth); two runs of one
seed and commit print the same hash. Exit code 1 when a promise was broken.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields
from functools import partial

from rich.console import Console
from rich.progress import Progress

from chronik.sim.mutants import MUTANTS
from chronik.sim.simulation import Outcome, simulate
from chronik.sim.workers import end_with_parent

_SHOWN_PROBLEMS = 5
# Before the first problem.
_SHOWN_EVENTS = 60


def main() -> int:
    arguments = _parse()
    run = partial(simulate, nodes=arguments.nodes, mutant=arguments.mutant)
    seeds = [arguments.seed] if arguments.seed is not None else arguments.seeds
    console = Console(stderr=True)
    outcomes = []
    with Progress(console=console, transient=True, disable=arguments.json) as progress:
        for outcome in progress.track(_outcomes(run, seeds, arguments.jobs), len(seeds), description="seeds"):
            outcomes.append(outcome)
            if outcome.problems and not arguments.json:
                _show_failure(outcome, arguments)
    outcomes.sort(key=lambda outcome: outcome.seed)
    if arguments.json:
        print(json.dumps([_summary(outcome) for outcome in outcomes]))
    elif arguments.seed is not None:
        _show_one(outcomes[0], with_timeline=arguments.timeline)
    else:
        _show_many(outcomes)
    return 1 if any(outcome.problems for outcome in outcomes) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m chronik.sim",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int)
    which.add_argument("--seeds", type=seed_range, metavar="FIRST..LAST")
    parser.add_argument("--nodes", type=int, choices=(3, 5), help="instead of what the seed says")
    parser.add_argument("--jobs", type=int, default=1, help="processes that run seeds side by side")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="plant this fault")
    parser.add_argument("--timeline", action="store_true", help="also of a run that kept its promises")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def seed_range(text: str) -> range:
    """`1..5` has five."""
    first, _, last = text.partition("..")
    return range(int(first), int(last) + 1)


def _outcomes(run: "partial[Outcome]", seeds: Iterable[int], jobs: int) -> Iterator[Outcome]:
    """In the order of completion."""
    if jobs == 1:
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(jobs, max_tasks_per_child=200, initializer=end_with_parent) as pool:
        for future in as_completed([pool.submit(run, seed) for seed in seeds]):
            yield future.result()


def _command(outcome: Outcome, arguments: argparse.Namespace) -> str:
    mutant = f" --mutant {arguments.mutant}" if arguments.mutant else ""
    return f"python -m chronik.sim --seed {outcome.seed} --nodes {outcome.nodes}{mutant}"


def _show_failure(outcome: Outcome, arguments: argparse.Namespace) -> None:
    print(f"seed {outcome.seed}, {outcome.nodes} nodes, hash {outcome.digest}:")
    for problem in outcome.problems[:_SHOWN_PROBLEMS]:
        print(f"  {problem}")
    print(f"  again: {_command(outcome, arguments)}")
    if arguments.seed is not None:
        first = next((i for i, event in enumerate(outcome.timeline) if event.who == "PROBLEM"), None)
        end = len(outcome.timeline) if first is None else first + 1
        _show_timeline(outcome, 0 if arguments.timeline else max(0, end - _SHOWN_EVENTS), end)


def _show_timeline(outcome: Outcome, start: int, end: int) -> None:
    print("timeline, in seconds of virtual time:")
    for event in outcome.timeline[start:end]:
        print(f"  {event.at:9.3f}  {event.who:10} {event.what}")


def _show_one(outcome: Outcome, *, with_timeline: bool) -> None:
    if with_timeline and not outcome.problems:
        _show_timeline(outcome, 0, len(outcome.timeline))
    print(
        f"seed {outcome.seed}: {outcome.nodes} nodes, {outcome.seconds:.1f} s of virtual time, "
        f"{outcome.faults.total()} faults, {outcome.acknowledged} of {outcome.sent} records acknowledged, "
        f"{outcome.consumed} read, {outcome.replicas_changed} times other replicas; "
        f"{len(outcome.problems)} problems"
    )
    print(f"hash {outcome.digest}")


def _show_many(outcomes: list[Outcome]) -> None:
    faults: Counter[str] = sum((outcome.faults for outcome in outcomes), Counter())
    failed = [outcome.seed for outcome in outcomes if outcome.problems]
    hours = sum(outcome.seconds for outcome in outcomes) / 3600
    print(
        f"{len(outcomes)} seeds, {hours:.1f} h of virtual time, "
        f"{sum(outcome.acknowledged for outcome in outcomes):,} records acknowledged, "
        f"{sum(outcome.consumed for outcome in outcomes):,} read, "
        f"{sum(outcome.replicas_changed for outcome in outcomes):,} times other replicas"
    )
    print(
        f"{faults.total():,} faults: "
        + ", ".join(f"{count:,} {kind}" for kind, count in faults.most_common())
    )
    print(f"failed: {', '.join(map(str, failed))}" if failed else "every promise was kept")


def _summary(outcome: Outcome) -> dict[str, object]:
    """Without the timeline, unless it is needed."""
    facts = {each.name: getattr(outcome, each.name) for each in fields(outcome)}
    if not outcome.problems:
        del facts["timeline"]
    return facts


if __name__ == "__main__":
    sys.exit(main())
