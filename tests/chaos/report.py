"""The report of a run: a page in Markdown, a picture, and all figures."""

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chronik.history import check
from chronik.history.events import Poll
from tests.chaos.availability import per_second
from tests.chaos.picture import Bar, Picture
from tests.chaos.run import Outcome

PICTURE = "chaos.svg"
PAGE = "chaos.md"
JSON = "chaos.json"


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


# Of a fault's kind: which of its pauses, and what of it.
_PAUSES = (
    ("pause", "median"),
    ("pause", "longest"),
    ("pause_overall", "longest"),
    ("pause_of_group", "median"),
    ("pause_of_group", "longest"),
)


def _kinds_table(kinds: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Faults, and for how long nothing went on"
    yield ""
    yield "Seconds, of the partition, or group, where it was longest: of those faults that befell the cluster"
    yield "alone, and in the last column of those that overlapped with others or followed close on them."
    yield ""
    yield (
        "| fault | carried out | alone | acknowledgements of a partition: median | longest "
        "| of all partitions as one: longest | records for a group: median | longest "
        "| acknowledgements of a partition, beside other faults: longest |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, kind in kinds.items():
        cells = [name, f"{kind['carried_out']} of {kind['drawn']}", str(kind["alone"])]
        cells += [_seconds(None if kind[pause] is None else kind[pause][part]) for pause, part in _PAUSES]
        yield f"| {' | '.join([*cells, _seconds(kind['pause_beside_others'])])} |"
    for name, kind in kinds.items():
        for why, count in kind["left_out"].items():
            yield ""
            yield f"Left out: {name}, {count} times, because {why}."


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


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
