"""Records in the store of terms and votes how far the replicated logs of a node are durable.

Once a second, for changed logs, with one write and no sync: after a kill the record is then at most a second
old, and the next sync of the journal, for a vote or a marker, makes it durable. `raft.reconcile` compares it
with the log at the next start.
"""

import asyncio
from contextlib import suppress
from typing import Protocol

from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.state_store import StateStore

# Some 60 bytes for each log that was written to in that time.
RECORD_SECONDS = 1.0


class GroupsHost(Protocol):
    """Who has the groups."""

    def groups(self) -> list[ReplicatedGroup]: ...


class LogEndRecorder:
    """Owned by who owns the node's groups. Created, started and stopped with it."""

    def __init__(self, host: GroupsHost, store: StateStore) -> None:
        self._host = host
        self._store = store
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(RECORD_SECONDS, self._on_timer)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _on_timer(self) -> None:
        self.start()
        self.record()

    def record(self) -> None:
        """Without room for new records the last ones stand, which are valid as well."""
        with suppress(OSError):
            self._store.raise_log_ends({group.id: group.synced_offset for group in self._host.groups()})
            self._store.note_size()
