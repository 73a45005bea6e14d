"""What a replicated group stands on, and what it asks of those around it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from chronik.log.reading import ColdRead
from chronik.raft.core.messages import Message
from chronik.raft.core.options import RaftOptions
from chronik.raft.group import GroupId
from chronik.raft.latency import Latency
from chronik.raft.state_store import StateStore
from chronik.raft.syncer import Syncer
from chronik.vocab.ids import NodeId, Offset
from chronik.vocab.seams import Clock, Randomness

if TYPE_CHECKING:
    from chronik.raft.replicated import ReplicatedGroup


class GroupHost(Protocol):
    """What a group asks of the node's host."""

    def mark(self, group: "ReplicatedGroup") -> None:
        """Have `group.run` called at the end of this turn of the loop."""
        ...

    def send(self, group: GroupId, message: Message, log_start: Offset) -> None: ...

    def load(self, group: "ReplicatedGroup", cold: ColdRead) -> None:
        """Load in a thread; `group.on_loaded` or `group.on_load_failed` follows."""
        ...

    def is_up(self, node: NodeId) -> bool: ...

    def directory(self, node: NodeId) -> str | None:
        """Names the data directory of a peer that is up."""
        ...


class RestartHooks(Protocol):
    """For a group with a state beside its log: `__meta`."""

    def snapshot(self) -> tuple[Offset, bytes]:
        """What stands for all records below the offset, to be sent to a follower that lacks some of them."""
        ...

    def on_restart(self, offset: Offset, snapshot: bytes) -> None:
        """Take over a snapshot, durably, before the log is restarted behind it. Raises OSError."""
        ...

    def on_received(self, records: int) -> None:
        """The leader sent so many records, and the log took them."""
        ...

    def on_append_failed(self) -> None:
        """The log took no entries, because its disk is full for example; it is tried again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSetting:
    """What all groups of a node have in common."""

    node: NodeId
    directory_id: str
    options: RaftOptions
    randomness: Randomness
    clock: Clock
    store: StateStore
    syncer: Syncer
    host: GroupHost
    # replica.lag.time.max.ms, as it is now.
    lag_ms: Callable[[], int]
    # From an append on a leader to its commit: of partitions, and of groups with a state beside their log.
    commits: Latency = field(default_factory=Latency)
    metadata_commits: Latency = field(default_factory=Latency)
