"""The records that the one member of a group received from all topics, by its client in a thread of its
own.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from chronik.history.events import Place, Poll, Records
from chronik.history.groups import check_group
from chronik.history.violations import Allowances
from tests.proofs.cluster.ledger import Ledger, longest_pause, number_of


class Taken:
    """In the order in which it was given."""

    def __init__(self, client: str, topics: Sequence[str], partitions: int) -> None:
        self.client = client
        self.group = f"rolling-{client}"
        self.topics = list(topics)
        self.polls: list[Poll] = []
        self.errors: list[str] = []
        places = [f"{topic}-{partition}" for topic in topics for partition in range(partitions)]
        self._times: dict[Place, list[float]] = {place: [] for place in places}
        self._numbers: defaultdict[Place, set[int]] = defaultdict(set)

    def on_record(self, topic: str, partition: int, offset: int, value: bytes) -> None:
        place, number, now = f"{topic}-{partition}", number_of(value), time.monotonic()
        self.polls.append(Poll(group=self.group, began=now, ended=now, records={place: [(offset, number)]}))
        self._times[place].append(now)
        self._numbers[place].add(number)

    def on_error(self, error: str) -> None:
        """One that the client shows and goes on after."""
        self.errors.append(f"{self.client}: {error}")

    @property
    def has_read_everywhere(self) -> bool:
        return all(self._times.values())

    def has_all(self, ledger: Ledger) -> bool:
        """True if every acknowledged record was read."""
        return all(
            numbers.keys() <= self._numbers[place] for place, numbers in ledger.acknowledged_at().items()
        )

    def read_again(self) -> int:
        """Records that came more than once: those that were read and not committed when a group moved."""
        places = [(place, *each) for poll in self.polls for place, (each,) in poll.records.items()]
        return len(places) - len(set(places))

    def longest_pause(self) -> float:
        """Seconds between two records of one partition."""
        return max(longest_pause(times) for times in self._times.values())

    def problems(self, ledgers: Sequence[Ledger], logs: Mapping[Place, Records]) -> Iterator[str]:
        """Going back to what was committed is allowed, and clients commit by themselves; to leave something
        out is not, nor to have missed what was acknowledged.
        """
        ends = {
            place: max(numbers.values(), default=-1) + 1
            for ledger in ledgers
            for place, numbers in ledger.acknowledged_at().items()
        }
        allowed = Allowances(committing=[self.group], ends=ends)
        yield from map(str, check_group(self.group, self.polls, logs, allowed))
