"""What a run came to: figures, a page and a picture."""

import inspect
import json
import platform
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.chaos import check
from tests.chaos.availability import Pauses, per_second
from tests.chaos.check import History, stale_answers
from tests.chaos.faults import Kind
from tests.chaos.histories import Commit, Committed, Poll
from tests.chaos.picture import Bar, Picture
from tests.chaos.run import Outcome
from tests.chaos.scene import Befallen

PICTURE = "chaos.svg"
PAGE = "chaos.md"
JSON = "chaos.json"
_VIOLATIONS_SHOWN = 50
_ERROR_CHARS_MAX = 100

Figures = dict[str, Any]


def figures(outcome: Outcome) -> Figures:
    """All that can be counted, for JSON. Seconds; those of faults from the beginning of the load."""
    pauses = Pauses(outcome.history)
    faults = [_fault(each, outcome.began, pauses) for each in outcome.befallen]
    return {
        "seed": outcome.seed,
        "minutes": outcome.minutes,
        "seconds": round(outcome.ended - outcome.began, 1),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "disk": outcome.disk,
        "ended_on_full_disk": outcome.ended_on_full_disk,
        "faults": faults,
        "kinds": {
            kind.value: _kind([each for each in faults if each["kind"] == kind.value]) for kind in Kind
        },
        "healing": {step: round(seconds, 2) for step, seconds in outcome.healing.items()},
        "producers": _producers(outcome.history),
        "failures": _failures(outcome.history),
        "groups": _groups(outcome.history),
        "looks": _looks(outcome.history),
        "records": sum(map(len, outcome.logs.values())),
        "violations": dict(Counter(violation.kind for violation in outcome.violations)),
        "violation_texts": [str(violation) for violation in outcome.violations[:_VIOLATIONS_SHOWN]],
    }


def _fault(each: Befallen, began: float, pauses: Pauses) -> Figures:
    fault = each.fault
    shown: Figures = {
        "kind": fault.kind.value,
        "nodes": list(fault.nodes),
        "start": round(each.began - began, 2),
        "seconds": round(each.ended - each.began, 2),
        "amount": fault.amount,
        "left_out": each.left_out,
    }
    if each.left_out is None:
        span = each.began, each.ended
        shown["pause"] = round(pauses.of_a_partition(*span), 2)
        shown["pause_overall"] = round(pauses.of_all(*span), 2)
        shown["pause_of_group"] = round(pauses.of_a_group(*span), 2)
    return shown


def _kind(faults: Sequence[Figures]) -> Figures:
    done = [fault for fault in faults if fault["left_out"] is None]
    shown: Figures = {"drawn": len(faults), "carried_out": len(done)}
    for name in ("pause", "pause_overall", "pause_of_group"):
        values = [fault[name] for fault in done]
        shown[name] = {"median": round(median(values), 2), "longest": max(values)} if values else None
    shown["left_out"] = dict(Counter(fault["left_out"] for fault in faults if fault["left_out"] is not None))
    return shown


def _producers(history: History) -> Figures:
    shown: dict[str, Counter[str]] = {}
    for place, sends in history.sends.items():
        counts = shown.setdefault(place.rpartition("-")[0], Counter())
        counts["sent"] += len(sends)
        counts["acknowledged"] += sum(send.offset is not None for send in sends)
        counts["failed"] += sum(send.error is not None for send in sends)
    return {topic: dict(counts) for topic, counts in sorted(shown.items())}


def _failures(history: History) -> dict[str, int]:
    """Why sends failed, without the numbers in it."""
    errors = (send.error for sends in history.sends.values() for send in sends if send.error is not None)
    return dict(Counter(re.sub(r"\d+", "…", error)[:_ERROR_CHARS_MAX] for error in errors))


def _looks(history: History) -> Figures:
    ages = [seconds for _, seconds in stale_answers(history.looks, history.sends)]
    return {
        "ends": sum(len(look.ends) for look in history.looks),
        "stale": len(ages),
        "stale_seconds_longest": round(max(ages, default=0.0), 2),
    }


def _groups(history: History) -> Figures:
    return {group: _group(events) for group, events in sorted(history.groups.items())}


def _group(events: Sequence[Poll | Commit | Committed]) -> Figures:
    given = [
        (place, offset)
        for event in events
        if isinstance(event, Poll)
        for place, records in event.records.items()
        for offset, _ in records
    ]
    commits = [event for event in events if isinstance(event, Commit)]
    return {
        "given": len(given),
        "given_again": len(given) - len(set(given)),
        "commits": len(commits),
        "commits_failed": sum(commit.error is not None for commit in commits),
        "committed_asked": sum(isinstance(event, Committed) for event in events),
    }


# The page and the picture.


def write_report(directory: Path, outcome: Outcome, found: Mapping[str, Any]) -> None:
    """`chaos.json`, `chaos.md` and the picture. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / JSON).write_text(_json(found), encoding="utf-8")
    (directory / PAGE).write_text("\n".join(page(found)) + "\n", encoding="utf-8")
    (directory / PICTURE).write_text(picture(outcome).svg(), encoding="utf-8")


def _json(found: Mapping[str, Any]) -> str:
    """A line for each fault, and for each of the rest."""
    rest = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in found.items() if name != "faults"]
    faults = ",\n  ".join(json.dumps(fault) for fault in found["faults"])
    return "{\n " + ",\n ".join([*rest, f'"faults": [\n  {faults}\n ]']) + "\n}\n"


_ABOUT = """
Three nodes, each a process with a directory of its own, which sync before they acknowledge. Of each of
confluent-kafka, kafka-python and aiokafka a process with an idempotent producer (acks=all, 100 records a
second) and one with a group's member, which reads all that all of them send and commits it; one more asks for
the ends of all partitions. Every client writes down what it did and saw, and when.

The processes are killed, stopped and told to end by signals. Forwarders between the nodes cut and delay what
one node sends to another; clients still reach a node that is cut off. A clock jumps because the node's
process reads an offset with it. All faults are drawn from the seed before the run begins, some of them
overlap; the clients' timing is their own, so that a seed repeats the plan and not the run.
"""

# A clock that is more than an hour late; the other errors speak for themselves.
_FAILURES = """
An invalid timestamp is what a node answers, as Kafka's do, to a record from more than an hour in its future
(`message.timestamp.after.max.ms`), and its clock may be late by more.
"""


def page(found: Mapping[str, Any]) -> Iterator[str]:
    """In Markdown."""
    carried_out = sum(kind["carried_out"] for kind in found["kinds"].values())
    violations = sum(found["violations"].values())
    minutes = found["seconds"] / 60
    yield "# Chaos on real processes"
    yield ""
    yield (
        f"{minutes:.1f} minutes, {carried_out} faults, {found['records']:,} records: "
        f"**{violations} violations**. This page is the report of"
    )
    yield ""
    yield f"    python -m tests.chaos --minutes {found['minutes']:g} --seed {found['seed']} --report docs"
    yield ""
    yield f"on {found['machine']}, all clients on the same machine. All figures are in [{JSON}]({JSON})."
    yield ""
    yield f"![Records acknowledged and read over time, with the faults below]({PICTURE})"
    yield _ABOUT
    yield f"How the disk gets full: {found['disk'] or 'not at all here, which the table says'}."
    yield from _kinds_table(found["kinds"])
    yield from _clients_table(found)
    yield ""
    yield "## After the faults"
    yield ""
    for step, seconds in found["healing"].items():
        yield f"* {step}: after {seconds:.1f} s"
    if found["ended_on_full_disk"]:
        yield f"* a node ended by itself because its disk was full: {found['ended_on_full_disk']} times"
    yield ""
    yield "## What is checked"
    yield ""
    yield inspect.cleandoc(check.__doc__ or "").partition("\n\n")[2]
    yield (
        "* The logs of all nodes are the same byte for byte when they have stopped, none has ended by "
        "itself, and their own logs tell of no bug."
    )
    yield ""
    yield "## Violations"
    yield ""
    yield from (f"* {text}" for text in found["violation_texts"] or ["none"])


def _kinds_table(kinds: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Faults, and the longest time without anything while they lasted"
    yield ""
    yield (
        "Seconds. Of the partition, or group, where it was longest; where faults overlap, a pause counts for "
        "each. With all partitions as one there is always something to wait for but the fault itself."
    )
    yield ""
    yield (
        "| fault | carried out | acknowledgements of a partition: median | longest "
        "| of all partitions as one: longest | records for a group: median | longest |"
    )
    yield "|---|---|---|---|---|---|---|"
    for name, kind in kinds.items():
        cells = [name, f"{kind['carried_out']} of {kind['drawn']}"]
        for pause, part in (
            ("pause", "median"),
            ("pause", "longest"),
            ("pause_overall", "longest"),
            ("pause_of_group", "median"),
            ("pause_of_group", "longest"),
        ):
            cells.append("" if kind[pause] is None else f"{kind[pause][part]:.1f}")
        yield f"| {' | '.join(cells)} |"
    for name, kind in kinds.items():
        for why, count in kind["left_out"].items():
            yield ""
            yield f"Left out: {name}, {count} times, because {why}."


def _clients_table(found: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Clients"
    yield ""
    yield "| producer | sent | acknowledged | failed |"
    yield "|---|---|---|---|"
    for topic, counts in found["producers"].items():
        yield f"| {topic} | {counts['sent']:,} | {counts['acknowledged']:,} | {counts['failed']:,} |"
    yield ""
    yield from (f"* failed, {count} times: {error}" for error, count in found["failures"].items())
    if found["failures"]:
        yield _FAILURES
    yield "| group | records given | of them again | commits | failed | committed offsets asked for |"
    yield "|---|---|---|---|---|---|"
    for group, counts in found["groups"].items():
        cells = [f"{counts[name]:,}" for name in counts]
        yield f"| {group} | {' | '.join(cells)} |"
    yield ""
    looks = found["looks"]
    yield (
        f"The onlooker was told {looks['ends']:,} ends, {looks['stale']:,} of them by a leader that was "
        f"replaced and did not know it yet, the oldest {looks['stale_seconds_longest']:.1f} s old."
    )


def picture(outcome: Outcome) -> Picture:
    history, span = outcome.history, (outcome.began, outcome.ended)
    acknowledged = [
        send.done_at for sends in history.sends.values() for send in sends if send.offset is not None
    ]
    given = [
        event.ended
        for events in history.groups.values()
        for event in events
        if isinstance(event, Poll)
        for records in event.records.values()
        for _ in records
    ]
    groups = max(1, len(history.groups))
    return Picture(
        title=f"{sum(map(len, outcome.logs.values())):,} records through chaos, seed {outcome.seed}",
        acknowledged=per_second(acknowledged, *span),
        read=[count / groups for count in per_second(given, *span)],
        bars=[
            Bar(
                kind=each.fault.kind,
                start=each.began - outcome.began,
                end=each.ended - outcome.began,
                text=f"{each.fault.kind.value}, nodes {each.fault.nodes}, {each.fault.seconds:.1f} s",
            )
            for each in outcome.befallen
            if each.left_out is None
        ],
    )
