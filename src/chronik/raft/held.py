"""Messages that wait for the disk, and what a sync round covers."""

from dataclasses import dataclass, field

from chronik.raft.core.messages import Message
from chronik.raft.core.types import RaftIndex, Term


@dataclass(frozen=True, slots=True)
class SyncRound:
    """One round of syncs of a group: what is durable when it ends well."""

    # The group's count of writes when the round began.
    writes: int
    # The log as it ended then.
    last_index: RaftIndex
    term: Term
    # The store's sequence number then.
    store_written: int
    # How often the log was restarted, and how often it was cut in any way. A restart ends what the log may be
    # told of the round, any cut what the core may.
    restarts: int
    cuts: int
    # What may leave when the round ends.
    messages: tuple[Message, ...]


@dataclass(slots=True)
class Durability:
    """Counts the writes of a group. Whatever it hands out waits until those before it are durable."""

    # Writes to log and store so far, and up to which all are durable (or, with write caching, as good as).
    # Invariant: durable <= writes.
    writes: int = 0
    durable: int = 0
    restarts: int = 0
    # Restarts and truncations.
    cuts: int = 0
    # Messages since the running round began.
    waiting: list[Message] = field(default_factory=list)
    round: SyncRound | None = None

    @property
    def is_durable(self) -> bool:
        return self.durable == self.writes

    def begin(self, last_index: RaftIndex, term: Term, store_written: int) -> None:
        """A round begins. One that failed is replaced: the group has failed with it."""
        self.round = SyncRound(
            self.writes, last_index, term, store_written, self.restarts, self.cuts, tuple(self.waiting)
        )
        self.waiting.clear()

    def end(self) -> SyncRound | None:
        done, self.round = self.round, None
        if done is not None:
            self.durable = max(self.durable, done.writes)
        return done

    def skip(self) -> list[Message]:
        """All writes count as durable now; what waited for them."""
        self.durable = self.writes
        released, self.waiting = self.waiting, []
        return released
