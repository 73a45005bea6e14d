"""A store of terms and votes that is not what it was: which node goes on, with which store."""

from dataclasses import dataclass

import pytest

from chronik.log.names import LOG, offset_name
from chronik.node.data_directory import load_identity
from chronik.node.lost_store import is_new_member, open_store
from chronik.node.metadata_partition import METADATA_GROUP
from chronik.node.partition_directories import METADATA_DIRECTORY
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM, HardState, Membership, Term
from chronik.raft.group import GroupId
from chronik.raft.markers import MarkerBase
from chronik.raft.state_store import COPY_FILE, STATE_FILE, StateStore
from chronik.raft.store_witness import WITNESS_FILE
from chronik.sim.disk import CrashDisk
from chronik.vocab.ids import NodeId, Offset, TopicId

ONE = NodeId(1)
GROUP = GroupId(TopicId(b"g" * 16), 0)
BASE = MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, Membership(voters=frozenset({ONE})), BEFORE_FIRST)
VOTED = HardState(term=Term(3), voted_for=NodeId(2))


@dataclass
class Room:
    """A node that voted, and was stopped or killed."""

    disk: CrashDisk
    directory_id: str

    def reopen(self) -> tuple[StateStore, bool]:
        """The store, and whether the node is still the same one."""
        self.disk.kill()
        store = open_store(self.disk)
        return store, load_identity(self.disk, ONE, "c").directory_id == self.directory_id


def voted(*, is_stopped: bool) -> Room:
    disk = CrashDisk()
    store = open_store(disk)
    identity = load_identity(disk, ONE, "c")
    store.create(GROUP, BASE)
    store.set_hard_state(GROUP, VOTED)
    store.sync_now()
    if is_stopped:
        store.close_cleanly()
    else:
        store.note_size()
    return Room(disk, identity.directory_id)


def hard_state(store: StateStore) -> HardState | None:
    state = store.get(GROUP)
    return None if state is None else state.hard_state


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_store_that_is_whole(is_stopped: bool) -> None:
    room = voted(is_stopped=is_stopped)
    store, is_same = room.reopen()
    assert is_same
    assert hard_state(store) == VOTED
    assert not room.disk.exists(COPY_FILE)


def damages(disk: CrashDisk) -> list[bytes | None]:
    """Contents of a store that was lost or damaged, or cut where a record ends or does not."""
    content = disk.content(STATE_FILE)
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    return [None, bytes(flipped), *(content[:size] for size in range(0, len(content), 7))]


@pytest.mark.parametrize("is_stopped", [False, True])
def test_each_damage_is_noticed_and_forgets_no_vote(
    is_stopped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for content in damages(voted(is_stopped=is_stopped).disk):
        room = voted(is_stopped=is_stopped)
        if content is None:
            room.disk.lose(STATE_FILE)
        else:
            room.disk.write(STATE_FILE, content)
        caplog.clear()
        store, is_same = room.reopen()
        # Either it remembers, or it is another node to its groups.
        assert is_same == is_stopped
        assert hard_state(store) == (VOTED if is_stopped else None)
        expected = "votes restored" if is_stopped else "votes of this node were lost"
        assert [expected in record.message for record in caplog.records] == [True]
        assert caplog.records[0].levelname == "ERROR"
        # What was found is kept.
        assert room.disk.exists(f"{STATE_FILE}.damaged.1") == (content is not None)
        store.close()
        assert room.reopen()[1] == is_same


def test_a_copy_is_not_believed_once_the_node_has_voted_again() -> None:
    room = voted(is_stopped=True)
    store, _ = room.reopen()
    store.set_hard_state(GROUP, HardState(term=Term(4), voted_for=ONE))
    store.sync_now()
    store.note_size()
    room.disk.lose(STATE_FILE)
    store, is_same = room.reopen()
    assert not is_same
    assert hard_state(store) is None


def test_a_copy_that_is_damaged_is_none() -> None:
    room = voted(is_stopped=True)
    room.disk.lose(STATE_FILE)
    room.disk.write(COPY_FILE, room.disk.content(COPY_FILE)[:-3])
    _, is_same = room.reopen()
    assert not is_same


@pytest.mark.parametrize(
    "content", [None, b"", b"0\n1\n1 99999", b"0\n1\nx y\n", b"0\n1\n1\n", b"0\n1\n1 99999\n"]
)
def test_without_a_witness_the_store_is_taken_at_its_word(content: bytes | None) -> None:
    room = voted(is_stopped=False)
    room.disk.lose(WITNESS_FILE)
    if content is not None:
        room.disk.write(WITNESS_FILE, content)
    store, is_same = room.reopen()
    assert is_same
    assert hard_state(store) == VOTED


def test_the_bytes_of_the_witness() -> None:
    room = voted(is_stopped=False)
    size = len(room.disk.content(STATE_FILE))
    assert size == 189
    assert room.disk.content(WITNESS_FILE) == b"0\n1\n1 189\ncrc32c 25a54f5d\n"


def test_a_witness_of_mixed_digits_vouches_for_nothing() -> None:
    # What a crash makes of an unsynced 189 in the place of a 190.
    room = voted(is_stopped=False)
    torn = room.disk.content(WITNESS_FILE).replace(b" 189", b" 199")
    room.disk.write(WITNESS_FILE, torn)
    store, is_same = room.reopen()
    assert is_same
    assert hard_state(store) == VOTED


def test_an_older_store_put_back_is_noticed() -> None:
    room = voted(is_stopped=False)
    older = room.disk.content(STATE_FILE)
    store, _ = room.reopen()
    store.set_hard_state(GROUP, HardState(term=Term(4), voted_for=ONE))
    store.sync_now()
    store.note_size()
    room.disk.write(STATE_FILE, older)
    assert not room.reopen()[1]


class TestNewMembers:
    def test_an_empty_directory(self) -> None:
        disk = CrashDisk()
        assert is_new_member(disk, open_store(disk), METADATA_GROUP)

    def test_one_that_knows_the_metadata(self) -> None:
        disk = CrashDisk()
        store = open_store(disk)
        store.create(METADATA_GROUP, BASE)
        assert not is_new_member(disk, store, METADATA_GROUP)

    def test_a_founding_that_was_cut_short(self) -> None:
        disk = CrashDisk()
        disk.make_directory(METADATA_DIRECTORY)
        disk.write(f"{METADATA_DIRECTORY}/{offset_name(0, LOG)}", b"")
        assert is_new_member(disk, open_store(disk), METADATA_GROUP)

    @pytest.mark.parametrize(
        ("directory", "name"), [(METADATA_DIRECTORY, offset_name(0, LOG)), ("t-0", "partition.metadata")]
    )
    def test_one_that_has_what_only_a_member_has(self, directory: str, name: str) -> None:
        disk = CrashDisk()
        disk.make_directory(directory)
        disk.write(f"{directory}/{name}", b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA\n")
        assert not is_new_member(disk, open_store(disk), METADATA_GROUP)
