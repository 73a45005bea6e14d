"""A toy shard: named counters, with one of everything that a coordinator may ask of the runtime.

`Add` writes; `Read` sees what was written before it, when that is committed; `Peek` is answered at once from
what is committed; `Wait` is answered by a later `Release`; `Remind` names a deadline; `AddInTransaction`
counts when its transaction ends; `Ask` has an effect outside. A counter whose name is that of a deleted topic
is removed.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from chronik.broker.coordinator.deadlines import Deadlines
from chronik.broker.coordinator.host import CoordinatorSetting
from chronik.broker.coordinator.log import CoordinatorLog, EndOfTransaction, ProducerStamp
from chronik.broker.coordinator.primitives import MalformedRecord
from chronik.broker.coordinator.runtime import CoordinatorRuntime
from chronik.broker.coordinator.shard import (
    NO_TICKET,
    Command,
    Event,
    MetadataChange,
    Now,
    Outcome,
    Ticket,
    UnknownRecordKind,
)
from chronik.records.batch import BatchHeader
from chronik.sim.virtual_time import LoopClock
from chronik.vocab.ids import LeaderEpoch, Offset
from chronik.vocab.invariant import invariant

TOPIC = "__toys"
COUNTER_KIND = 0
_KIND = struct.Struct(">h")


@dataclass(frozen=True, slots=True)
class Named(Command[int]):
    """Answered with the counter's value."""

    name: str


class Read(Named):
    pass


class Peek(Named):
    pass


class Wait(Named):
    pass


class Release(Named):
    pass


class Break(Named):
    pass


@dataclass(frozen=True, slots=True)
class Add(Named):
    amount: int = 1


@dataclass(frozen=True, slots=True)
class Committed(Named):
    """Handed back: the counter's value is committed."""

    value: int


@dataclass(frozen=True, slots=True)
class Remind(Named):
    after_ms: int


@dataclass(frozen=True, slots=True)
class Ask(Named):
    """Adds one; somebody outside hears of it when that is committed."""


@dataclass(frozen=True, slots=True)
class AddInTransaction(Named):
    producer: ProducerStamp
    amount: int = 1


@dataclass(frozen=True, slots=True)
class End(Command[int]):
    """Answered with the number of counters it changed."""

    producer: ProducerStamp
    is_commit: bool = True


def key_of(name: str, kind: int = COUNTER_KIND) -> bytes:
    return _KIND.pack(kind) + name.encode()


@dataclass
class ToyShard:
    """Implements CoordinatorShard."""

    epoch: LeaderEpoch
    counters: dict[str, int] = field(default_factory=dict)
    # What `Peek` knows.
    committed: dict[str, int] = field(default_factory=dict)
    # By producer id: its epoch, and what its open transaction adds.
    pending: dict[int, tuple[int, dict[str, int]]] = field(default_factory=dict)
    waiting: dict[str, list[Ticket]] = field(default_factory=dict)
    deadlines: Deadlines[tuple[str]] = field(default_factory=Deadlines)
    # What it was told, in order.
    told: list[str] = field(default_factory=list)
    required: int = 0
    writes_on_load: bool = False
    # Called when it is loaded; raises what a defect would.
    defect: Callable[[], None] | None = None

    @property
    def next_deadline_ms(self) -> int | None:
        return self.deadlines.next_ms()

    @property
    def durable(self) -> object:
        """What a replay of the log comes to."""
        return self.counters, self.pending

    def replay(self, key: bytes, value: bytes | None, batch: BatchHeader) -> None:
        if len(key) < _KIND.size:
            raise MalformedRecord("no kind")
        (kind,) = _KIND.unpack_from(key)
        if kind != COUNTER_KIND:
            raise UnknownRecordKind(f"kind {kind}")
        name = key[_KIND.size :].decode()
        if batch.is_transactional:
            self._add_pending(ProducerStamp(batch.producer_id, batch.producer_epoch), name, _decode(value))
        elif value is None:
            self.counters.pop(name, None)
        else:
            self.counters[name] = _decode(value)

    def replay_marker(self, marker: EndOfTransaction, batch: BatchHeader) -> None:
        self._end(marker)

    def metadata_required(self) -> int:
        return self.required

    def on_loaded(self, now: Now) -> Outcome[int]:
        self.told.append("loaded")
        if self.defect is not None:
            self.defect()
        self.committed = dict(self.counters)
        return self._write("loads", 1, NO_TICKET) if self.writes_on_load else Outcome()

    def handle(self, command: Command[int], ticket: Ticket, now: Now) -> Outcome[int]:
        match command:
            case Add(name, amount):
                return self._write(name, self.counters.get(name, 0) + amount, ticket)
            case Ask(name):
                outcome = self._write(name, self.counters.get(name, 0) + 1, ticket)
                outcome.effects = [f"asked {name}"]
                return outcome
            case Read(name):
                return Outcome(answers=[(ticket, self.counters.get(name, 0))])
            case Peek(name):
                return Outcome(immediate=[(ticket, self.committed.get(name, 0))])
            case Committed(name, value):
                self.committed[name] = value
                return Outcome()
            case Wait(name):
                self.waiting.setdefault(name, []).append(ticket)
                return Outcome()
            case Release(name):
                tickets = [*self.waiting.pop(name, []), ticket]
                return Outcome(answers=[(waiting, self.counters.get(name, 0)) for waiting in tickets])
            case Remind(name, after_ms):
                self.deadlines.set((name,), now.monotonic_ms + after_ms)
                return Outcome(answers=[(ticket, 0)])
            case AddInTransaction(name, producer, amount):
                self._add_pending(producer, name, amount)
                records = [(key_of(name), b"%d" % amount)]
                return Outcome(records=list(records), answers=[(ticket, 0)], transaction=producer)
            case End(producer, is_commit):
                marker = EndOfTransaction(producer, is_commit, self.epoch)
                return Outcome(answers=[(ticket, self._end(marker))], marker=marker)
            case _:
                # Half of a change, and a defect.
                self.counters["broken"] = 1
                invariant(False, "a defect")
                raise AssertionError

    def abandon(self, command: Command[int], ticket: Ticket, now: Now) -> Outcome[int]:
        self.told.append("abandoned")
        for tickets in self.waiting.values():
            if ticket in tickets:
                tickets.remove(ticket)
        return Outcome()

    def on_metadata(self, change: MetadataChange, now: Now) -> Outcome[int]:
        if change.delta is None:
            self.told.append(f"all: {' '.join(sorted(change.image.topics)) or 'nothing'}")
            return Outcome()
        deleted = [topic.name for topic in change.delta.topics_deleted]
        self.told += [f"deleted {name}" for name in deleted]
        if "broken" in deleted:
            self.counters["broken"] = 1
            invariant(False, "a defect")
        outcome = Outcome[int]()
        for name in deleted:
            if self.counters.pop(name, None) is not None:
                outcome.records.append((key_of(name), None))
        return outcome

    def tick(self, now: Now) -> Outcome[int]:
        outcome = Outcome[int]()
        for (name,) in self.deadlines.pop_due(now.monotonic_ms):
            self.told.append(f"reminded of {name} at {now.monotonic_ms}")
            if name == "broken":
                self.counters["broken"] = 1
                invariant(False, "a defect")
            self._write(name, self.counters.get(name, 0) + 1, NO_TICKET, outcome)
        return outcome

    def _write(
        self, name: str, value: int, ticket: Ticket, outcome: Outcome[int] | None = None
    ) -> Outcome[int]:
        outcome = outcome or Outcome[int]()
        self.counters[name] = value
        outcome.records.append((key_of(name), b"%d" % value))
        outcome.answers.append((ticket, value))
        outcome.events.append(Event(f"counter {name}", f"is {value}"))
        outcome.follow_ups = [*outcome.follow_ups, Committed(name, value)]
        return outcome

    def _add_pending(self, producer: ProducerStamp, name: str, amount: int) -> None:
        _, adds = self.pending.setdefault(producer.producer_id, (producer.producer_epoch, {}))
        adds[name] = adds.get(name, 0) + amount

    def _end(self, marker: EndOfTransaction) -> int:
        _, adds = self.pending.pop(marker.producer.producer_id, (0, {}))
        for name, amount in adds.items() if marker.is_commit else ():
            self.counters[name] = self.counters.get(name, 0) + amount
        return len(adds) if marker.is_commit else 0


def _decode(value: bytes | None) -> int:
    try:
        return int(value or b"")
    except ValueError as error:
        raise MalformedRecord("no number") from error


class Applied:
    """Implements AppliedMetadata under a test's control."""

    def __init__(self) -> None:
        self.metadata_offset = Offset(10)

    async def wait_applied(self, metadata_offset: Offset, seconds: float) -> bool:
        return self.metadata_offset >= metadata_offset


@dataclass
class Toys:
    """A runtime of toys; `made` are all shards so far, the newest last."""

    log: CoordinatorLog
    partitions: int = 2
    applied: Applied = field(default_factory=Applied)
    made: list[ToyShard] = field(default_factory=list)
    effects: list[tuple[int, object]] = field(default_factory=list)
    # What the next shards are made with.
    required: int = 0
    defect: Callable[[], None] | None = None
    writes_on_load: bool = False

    def __post_init__(self) -> None:
        self.runtime = CoordinatorRuntime(
            CoordinatorSetting(
                topic=TOPIC,
                ensure_topic=self._ensure_topic,
                make=self._make,
                log=self.log,
                clock=LoopClock(),
                metadata=self.applied,
                on_effect=lambda partition, effect: self.effects.append((partition, effect)),
            )
        )

    async def _ensure_topic(self) -> int:
        return self.partitions

    def _make(self, partition: int, epoch: LeaderEpoch) -> ToyShard:
        shard = ToyShard(epoch, required=self.required, defect=self.defect)
        shard.writes_on_load = self.writes_on_load
        self.made.append(shard)
        return self.made[-1]
