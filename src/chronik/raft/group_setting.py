"""Dependencies shared by all replicated groups of a node, and the callbacks they need."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from chronik.log.reading import ColdRead
from chronik.raft.core.options import RaftOptions
from chronik.raft.group import GroupId
from chronik.raft.latency import Latency
from chronik.raft.state_store import StateStore
from chronik.raft.syncer import Syncer
from chronik.vocab.ids import NodeId, Offset
from chronik.vocab.seams import Clock, Randomness

if TYPE_CHECKING:
    from chronik.raft.core.messages import Message
    from chronik.raft.replicated import ReplicatedGroup


class GroupHost(Protocol):
    """Services of the node's host that a group uses."""

    def mark(self, group: "ReplicatedGroup") -> None:
        """Have `group.run` called at the end of this turn of the loop."""
        ...

    def send(self, group: GroupId, message: "Message", log_start: Offset) -> None: ...

    def load(self, group: "ReplicatedGroup", cold: ColdRead) -> None:
        """Load in a thread; `group.on_loaded` or `group.on_load_failed` follows."""
        ...

    def is_up(self, node: NodeId) -> bool: ...

    def directory(self, node: NodeId) -> str | None:
        """Names the data directory of a peer that is up."""
        ...


class RestartHooks(Protocol):
    """Hooks of a group with a state besides its log: `__meta`."""

    def snapshot(self) -> tuple[Offset, bytes]:
        """Returns a snapshot that replaces all records below the offset, for a follower that lacks some of
        them.
        """
        ...

    def on_restart(self, offset: Offset, snapshot: bytes) -> None:
        """Take over a snapshot, durably, before the log is restarted behind it. Raises OSError."""
        ...

    def on_received(self, records: int) -> None:
        """The leader sent this many records, and they were appended."""
        ...

    def on_append_failed(self) -> None:
        """The log took no entries, because its disk is full for example; it is tried again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSetting:
    """Settings and services shared by all groups of a node."""

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
