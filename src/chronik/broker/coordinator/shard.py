"""The interface between a coordinator shard and the runtime that runs it.

    shard.replay(key, value, batch)             each committed record, in order, and between them
    shard.replay_marker(marker, batch)          each end of a transaction
    shard.on_metadata(change, now) -> Outcome   the metadata as it is then, and
    shard.on_loaded(now) -> Outcome             once; from here on in any order
    shard.handle(command, ticket, now) -> Outcome
    shard.abandon(command, ticket, now) -> Outcome
    shard.on_metadata(change, now) -> Outcome
    shard.tick(now) -> Outcome                  at shard.next_deadline_ms, and harmless at any other time

State runs ahead of the log: a turn changes it when it is handled, and the outcome's answers are given when
the outcome's records, and all records of earlier outcomes, are committed. Many commits may be in flight, and
no answer is ever taken back. When an append fails, the state has seen what never happened: the runtime drops
the shard and replays a new one from the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, NewType, Protocol, TypeVar

from chronik.broker.coordinator.log import EndOfTransaction, KeyValue, ProducerStamp
from chronik.records.batch import BatchHeader

if TYPE_CHECKING:
    from chronik.cluster.image import ClusterDelta, ClusterImage

# Names the client that waits for the answer to a command. Unique in the life of a host.
Ticket = NewType("Ticket", int)

# For a turn without a waiting caller.
NO_TICKET: Final = Ticket(0)

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
C_contra = TypeVar("C_contra", contravariant=True)


class UnknownRecordKind(Exception):
    """A record that only a later release can read: its key's kind, its value's version, or where it stands is
    not known here. To pass over it would be to forget it.
    """


class Now(NamedTuple):
    """The time of a turn: wall time for records, monotonic time for deadlines."""

    wall_ms: int
    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class Command(Generic[A_co]):
    """A request to a shard, which answers with an `A_co`: in the same turn, or in a later one (a join
    waits for the other members).
    """


class MetadataChange(NamedTuple):
    """The metadata after a change, and the difference to before; None when all of it is new: to a shard
    that has just been loaded.
    """

    image: "ClusterImage"
    delta: "ClusterDelta | None"


class Event(NamedTuple):
    """Something worth a log line; the runtime writes it."""

    # A group, a transactional id.
    subject: str
    text: str


@dataclass(slots=True)
class Outcome(Generic[A]):
    """The results of one turn for the runtime. A command whose ticket is not among the answers waits; a
    later outcome has its answer.
    """

    # Appended in one batch. More than RECORDS_BYTES_MAX may only be tombstones, which need not be atomic.
    records: list[KeyValue] = field(default_factory=list)
    # Delivered when this outcome's records, and those of all before it, are committed.
    answers: list[tuple[Ticket, A]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    # The producer in whose open transaction the records are; None: in none. The shard checks whether the
    # producer is fenced; the log does not.
    transaction: ProducerStamp | None = None
    # Appended behind the records. The shard has applied it to its state.
    marker: EndOfTransaction | None = None
    # Delivered now, whatever is in flight: refusals, and reads of state that the shard knows to be committed.
    immediate: Sequence[tuple[Ticket, A]] = ()
    # Handed back to the shard when `answers` are delivered: notifies a shard of the commit of its state.
    follow_ups: Sequence[Command[Any]] = ()
    # For the world outside the shard, when `answers` are given: requests to other partitions, for example.
    # Their results come back as commands.
    effects: Sequence[object] = ()


class CoordinatorShard(Protocol[C_contra]):
    """The state machine of one partition of an internal topic.

    Created by the runtime, empty, for each epoch in which this node leads the partition, and after each
    failed append; dropped when this node leads no more. Has no loop, clock, log or network.
    """

    @property
    def next_deadline_ms(self) -> int | None:
        """Monotonic time of the next `tick`; None when no deadline is set."""
        ...

    def replay(self, key: bytes, value: bytes | None, batch: BatchHeader, /) -> None:
        """Applies a committed record; `batch` has its producer, and whether it is part of a transaction,
        which may still be open.

        Raises primitives.MalformedRecord: the record is skipped; UnknownRecordKind: loading stops.
        """
        ...

    def replay_marker(self, marker: EndOfTransaction, batch: BatchHeader, /) -> None:
        """Take in the end of a transaction. Raises UnknownRecordKind."""
        ...

    def metadata_required(self) -> int:
        """The offset up to which `__meta` must be applied on this node before `on_loaded`; 0: none."""
        ...

    def on_loaded(self, now: Now, /) -> Outcome[Any]:
        """Called once, when everything is replayed."""
        ...

    def handle(self, command: C_contra, ticket: Ticket, now: Now, /) -> Outcome[Any]: ...

    def abandon(self, command: C_contra, ticket: Ticket, now: Now, /) -> Outcome[Any]:
        """The client that waits for the answer to `command` under `ticket` is gone."""
        ...

    def on_metadata(self, change: MetadataChange, now: Now, /) -> Outcome[Any]: ...

    def tick(self, now: Now, /) -> Outcome[Any]:
        """Does everything due by now. Each call must leave `next_deadline_ms` in the future."""
        ...
