"""Checks that the observations of clients agree with the promises. It knows nothing of the cluster: histories
and the final logs go in, violations come out.

* A record that was acknowledged is in the log, at the offset it was acknowledged with.
* Every record is there at most once, also one whose send failed: producers are idempotent, and no number is
  sent twice.
* Records of a producer are in the order in which they were sent. Those whose send failed are excepted: their
  producer was given up, and the next one does not know of them.
* No idempotent producer gets an error for a hole in its sequence: only a lost record could make one.
* Every record in the log was sent, and offsets have no holes.
* A group's member receives the records of the log, one after the other. It may go back only to the
  committed offset.
* A committed offset is the one of the last commit that was acknowledged. One that failed may have been
  applied, also later.
* Answers for the end of a partition never decrease for one client. Records acknowledged before
  the request are covered by the answer, too, unless a leader gives it that was replaced and does not know it:
  Kafka's leaders answer reads without asking others, and so do these. No node stays such a leader for longer
  than a fault and an election last.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from chronik.history.ends import check_ends, check_staleness
from chronik.history.events import Commit, Committed, Event, Look, Note, Place, Poll, Records, Send
from chronik.history.groups import Told, check_group
from chronik.history.logs import check_log
from chronik.history.violations import STRICT, Allowances, Violation


@dataclass(slots=True)
class History:
    """Events by who saw them, in the order in which they did."""

    sends: defaultdict[Place, list[Send]] = field(default_factory=lambda: defaultdict(list))
    groups: defaultdict[str, list[Told]] = field(default_factory=lambda: defaultdict(list))
    looks: list[Look] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        history = cls()
        for event in events:
            history.add(event)
        return history

    def add(self, event: Event) -> None:
        match event:
            case Send():
                self.sends[event.place].append(event)
            case Poll() | Commit() | Committed():
                self.groups[event.group].append(event)
            case Look():
                self.looks.append(event)
            case Note():
                # For people.
                pass


def check(
    history: History, logs: Mapping[Place, Records], allowed: Allowances = STRICT
) -> Iterator[Violation]:
    """Yields all violations of a run. `logs`: every partition with records, in its final state."""
    for place, records in logs.items():
        yield from check_log(place, history.sends[place], records, allowed)
    for group, events in history.groups.items():
        yield from check_group(group, events, logs, allowed)
    if allowed.stale_seconds_max is not None:
        yield from check_staleness(history.looks, history.sends, allowed.stale_seconds_max)
    yield from check_ends(history.looks, logs, allowed)
