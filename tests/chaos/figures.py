"""Figures of a run."""

import platform
import re
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from chronik.history.check import History
from chronik.history.ends import stale_answers
from chronik.history.events import Commit, Committed, Poll
from tests.chaos.availability import Pauses
from tests.chaos.faults import Kind
from tests.chaos.run import Outcome
from tests.chaos.scene import Befallen

_VIOLATIONS_SHOWN = 50
_ERROR_CHARS_MAX = 100
# Between two faults that have nothing to do with each other: an election, and a node's start.
_NEAR_SECONDS = 2.0

Figures = dict[str, Any]


def figures(outcome: Outcome) -> Figures:
    """All that can be counted, for JSON. Seconds; those of faults from the beginning of the load."""
    pauses = Pauses(outcome.history)
    faults = [_fault(each, outcome, pauses) for each in outcome.befallen]
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


def _fault(each: Befallen, outcome: Outcome, pauses: Pauses) -> Figures:
    fault, began = each.fault, outcome.began
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
        shown["is_alone"] = not any(_is_near(each, other) for other in outcome.befallen)
        shown["pause"] = round(pauses.of_a_partition(*span), 2)
        shown["pause_overall"] = round(pauses.of_all(*span), 2)
        shown["pause_of_group"] = round(pauses.of_a_group(*span), 2)
    return shown


def _is_near(each: Befallen, other: Befallen) -> bool:
    """True if another fault may have a part in what one did."""
    is_apart = other.ended + _NEAR_SECONDS < each.began or each.ended + _NEAR_SECONDS < other.began
    return other is not each and other.left_out is None and not is_apart


def _kind(faults: Sequence[Figures]) -> Figures:
    """Pauses are those of faults that were alone; the longest beside others is told apart."""
    done = [fault for fault in faults if fault["left_out"] is None]
    alone = [fault for fault in done if fault["is_alone"]]
    shown: Figures = {"drawn": len(faults), "carried_out": len(done), "alone": len(alone)}
    for name in ("pause", "pause_overall", "pause_of_group"):
        values = [fault[name] for fault in alone]
        shown[name] = {"median": round(median(values), 2), "longest": max(values)} if values else None
    shown["pause_beside_others"] = max((fault["pause"] for fault in done if fault not in alone), default=None)
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
