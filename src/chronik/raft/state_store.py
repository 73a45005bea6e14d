"""Term, vote and markers of all groups of a node, and how far their logs are durable, in one journal: the
file `raft-state`.

A journal, so that an election of a thousand groups costs one sync. Every change is one record, written when
it is made and durable after the next sync; nothing that depends on it may leave the node earlier. All state
is in memory. A file grown to a multiple of its content is compacted to one record per group.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Self

from chronik.log.checkpoint import read_file
from chronik.log.disk import Disk, File, Syncable, is_out_of_space
from chronik.raft import state_codec as codec
from chronik.raft.core.types import HardState, Membership, RaftIndex
from chronik.raft.group import GroupId
from chronik.raft.group_state import GroupState
from chronik.raft.markers import MarkerBase, MarkerRecord
from chronik.raft.state_replay import StoreDamaged, StoreTooNew, replay
from chronik.raft.store_witness import Witness, read_witness, write_witness
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import invariant

__all__ = ["STATE_FILE", "GroupState", "StateStore", "StoreDamaged", "StoreFailed", "StoreTooNew"]

STATE_FILE = "raft-state"
_TEMPORARY = STATE_FILE + ".tmp"
# A clean stop leaves it next to the journal, as the next generation of the journal.
COPY_FILE = STATE_FILE + ".copy"

# Below this a file is not worth the syncs of writing it again.
REWRITE_BYTES_MIN = 1 << 20
# The file may grow to this multiple of its content: each byte is then written at most 4/3 times.
_GROWTH_MAX = 4


class StoreFailed(OSError):
    """The store failed earlier and takes no more changes."""


class _Journal:
    """The file for the sync rounds. A sync that fails fails the store, whichever round it was in: the next
    sync would report success.
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
    """One per node, for its life. From the event loop only; syncs may run in threads at the same time."""

    def __init__(
        self,
        disk: Disk,
        file: File,
        groups: dict[GroupId, GroupState],
        *,
        generation: int,
        witness: Witness | None,
        is_new: bool,
        version: int = codec.VERSION,
    ) -> None:
        self._disk = disk
        self._generation = generation
        # The file's. Never decreases.
        self._version = version
        # The content of the witness file.
        self._witness = witness
        self._journal = _Journal(file)
        self._groups = groups
        # Whether the file was made by this opening: a node that knows nothing of earlier votes.
        self.is_new = is_new
        # The number of the last record since opening, and of the last that is durable.
        self.written = 0
        self.synced = 0
        # How much of the file is durable for certain.
        self._durable_bytes = file.size()
        # `written` and the file's size when a sync was last requested; None when no result is pending.
        self._asked: tuple[int, int] | None = None
        self._rewrite_at = REWRITE_BYTES_MIN
        if self._durable_bytes >= REWRITE_BYTES_MIN:
            self._rewrite_at = _size_to_rewrite(sum(map(len, _states(groups))))
        self._failure: OSError | None = None

    @classmethod
    def open(cls, disk: Disk) -> Self:
        """Reads the journal, creating it if need be, and makes its content durable.

        An unfinished write at the end, left by a crash, is cut off. Raises OSError, StoreTooNew, and
        StoreDamaged if durable records are missing or damaged.
        """
        content, witness = read_file(disk, STATE_FILE), read_witness(disk)
        if content is None:
            if witness is not None:
                raise StoreDamaged(f"it is missing, and had {witness.durable_bytes} bytes")
            return cls._make(disk, generation=1)
        groups, end, header = replay(content)
        if witness is not None and Witness(header.generation, end) < witness:
            raise StoreDamaged(
                f"it has {end} bytes of generation {header.generation}, and had {witness.durable_bytes} of "
                f"generation {witness.generation}"
            )
        file = disk.open(STATE_FILE)
        if end < len(content):
            # Synced before anything is written: it must not come back behind a later record.
            file.truncate(end)
        file.sync()
        store = cls(
            disk,
            file,
            groups,
            generation=header.generation,
            witness=witness,
            is_new=False,
            version=max(header.version, codec.VERSION),
        )
        if header.version < codec.VERSION:
            store._try_rewrite(file)
        store.note_size(is_durable=witness is None)
        return store

    @classmethod
    def restore(cls, disk: Disk) -> Self | None:
        """Open the copy that a clean stop left, in place of a journal that is damaged. None without a whole
        copy: a start removes it before it changes anything. Raises OSError.
        """
        content = read_file(disk, COPY_FILE)
        if content is None:
            return None
        try:
            replay(content)
        except (StoreDamaged, StoreTooNew):
            return None
        _keep_aside(disk)
        disk.rename(COPY_FILE, STATE_FILE)
        disk.sync_directory("")
        return cls.open(disk)

    @classmethod
    def begin_anew(cls, disk: Disk) -> Self:
        """Replaces a damaged journal, which is kept under another name. For a node whose groups know it
        under another directory id from now on. Raises OSError.
        """
        witness = read_witness(disk)
        _keep_aside(disk)
        return cls._make(disk, generation=1 if witness is None else witness.generation + 1)

    @classmethod
    def _make(cls, disk: Disk, generation: int) -> Self:
        file = _write_temporary(disk, {}, generation, codec.VERSION)
        _replace(disk)
        store = cls(disk, file, {}, generation=generation, witness=None, is_new=True)
        store._write_witness(is_durable=True)
        return store

    # Queries.

    def groups(self) -> Collection[GroupId]:
        return self._groups.keys()

    def get(self, group: GroupId) -> GroupState | None:
        return self._groups.get(group)

    # Changes. Each raises OSError, and then the store has failed.

    def create(self, group: GroupId, base: MarkerBase, revision: int = 0) -> GroupState:
        """A group that is not known yet, of which this node's replica is of `revision`."""
        invariant(group not in self._groups, "group {} exists", group)
        state = GroupState(base, revision)
        self._raise_version([base.membership], revision)
        self._write(codec.format_state(group, state.image()))
        self._groups[group] = state
        return state

    def replace(self, group: GroupId, state: GroupState) -> None:
        """What is known of the group, if anything, is not so: this is. Nobody else may hold its old state."""
        self._raise_version([state.markers.base.membership], state.revision)
        self._write(codec.format_state(group, state.image()))
        self._groups[group] = state

    def set_hard_state(self, group: GroupId, hard_state: HardState) -> None:
        state = self._groups[group]
        known = state.hard_state
        invariant(hard_state.term >= known.term, "term {} after {}", hard_state.term, known.term)
        if hard_state != known:
            self._write(codec.format_hard_state(group, hard_state))
            state.hard_state = hard_state

    def record_loss(self, group: GroupId, log_end: Offset) -> None:
        """Files of this replica were lost, and its log ends at `log_end` now. Then `sync_now`."""
        state = self._groups[group]
        losses = state.losses + 1
        self._write(codec.format_loss(group, losses, log_end))
        state.losses, state.log_end = losses, log_end

    def raise_log_ends(self, log_ends: Mapping[GroupId, Offset]) -> None:
        """The groups' logs are durable up to these offsets. One write, which needs no sync of its own: the
        next one of the journal has it. Nothing is written for groups that are not known, nor for less than
        is known.
        """
        changed = {
            group: log_end
            for group, log_end in log_ends.items()
            if group in self._groups and log_end > self._groups[group].log_end
        }
        if changed:
            self._write(*(codec.format_log_end(group, log_end) for group, log_end in changed.items()))
            for group, log_end in changed.items():
                self._groups[group].log_end = log_end

    def lower_log_end(self, group: GroupId, log_end: Offset) -> None:
        """The log is about to be cut to `log_end`; durable when this returns."""
        state = self._groups[group]
        if log_end < state.log_end:
            self._write(codec.format_log_end(group, log_end))
            state.log_end = log_end
            self.sync_now()

    def append_markers(self, group: GroupId, records: Sequence[MarkerRecord]) -> None:
        """Add to the group's markers; one write."""
        if records:
            markers = self._groups[group].markers
            # Before they are written: a node does not start on a journal that makes no sense.
            markers.check(records)
            self._raise_version([record.membership for record in records])
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
        self._raise_version([base.membership])
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
        """The replica is to be deleted; nothing happens when it is not known. Then `sync_now`, before its
        directory goes: one that is gone while this is remembered has lost its files.
        """
        if group in self._groups:
            self._write(codec.format_forget(group))
            del self._groups[group]

    # Syncing. Many groups request it in one round; the file is synced once.

    def files_to_sync(self) -> Sequence[Syncable]:
        """Returns the files whose sync makes everything up to `written` durable; none when it is. Raises
        StoreFailed.
        """
        self._check()
        if self.synced == self.written:
            return []
        self._asked = self.written, self._journal.file.size()
        return [self._journal]

    def on_synced(self, written: int) -> None:
        """A sync of `files_to_sync` that began when `written` was the last record ended well.

        A round that did not include the file has not synced it, and changes nothing here.
        """
        if self._asked is not None and self._asked[0] == written and self.failure is None:
            self.synced, self._durable_bytes = self._asked
            self._asked = None

    def sync_now(self) -> None:
        """Makes everything durable, blocking: for rare writes that must be durable before the next step."""
        self._check()
        if self.synced < self.written:
            self._journal.sync()
            self._on_all_durable()

    @property
    def failure(self) -> OSError | None:
        """The reason why the store accepts no more changes; None while it does."""
        return self._failure or self._journal.failure

    def fail(self, error: OSError) -> None:
        """Accepts no more changes: the content of the device is unknown from now on."""
        self._failure = self.failure or error

    def note_size(self, *, is_durable: bool = False) -> None:
        """Write down elsewhere how much of the journal is durable; see `raft.store_witness`."""
        if self.failure is None and self._witness != Witness(self._generation, self._durable_bytes):
            self._write_witness(is_durable=is_durable)

    def _write_witness(self, *, is_durable: bool) -> None:
        self._witness = Witness(self._generation, self._durable_bytes)
        write_witness(self._disk, self._witness, is_durable=is_durable)

    def remove_copy(self) -> None:
        """Durably, before the first change after a start: the copy lacks all later changes. Raises
        OSError.
        """
        if self._disk.exists(COPY_FILE):
            self._disk.remove(COPY_FILE)
            self._disk.sync_directory("")

    def close_cleanly(self) -> None:
        """Close the file, with all of it durable, and noted elsewhere. Raises OSError."""
        try:
            self.sync_now()
            self.note_size(is_durable=True)
            file = _write_states(self._disk, COPY_FILE, self._groups, self._generation + 1, self._version)
            file.close()
            self._disk.sync_directory("")
        finally:
            self.close()

    def remove(self) -> None:
        """Take back that it was made; the last thing done with it. Raises OSError."""
        self._disk.remove(STATE_FILE)
        self._disk.sync_directory("")

    def close(self) -> None:
        """Close the file as it is."""
        self._journal.file.close()

    def _check(self) -> None:
        if self.failure is not None:
            raise StoreFailed(f"the Raft state store failed: {self.failure}") from self.failure

    def _write(self, *bodies: bytes) -> None:
        """Writes one record for each group."""
        self._check()
        file = self._journal.file
        if file.size() >= self._rewrite_at:
            file = self._try_rewrite(file)
        size = file.size()
        try:
            file.append([codec.frame(body, self._durable_bytes) for body in bodies])
        except OSError as error:
            self._take_back(file, size, error)
            raise
        self.written += len(bodies)

    def _take_back(self, file: File, size: int, error: OSError) -> None:
        """A part of a record may be in the file, even where the file object does not know of it
        (`log.disk.File.append`). Once it is removed, the file has its earlier content, and takes the
        next record when there is room again.
        """
        try:
            file.truncate(size)
        except OSError:
            self.fail(error)

    def _on_all_durable(self) -> None:
        self.synced = self.written
        self._durable_bytes = self._journal.file.size()
        self._asked = None

    # Writing again.

    def _raise_version(self, memberships: Iterable[Membership | None], revision: int = 0) -> None:
        """Before the first revision, of a replica here or in a membership, is written: to a release that does
        not know of revisions it would be damage. Raises OSError, and then the file is as it was or the store
        has failed.
        """
        if self._version < codec.REVISED_VERSION and (
            revision or any(membership is not None and membership.has_revisions for membership in memberships)
        ):
            self._check()
            self._rewrite(codec.REVISED_VERSION)

    def _try_rewrite(self, old: File) -> File:
        """The file to go on with."""
        try:
            return self._rewrite(self._version)
        except OSError:
            if self.failure is not None:
                raise
            # Nothing is lost, the old file goes on.
            self._rewrite_at = 2 * old.size()
            return old

    def _rewrite(self, version: int) -> File:
        """Replaces the file by an equivalent one with one record per group; in place, blocking. Raises
        OSError.

        Memory and file are equal here: this comes before a change, never in the middle of one.
        """
        file = _write_temporary(self._disk, self._groups, self._generation + 1, version)
        try:
            _replace(self._disk)
        except OSError as error:
            if is_out_of_space(error) and self._disk.exists(_TEMPORARY):
                # A directory can need a block for a name. The file was not renamed.
                file.close()
            else:
                self.fail(error)
            raise
        # The old one may be being synced; it closes itself.
        self._journal = _Journal(file)
        self._version = version
        self._generation += 1
        self._rewrite_at = _size_to_rewrite(file.size())
        self._on_all_durable()
        self._write_witness(is_durable=True)
        return file


def _size_to_rewrite(live_bytes: int) -> int:
    return max(REWRITE_BYTES_MIN, _GROWTH_MAX * live_bytes)


def _states(groups: Mapping[GroupId, GroupState]) -> Iterator[bytes]:
    return (codec.frame(codec.format_state(group, state.image()), 0) for group, state in groups.items())


def _write_temporary(disk: Disk, groups: Mapping[GroupId, GroupState], generation: int, version: int) -> File:
    """The whole state in a file of its own, durably."""
    return _write_states(disk, _TEMPORARY, groups, generation, version)


def _write_states(
    disk: Disk, path: str, groups: Mapping[GroupId, GroupState], generation: int, version: int
) -> File:
    if disk.exists(path):
        disk.remove(path)
    file = disk.open(path, create=True)
    states = b"".join(_states(groups))
    file.append([codec.format_file_header(len(states), generation, version), states])
    file.sync()
    return file


def _keep_aside(disk: Disk) -> None:
    """Keeps a damaged journal for inspection. Raises OSError."""
    if disk.exists(STATE_FILE):
        names = (f"{STATE_FILE}.damaged.{number}" for number in count(1))
        disk.rename(STATE_FILE, next(name for name in names if not disk.exists(name)))
        disk.sync_directory("")


def _replace(disk: Disk) -> None:
    disk.rename(_TEMPORARY, STATE_FILE)
    disk.sync_directory("")
