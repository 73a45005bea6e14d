"""Term, vote and markers of all groups of a node, in one journal: the file `raft-state`.

A journal, so that an election of a thousand groups costs one sync. Every change is one record, written when
it is made and durable after the next sync; nothing that depends on it may leave the node earlier. All state
is in memory. When the file has grown to a multiple of what it says it is written anew, one record per group.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Self

from chronik.log.checkpoint import read_file
from chronik.log.disk import Disk, File, Syncable
from chronik.raft import state_codec as codec
from chronik.raft.core.types import HardState, RaftIndex
from chronik.raft.group_id import GroupId
from chronik.raft.group_state import GroupState
from chronik.raft.markers import MarkerBase, MarkerRecord
from chronik.raft.state_replay import StoreDamaged, replay
from chronik.vocab.invariant import invariant

__all__ = ["STATE_FILE", "GroupState", "StateStore", "StoreDamaged", "StoreFailed"]

STATE_FILE = "raft-state"
_TEMPORARY = STATE_FILE + ".tmp"

# Below this a file is not worth the syncs of writing it anew.
REWRITE_BYTES_MIN = 1 << 20
# How many times what it says a file may grow to: each byte is then written at most 4/3 times.
_GROWTH_MAX = 4


class StoreFailed(OSError):
    """The store failed earlier and takes no more changes."""


class _Journal:
    """The file as something to sync. A sync that fails fails the store, whoever's round it was in: the next
    one would say that all is well.
    """

    __slots__ = ("failure", "file")

    def __init__(self, file: File) -> None:
        self.file = file
        self.failure: OSError | None = None

    def sync(self) -> None:
        try:
            self.file.sync()
        except OSError as error:
            self.failure = error
            raise


class StateStore:
    """One per node, for its life. From the event loop only; syncs may run in threads meanwhile."""

    def __init__(self, disk: Disk, file: File, groups: dict[GroupId, GroupState], *, is_new: bool) -> None:
        self._disk = disk
        self._journal = _Journal(file)
        self._groups = groups
        # Whether the file was made by this opening: a node that knows nothing of earlier votes.
        self.is_new = is_new
        # The number of the last record since opening, and of the last that is durable.
        self.written = 0
        self.synced = 0
        # How much of the file is durable for certain.
        self._durable_bytes = file.size()
        # `written` and the file's size when a sync was last asked for; None when there is none to be told of.
        self._asked: tuple[int, int] | None = None
        self._rewrite_at = REWRITE_BYTES_MIN
        if self._durable_bytes >= REWRITE_BYTES_MIN:
            self._rewrite_at = _size_to_rewrite(sum(map(len, _states(groups))))
        self._failure: OSError | None = None

    @classmethod
    def open(cls, disk: Disk) -> Self:
        """Read the journal, making it if need be, and make durable what it holds.

        What a crash left unfinished at its end is cut off. Raises OSError, and StoreDamaged.
        """
        content = read_file(disk, STATE_FILE)
        if content is None:
            file = _write_temporary(disk, {})
            _replace(disk)
            return cls(disk, file, {}, is_new=True)
        groups, end = replay(content)
        file = disk.open(STATE_FILE)
        if end < len(content):
            # Synced before anything is written: it must not come back behind a later record.
            file.truncate(end)
        file.sync()
        return cls(disk, file, groups, is_new=False)

    # What is known.

    def groups(self) -> Collection[GroupId]:
        return self._groups.keys()

    def get(self, group: GroupId) -> GroupState | None:
        return self._groups.get(group)

    # Changes. Each raises OSError, and then the store has failed.

    def create(self, group: GroupId, base: MarkerBase, *, is_wiped: bool = False) -> GroupState:
        """A group that is not known yet."""
        invariant(group not in self._groups, "group {} exists", group)
        state = GroupState(base, is_wiped=is_wiped)
        self._write(codec.format_state(group, state.image()))
        self._groups[group] = state
        return state

    def set_hard_state(self, group: GroupId, hard_state: HardState) -> None:
        state = self._groups[group]
        known = state.hard_state
        invariant(hard_state.term >= known.term, "term {} after {}", hard_state.term, known.term)
        if hard_state != known:
            self._write(codec.format_hard_state(group, hard_state))
            state.hard_state = hard_state

    def set_wiped(self, group: GroupId, is_wiped: bool) -> None:
        """Whether this replica lost what it knew and must catch up before it votes."""
        state = self._groups[group]
        if is_wiped != state.is_wiped:
            self._write(codec.format_wiped(group, is_wiped=is_wiped))
            state.is_wiped = is_wiped

    def append_markers(self, group: GroupId, records: Sequence[MarkerRecord]) -> None:
        """Add to the group's markers; one write."""
        if records:
            markers = self._groups[group].markers
            # Before they are written: a node does not start on a journal that makes no sense.
            markers.check(records)
            self._write(codec.format_markers(group, records))
            for record in records:
                markers.append(record)

    def truncate_markers(self, group: GroupId, to: RaftIndex) -> None:
        """Drop those after `to`; nothing happens when there are none."""
        markers = self._groups[group].markers
        if markers.last is not None and markers.last.index > to:
            invariant(to >= markers.base.index, "truncation to {} before {}", to, markers.base.index)
            self._write(codec.format_truncate(group, to))
            markers.truncate(to)

    def restart(self, group: GroupId, base: MarkerBase) -> None:
        """Throw all markers away, for a log that starts at `base`. Then `sync_now`, then reset the log."""
        state = self._groups[group]
        self._write(codec.format_restart(group, base))
        state.restart(base)

    def rebase(self, group: GroupId, index: RaftIndex) -> None:
        """Forget the markers at or before `index`, because the log begins after it (retention).

        Nothing happens when the base is there already.
        """
        state = self._groups[group]
        if index > state.markers.base.index:
            self._write(codec.format_rebase(group, index))
            state.rebase(index)

    def forget(self, group: GroupId) -> None:
        """The replica was deleted; nothing happens when it is not known."""
        if group in self._groups:
            self._write(codec.format_forget(group))
            del self._groups[group]

    # Syncing. Many groups ask in one round; the file is synced once.

    def files_to_sync(self) -> Sequence[Syncable]:
        """What makes everything up to `written` durable; nothing when it is. Raises StoreFailed."""
        self._check()
        if self.synced == self.written:
            return []
        self._asked = self.written, self._journal.file.size()
        return [self._journal]

    def on_synced(self, written: int) -> None:
        """A sync of `files_to_sync` that began when `written` was the last record ended well.

        A round that did not ask for the file has not synced it, and changes nothing here.
        """
        if self._asked is not None and self._asked[0] == written and self.failure is None:
            self.synced, self._durable_bytes = self._asked
            self._asked = None

    def sync_now(self) -> None:
        """Make everything durable, blocking: for what is rare and comes before something else."""
        self._check()
        if self.synced < self.written:
            self._journal.sync()
            self._on_all_durable()

    @property
    def failure(self) -> OSError | None:
        """Why the store takes no more changes; None while it does."""
        return self._failure or self._journal.failure

    def fail(self, error: OSError) -> None:
        """Take no more changes: what is on the device is not known any more."""
        self._failure = self.failure or error

    def close(self) -> None:
        """Close the file. For a clean close: sync first."""
        self._journal.file.close()

    def _check(self) -> None:
        if self.failure is not None:
            raise StoreFailed(f"the Raft state store failed: {self.failure}") from self.failure

    def _write(self, body: bytes) -> None:
        self._check()
        file = self._journal.file
        if file.size() >= self._rewrite_at:
            file = self._rewrite(file)
        size = file.size()
        try:
            file.append([codec.frame(body, self._durable_bytes)])
        except OSError as error:
            self._take_back(file, size, error)
            raise
        self.written += 1

    def _take_back(self, file: File, size: int, error: OSError) -> None:
        """A part of a record may be there, also where the file does not know of it (`log.disk.File.append`).
        Without it the file says what it did, and takes the next record when there is room again.
        """
        try:
            file.truncate(size)
        except OSError:
            self.fail(error)

    def _on_all_durable(self) -> None:
        self.synced = self.written
        self._durable_bytes = self._journal.file.size()
        self._asked = None

    # Writing anew.

    def _rewrite(self, old: File) -> File:
        """Replace the file by one that says the same in one record per group; in place, blocking.

        Memory says what the file does: this comes before a change, never in the middle of one.
        """
        try:
            file = _write_temporary(self._disk, self._groups)
        except OSError:
            # Nothing is lost, the old file goes on.
            self._rewrite_at = 2 * old.size()
            return old
        try:
            _replace(self._disk)
        except OSError as error:
            self.fail(error)
            raise
        # The old one may be being synced; it closes itself.
        self._journal = _Journal(file)
        self._rewrite_at = _size_to_rewrite(file.size())
        self._on_all_durable()
        return file


def _size_to_rewrite(live_bytes: int) -> int:
    return max(REWRITE_BYTES_MIN, _GROWTH_MAX * live_bytes)


def _states(groups: Mapping[GroupId, GroupState]) -> Iterator[bytes]:
    return (codec.frame(codec.format_state(group, state.image()), 0) for group, state in groups.items())


def _write_temporary(disk: Disk, groups: Mapping[GroupId, GroupState]) -> File:
    """The whole state in a file of its own, durably."""
    if disk.exists(_TEMPORARY):
        disk.remove(_TEMPORARY)
    file = disk.open(_TEMPORARY, create=True)
    states = b"".join(_states(groups))
    file.append([codec.format_file_header(len(states)), states])
    file.sync()
    return file


def _replace(disk: Disk) -> None:
    disk.rename(_TEMPORARY, STATE_FILE)
    disk.sync_directory("")
