"""Apache Kafka's own tools and Java clients against Chronik, compared with what they say of Apache Kafka 4.4.

    python -m tests.proofs.java [--case topics] [--case mirror] [--nodes 3] [--kafka] [--record]

Needs Java 17 with its compiler and Maven, which fetches Kafka's jars once; without them it says so and ends
with exit code 0. Each case is a list of calls of tools (kafka-topics, kafka-consumer-groups, …), whose output
is compared with what the same tools said of Apache Kafka, kept in `recorded/`; differences that are meant are
listed in `differences.py`. `--kafka` starts Apache Kafka beside it and compares with that one, `--record`
keeps what it says. MirrorMaker 2 then copies from one Chronik to another (`--case mirror`). Exit code 1 when
anything else differs.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from tests.proofs.clients.missing import Missing
from tests.proofs.java import mirror, recorded, targets
from tests.proofs.java.cases import CASES
from tests.proofs.java.compare import Difference, compare
from tests.proofs.java.jars import Jars, default_cache, mirror_jars, prepare
from tests.proofs.java.session import Session, Step
from tests.proofs.java.targets import Target
from tests.proofs.java.tool_shell import ToolShell

MIRROR = "mirror"


def run_cases(
    names: Sequence[str], target: Target, shell: ToolShell, console: Console
) -> dict[str, list[Step]]:
    steps = {}
    for name in names:
        started = time.monotonic()
        session = Session(shell, target)
        CASES[name](session)
        steps[name] = session.steps
        console.print(
            f"  {name}: {len(session.steps)} calls, {time.monotonic() - started:.1f} s", highlight=False
        )
    return steps


def of_kafka(
    names: Sequence[str], nodes: int, arguments: argparse.Namespace, jars: Jars, console: Console
) -> dict[str, list[Step]]:
    """What Kafka says: read from what was recorded, or asked now."""
    if not arguments.kafka:
        return {name: recorded.read(name, nodes) for name in names}
    console.print(f"Apache Kafka, {nodes} node(s)")
    with targets.apache_kafka(nodes, jars) as target, ToolShell(jars) as shell:
        steps = run_cases(names, target, shell, console)
    if arguments.record:
        for name, each in steps.items():
            recorded.write(name, nodes, each)
    return steps


def mirror_problems(nodes: int, jars: Jars, cache: Path, console: Console) -> list[str]:
    own = mirror_jars(cache)
    if isinstance(own, Missing):
        console.print(f"mirror: skipped: {own.reason}")
        return []
    started = time.monotonic()
    with targets.chronik(nodes) as source, targets.chronik(nodes) as target, ToolShell(jars) as shell:
        problems = mirror.run(own, shell, source, target)
    console.print(f"  mirror: {time.monotonic() - started:.1f} s", highlight=False)
    return problems


def main() -> int:
    arguments = _arguments()
    console = Console(stderr=arguments.json)
    jars = prepare(arguments.cache)
    if isinstance(jars, Missing):
        console.print(f"skipped: {jars.reason}")
        return 0
    found: list[Difference] = []
    problems: list[str] = []
    for nodes in arguments.nodes or (1, 3):
        found += _compared(arguments, nodes, jars, console)
        if MIRROR in (arguments.case or [MIRROR]):
            problems += mirror_problems(nodes, jars, arguments.cache, console)
    if arguments.json:
        print(json.dumps({"differences": list(map(asdict, found)), "problems": problems}))
    _show(found, problems, console)
    return 1 if problems or any(difference.reason is None for difference in found) else 0


def _show(found: Sequence[Difference], problems: Sequence[str], console: Console) -> None:
    for difference in found:
        style = "yellow" if difference.reason else "red"
        console.print(f"[{style}]{difference.case}[/]: {difference.command}", highlight=False)
        console.print(difference.text, markup=False, highlight=False)
        if difference.reason:
            console.print(f"  meant: {difference.reason}", markup=False, highlight=False)
    for problem in problems:
        console.print(f"[red]mirror[/]: {problem}", highlight=False)
    meant = sum(difference.reason is not None for difference in found)
    console.print(f"{meant} differences that are meant, {len(found) - meant + len(problems)} that are not")


def _compared(arguments: argparse.Namespace, nodes: int, jars: Jars, console: Console) -> list[Difference]:
    names = [name for name in arguments.case or CASES if name != MIRROR]
    if not names:
        return []
    theirs = of_kafka(names, nodes, arguments, jars, console)
    console.print(f"Chronik, {nodes} node(s)")
    with targets.chronik(nodes) as target, ToolShell(jars) as shell:
        ours = run_cases(names, target, shell, console)
    return [difference for name in names for difference in compare(name, theirs[name], ours[name])]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--case", action="append", choices=[*CASES, MIRROR], help="only these; may be repeated"
    )
    parser.add_argument(
        "--nodes", action="append", type=int, choices=(1, 3), help="only these; may be repeated"
    )
    parser.add_argument(
        "--kafka", action="store_true", help="ask Apache Kafka too, instead of what was recorded"
    )
    parser.add_argument("--record", action="store_true", help="with --kafka: keep what it says")
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="directory for jars (%(default)s)"
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
