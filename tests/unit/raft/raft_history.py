"""What the leaders of a group wrote: the logs that a replica of it can rightly have."""

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from chronik.raft.core.entries import Entries, Marker, TermStart
from chronik.raft.core.types import Membership, RaftIndex, Term
from chronik.records.batch import stamp
from chronik.vocab.ids import NodeId
from tests.unit.log.drivers import batch_of

FOUNDERS = Membership(voters=frozenset({NodeId(1), NodeId(2), NodeId(3)}))


class Unit(NamedTuple):
    """A batch (with data) or a marker: indexes [first, last], records from `offset` on."""

    first: int
    last: int
    offset: int
    term: int
    data: bytes | None
    membership: Membership | None = None

    @property
    def is_marker(self) -> bool:
        return self.data is None

    @property
    def end_offset(self) -> int:
        return self.offset if self.is_marker else self.offset + self.last - self.first + 1


@dataclass(slots=True)
class History:
    """Leaders by term. One extends what it had when it was elected, as long as anybody listens to it."""

    random: Random
    logs: dict[int, list[Unit]] = field(default_factory=dict)
    # How many units of every later leader's log are committed.
    committed: int = 0

    def __post_init__(self) -> None:
        self.elect()

    @property
    def newest(self) -> int:
        return max(self.logs)

    def elect(self) -> None:
        """A leader of a new term, with any log that has what is committed."""
        before: list[Unit] = []
        term = 1
        if self.logs:
            committed = self.logs[self.newest][: self.committed]
            able = [log for log in self.logs.values() if log[: self.committed] == committed]
            chosen = self.random.choice(able)
            before = chosen[: self.random.randint(self.committed, len(chosen))]
            term = self.newest + self.random.choice([1, 1, 2])
        self.logs[term] = before
        self._append_marker(term, None)

    def propose(self, term: int) -> None:
        """The leader of `term`, deposed or not, appends."""
        if self.random.random() < 0.12:
            voters = frozenset(map(NodeId, self.random.sample(range(1, 6), 3)))
            self._append_marker(term, Membership(voters=voters))
            return
        log = self.logs[term]
        offset = end_offset(log)
        batch = batch_of(self.random.choice([1, 1, 2, 4]), size=self.random.choice([5, 60]))
        data = bytearray(batch.data)
        stamp(data, offset, term)
        last = last_index(log) + batch.header.last_offset_delta + 1
        log.append(Unit(last_index(log) + 1, last, offset, term, bytes(data)))

    def commit(self) -> None:
        """A majority has some more of the newest leader's entries; of its own term (section 5.4.2)."""
        log = self.logs[self.newest]
        own = [number for number, unit in enumerate(log) if unit.term == self.newest]
        self.committed = max(self.committed, self.random.choice(own) + 1)

    def _append_marker(self, term: int, membership: Membership | None) -> None:
        log = self.logs[term]
        index = last_index(log) + 1
        log.append(Unit(index, index, end_offset(log), term, None, membership))


def last_index(log: list[Unit]) -> int:
    return log[-1].last if log else -1


def end_offset(log: list[Unit]) -> int:
    return log[-1].end_offset if log else 0


def common_length(one: list[Unit], other: list[Unit]) -> int:
    """How many units two logs begin with together."""
    length = min(len(one), len(other))
    return next((number for number in range(length) if one[number] != other[number]), length)


def membership_after(log: list[Unit], length: int) -> Membership:
    """In force behind the first `length` units."""
    known = (unit.membership for unit in reversed(log[:length]) if unit.membership is not None)
    return next(known, FOUNDERS)


def entries_of(units: list[Unit]) -> Entries:
    """As the core has it written."""
    starts: list[TermStart] = []
    for unit in units:
        if not starts or starts[-1].term != unit.term:
            starts.append(TermStart(index=RaftIndex(unit.first), term=Term(unit.term)))
    payload = [unit.data for unit in units if unit.data is not None]
    return Entries(
        first=RaftIndex(units[0].first),
        last=RaftIndex(units[-1].last),
        starts=tuple(starts),
        markers=tuple(
            Marker(index=RaftIndex(u.first), membership=u.membership) for u in units if u.is_marker
        ),
        payload=payload or None,
        size=sum(map(len, payload)),
    )
