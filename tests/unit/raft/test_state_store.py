"""The store of terms, votes and markers: what it keeps over a crash, and when it refuses."""

import asyncio
import errno
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.raft import state_codec as codec
from chronik.raft import state_store
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM, HardState, Membership, RaftIndex, ReplicaId, Term
from chronik.raft.group import GroupId
from chronik.raft.group_state import GroupState
from chronik.raft.markers import MarkerBase, MarkerRecord
from chronik.raft.state_codec import GroupImage
from chronik.raft.state_store import STATE_FILE, StateStore, StoreDamaged, StoreFailed, StoreTooNew
from chronik.raft.store_witness import WITNESS_FILE
from chronik.server.disk import RealDisk
from chronik.sim.disk import CrashDisk, PowerLost
from chronik.vocab.ids import NodeId, Offset, TopicId
from chronik.vocab.invariant import InvariantViolation

ALONE = Membership(voters=frozenset({NodeId(1)}))
THREE = Membership(voters=frozenset({NodeId(1), NodeId(2), NodeId(3)}))
BASE = MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, ALONE, BEFORE_FIRST)
REVISED = Membership(voters=ALONE.voters, replicas=frozenset({ReplicaId(NodeId(1), "d", 2)}))
LATER = MarkerBase(RaftIndex(50), Offset(40), Term(7), THREE, RaftIndex(50))
GROUP = GroupId(TopicId(b"g" * 16), 0)
OTHER = GroupId(TopicId(b"g" * 16), 1)

VOTED = HardState(term=Term(3), voted_for=NodeId(2))
FIRST = MarkerRecord(RaftIndex(0), Offset(0), Term(1))
SECOND = MarkerRecord(RaftIndex(6), Offset(5), Term(3))

# A file of so many bytes is written again in tests.
SMALL = 5000

EIO = OSError(errno.EIO, "input/output error")


@pytest.fixture
def disk() -> CrashDisk:
    return CrashDisk()


@pytest.fixture
def store(disk: CrashDisk) -> StateStore:
    return StateStore.open(disk)


def state_of(store: StateStore, group: GroupId = GROUP) -> GroupState:
    state = store.get(group)
    assert state is not None
    return state


def reopen(disk: CrashDisk) -> StateStore:
    disk.kill()
    return StateStore.open(disk)


def image_of(store: StateStore) -> dict[GroupId, GroupImage]:
    return {group: state_of(store, group).image() for group in store.groups()}


def sync(store: StateStore) -> None:
    written = store.written
    for file in store.files_to_sync():
        file.sync()
    store.on_synced(written)


class TestContent:
    def test_a_new_one_knows_no_group(self, store: StateStore) -> None:
        assert store.is_new
        assert not store.groups()
        assert store.get(GROUP) is None

    def test_one_that_was_there_is_not_new(self, disk: CrashDisk, store: StateStore) -> None:
        store.close()
        assert not reopen(disk).is_new

    def test_a_group_begins_without_term_or_vote(self, store: StateStore) -> None:
        state = store.create(GROUP, BASE)
        assert state is store.get(GROUP)
        assert state.hard_state == HardState()
        assert state.markers.base == BASE
        assert (state.losses, state.log_end) == (0, 0)

    def test_everything_is_there_after_a_restart(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.create(OTHER, LATER)
        store.record_loss(OTHER, Offset(41))
        store.set_hard_state(GROUP, VOTED)
        store.append_markers(GROUP, [FIRST, SECOND])
        again = reopen(disk)
        assert set(again.groups()) == {GROUP, OTHER}
        assert state_of(again).image() == GroupImage(VOTED, BASE, (FIRST, SECOND), False, 0, Offset(0))
        assert state_of(again, OTHER).image() == GroupImage(HardState(), LATER, (), False, 1, Offset(41))

    def test_a_truncation(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.append_markers(GROUP, [FIRST, SECOND])
        store.truncate_markers(GROUP, RaftIndex(5))
        assert state_of(store).markers.last == FIRST
        assert state_of(reopen(disk)).markers.last == FIRST

    def test_a_restart_of_the_log(self, disk: CrashDisk, store: StateStore) -> None:
        markers = store.create(GROUP, BASE).markers
        store.append_markers(GROUP, [FIRST])
        store.restart(GROUP, LATER)
        # Who holds them need not ask again.
        assert state_of(store).markers is markers
        expected = GroupImage(HardState(), LATER, (), True, 0, Offset(0))
        assert state_of(store).image() == expected
        assert state_of(reopen(disk)).image() == expected

    def test_retention(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.restart(GROUP, LATER)
        start = MarkerRecord(RaftIndex(53), Offset(42), Term(8))
        store.append_markers(GROUP, [start])
        store.rebase(GROUP, RaftIndex(54))
        base = MarkerBase(RaftIndex(54), Offset(43), Term(8), THREE, RaftIndex(50))
        expected = GroupImage(HardState(), base, (), False, 0, Offset(0))
        assert state_of(store).image() == expected
        assert state_of(reopen(disk)).image() == expected

    def test_losses_are_counted(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.raise_log_ends({GROUP: Offset(9)})
        for losses, end in ((1, 7), (2, 8)):
            store.record_loss(GROUP, Offset(end))
            assert (state_of(store).losses, state_of(store).log_end) == (losses, end)
            store = reopen(disk)
            assert (state_of(store).losses, state_of(store).log_end) == (losses, end)

    def test_a_file_of_version_1_is_written_anew(self, disk: CrashDisk) -> None:
        header = struct.Struct(">8sHxxIQ")
        crc = crc32c(header.pack(codec.FILE_MAGIC, 1, 0, 0))
        # What version 1 wrote of a replica whose files were lost.
        body = codec.format_hard_state(GROUP, VOTED)
        wiped = b"\x03" + body[1:21] + b"\x01"
        state = codec.format_state(GROUP, GroupImage(HardState(), BASE, [], False, 0, Offset(0)))
        old_state = state[:29] + b"\x00" + state[42:]
        frames = b"".join(codec.frame(record, 0) for record in (old_state, body, wiped))
        disk.write(STATE_FILE, header.pack(codec.FILE_MAGIC, 1, crc, 0) + frames)
        expected = GroupImage(VOTED, BASE, (), False, 1, Offset(0))
        assert state_of(StateStore.open(disk)).image() == expected
        assert disk.content(STATE_FILE)[8:10] == b"\x00\x02"
        assert state_of(reopen(disk)).image() == expected

    def test_log_ends_rise(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.create(OTHER, BASE)
        store.raise_log_ends({GROUP: Offset(9), OTHER: Offset(3)})
        written = store.written
        # Nothing is written for what is known, nor for a group that was deleted meanwhile.
        store.raise_log_ends({GROUP: Offset(9), OTHER: Offset(2), GroupId(GROUP.topic_id, 5): Offset(1)})
        assert store.written == written
        store.raise_log_ends({GROUP: Offset(10), OTHER: Offset(3)})
        assert store.written == written + 1
        again = reopen(disk)
        assert (state_of(again).log_end, state_of(again, OTHER).log_end) == (10, 3)

    def test_a_log_end_is_lowered_durably(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.raise_log_ends({GROUP: Offset(9)})
        store.lower_log_end(GROUP, Offset(10))
        assert store.synced < store.written
        store.lower_log_end(GROUP, Offset(4))
        assert store.synced == store.written
        disk.crash(Random(1))
        assert state_of(reopen(disk)).log_end == 4

    def test_a_restart_of_the_log_forgets_its_end(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.raise_log_ends({GROUP: Offset(9)})
        store.restart(GROUP, LATER)
        assert state_of(store).log_end == state_of(reopen(disk)).log_end == 0

    def test_a_deleted_group(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.create(OTHER, BASE)
        store.forget(GROUP)
        store.forget(GROUP)
        assert set(store.groups()) == {OTHER}
        assert set(reopen(disk).groups()) == {OTHER}

    def test_what_changes_nothing_is_not_written(self, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.set_hard_state(GROUP, VOTED)
        written = store.written
        store.set_hard_state(GROUP, VOTED)
        store.append_markers(GROUP, [])
        store.truncate_markers(GROUP, RaftIndex(3))
        store.rebase(GROUP, BEFORE_FIRST)
        store.forget(OTHER)
        assert store.written == written

    def test_the_markers_of_one_call_are_one_write(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        steps = disk.steps
        store.append_markers(GROUP, [FIRST, SECOND])
        assert disk.steps == steps + 1


class TestBugs:
    """What a replica gets wrong must not be in the journal, or its node would not start again."""

    @pytest.mark.parametrize(
        "records",
        [[FIRST._replace(index=RaftIndex(1))], [FIRST, FIRST], [FIRST, SECOND._replace(term=Term(1))]],
    )
    def test_markers_that_cannot_be(
        self, disk: CrashDisk, store: StateStore, records: list[MarkerRecord]
    ) -> None:
        store.create(GROUP, BASE)
        with pytest.raises(InvariantViolation):
            store.append_markers(GROUP, records)
        assert not len(state_of(store).markers)
        assert not len(state_of(reopen(disk)).markers)

    def test_a_term_that_falls(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.set_hard_state(GROUP, VOTED)
        with pytest.raises(InvariantViolation):
            store.set_hard_state(GROUP, HardState(term=Term(2)))
        assert state_of(reopen(disk)).hard_state == VOTED

    def test_a_truncation_of_what_is_committed(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, LATER)
        store.append_markers(GROUP, [MarkerRecord(RaftIndex(51), Offset(40), Term(8))])
        with pytest.raises(InvariantViolation):
            store.truncate_markers(GROUP, RaftIndex(49))
        assert len(state_of(reopen(disk)).markers) == 1

    def test_a_group_made_twice(self, store: StateStore) -> None:
        store.create(GROUP, BASE)
        with pytest.raises(InvariantViolation):
            store.create(GROUP, BASE)


class TestSyncing:
    def test_there_is_nothing_to_sync_at_the_beginning(self, store: StateStore) -> None:
        assert (store.written, store.synced) == (0, 0)
        assert not store.files_to_sync()

    def test_a_round_covers_what_was_written_when_it_began(self, store: StateStore) -> None:
        store.create(GROUP, BASE)
        (file,) = store.files_to_sync()
        written = store.written
        store.set_hard_state(GROUP, VOTED)
        file.sync()
        store.on_synced(written)
        assert store.synced == written < store.written
        assert store.files_to_sync()
        # A round that ends late says nothing new.
        store.sync_now()
        store.on_synced(written)
        assert store.synced == store.written

    def test_a_round_without_the_file_says_nothing(self, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.on_synced(store.written)
        assert store.synced < store.written

    def test_syncing_in_place(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.sync_now()
        assert not store.files_to_sync()
        steps = disk.steps
        store.sync_now()
        assert disk.steps == steps

    def test_what_a_restart_found_is_durable(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        reopen(disk)
        disk.crash(Random(1))
        assert set(StateStore.open(disk).groups()) == {GROUP}


class TestFailure:
    def test_a_failed_write_is_taken_back_and_the_next_may_succeed(
        self, disk: CrashDisk, store: StateStore
    ) -> None:
        store.create(GROUP, BASE)
        disk.fail("write", f"{STATE_FILE}.tmp", EIO)
        for _ in range(2):
            with pytest.raises(OSError, match="input/output"):
                store.set_hard_state(GROUP, VOTED)
        disk.heal()
        assert store.failure is None
        assert state_of(store).hard_state == HardState()
        store.append_markers(GROUP, [FIRST])
        store.set_hard_state(GROUP, VOTED)
        store.sync_now()
        disk.crash(Random(1))
        found = state_of(StateStore.open(disk))
        assert found.hard_state == VOTED
        assert list(found.markers.records()) == [FIRST]

    def test_what_a_real_file_took_of_a_failed_write_is_taken_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It does not know of it: its size is that of before."""
        store = StateStore.open(RealDisk(str(tmp_path)))
        store.create(GROUP, BASE)
        before = (tmp_path / STATE_FILE).read_bytes()
        write = os.pwrite

        def write_half(descriptor: int, buffers: Sequence[bytes], position: int) -> int:
            data = b"".join(buffers)
            return write(descriptor, data[: len(data) // 2], position)

        def refuse(descriptor: int, data: bytes, position: int) -> int:
            raise EIO

        with monkeypatch.context() as full:
            full.setattr(os, "pwritev", write_half)
            full.setattr(os, "pwrite", refuse)
            with pytest.raises(OSError, match="input/output"):
                store.set_hard_state(GROUP, VOTED)
        assert (tmp_path / STATE_FILE).read_bytes() == before
        assert store.failure is None
        store.close()

    def test_after_a_write_that_cannot_be_taken_back_nothing_is_written(
        self, disk: CrashDisk, store: StateStore
    ) -> None:
        store.create(GROUP, BASE)
        disk.fail("write", f"{STATE_FILE}.tmp", EIO)
        disk.fail("truncate", f"{STATE_FILE}.tmp", EIO)
        with pytest.raises(OSError, match="input/output"):
            store.set_hard_state(GROUP, VOTED)
        disk.heal()
        self.check_refuses(disk, store)
        assert state_of(reopen(disk)).hard_state == HardState()

    def test_after_a_failed_sync_nothing_is_written(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.sync_now()
        store.append_markers(GROUP, [FIRST])
        disk.fail("sync", f"{STATE_FILE}.tmp", EIO)
        with pytest.raises(OSError, match="input/output"):
            store.sync_now()
        disk.heal()
        assert store.synced < store.written
        self.check_refuses(disk, store)

    def test_a_round_that_failed_says_so_itself(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        written = store.written
        disk.fail("sync", f"{STATE_FILE}.tmp", EIO)
        assert set(asyncio.run(disk.sync_many(store.files_to_sync())).values()) == {EIO}
        disk.heal()
        store.on_synced(written)
        assert (store.failure, store.synced) == (EIO, 0)
        self.check_refuses(disk, store)

    def test_a_round_that_failed(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.fail(EIO)
        store.fail(OSError("later"))
        assert store.failure is EIO
        self.check_refuses(disk, store)

    def check_refuses(self, disk: CrashDisk, store: StateStore) -> None:
        steps = disk.steps
        for change in (
            lambda: store.create(OTHER, BASE),
            lambda: store.set_hard_state(GROUP, HardState(term=Term(9))),
            lambda: store.record_loss(GROUP, Offset(1)),
            lambda: store.raise_log_ends({GROUP: Offset(1)}),
            lambda: store.append_markers(GROUP, [self.next_start(store)]),
            lambda: store.restart(GROUP, LATER),
            lambda: store.rebase(GROUP, RaftIndex(0)),
            lambda: store.forget(GROUP),
            store.files_to_sync,
            store.sync_now,
        ):
            with pytest.raises(StoreFailed, match="input/output"):
                change()
        assert disk.steps == steps
        assert set(store.groups()) == {GROUP}

    def next_start(self, store: StateStore) -> MarkerRecord:
        markers = state_of(store).markers
        return MarkerRecord(markers.index_of(Offset(9)), Offset(9), Term(9))

    def test_a_disk_that_cannot_make_the_file(self, disk: CrashDisk) -> None:
        disk.fail("write", f"{STATE_FILE}.tmp", EIO)
        with pytest.raises(OSError, match="input/output"):
            StateStore.open(disk)
        disk.heal()
        assert StateStore.open(disk).is_new


class TestRevisions:
    """A release that does not know of them must not take them for damage."""

    third = MarkerRecord(RaftIndex(7), Offset(5), Term(3), REVISED)

    def version(self, disk: CrashDisk) -> int:
        header = codec.parse_file_header(disk.content(STATE_FILE))
        assert header is not None
        return header.version

    def test_without_any_an_earlier_release_can_read_the_file(
        self, disk: CrashDisk, store: StateStore
    ) -> None:
        store.create(GROUP, BASE)
        store.append_markers(GROUP, [FIRST, SECOND])
        store.restart(GROUP, LATER)
        store.close_cleanly()
        assert self.version(disk) == 2

    @pytest.mark.parametrize("where", ["create", "replace"])
    def test_that_of_the_replica_itself_is_kept_until_it_is_forgotten(
        self, disk: CrashDisk, store: StateStore, where: str
    ) -> None:
        if where == "create":
            store.create(GROUP, BASE, 7)
        else:
            store.create(GROUP, BASE)
            store.replace(GROUP, GroupState(BASE, 7))
        store.append_markers(GROUP, [FIRST])
        store.record_loss(GROUP, Offset(3))
        store.sync_now()
        assert self.version(disk) == 3
        again = reopen(disk)
        state = again.get(GROUP)
        assert state is not None
        assert (state.revision, state.losses) == (7, 1)
        again.forget(GROUP)
        again.create(GROUP, BASE)
        again.close_cleanly()
        state = StateStore.open(disk).get(GROUP)
        assert state is not None
        assert state.revision == 0

    @pytest.mark.parametrize("where", ["base", "marker", "restart"])
    def test_the_first_one_makes_it_a_file_of_the_next_version(
        self, disk: CrashDisk, store: StateStore, where: str
    ) -> None:
        store.create(OTHER, LATER)
        store.create(GROUP, BASE._replace(membership=REVISED) if where == "base" else BASE)
        store.append_markers(GROUP, [FIRST, SECOND])
        if where == "marker":
            store.append_markers(GROUP, [self.third])
        elif where == "restart":
            store.restart(GROUP, LATER._replace(membership=REVISED))
        before = image_of(store)
        assert self.version(disk) == 3
        again = reopen(disk)
        assert image_of(again) == before
        again.close_cleanly()
        assert self.version(disk) == 3
        assert image_of(StateStore.open(disk)) == before

    def test_what_was_there_is_durable_before_it(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.append_markers(GROUP, [FIRST, SECOND])
        store.append_markers(GROUP, [self.third])
        assert store.synced == store.written - 1

    def test_a_disk_without_room_refuses_it_and_loses_nothing(
        self, disk: CrashDisk, store: StateStore
    ) -> None:
        store.create(GROUP, BASE)
        store.append_markers(GROUP, [FIRST, SECOND])
        before = image_of(store)
        disk.fail("write", f"{STATE_FILE}.tmp", EIO)
        with pytest.raises(OSError, match="input/output"):
            store.append_markers(GROUP, [self.third])
        assert (self.version(disk), store.failure, image_of(store)) == (2, None, before)
        disk.heal()
        store.append_markers(GROUP, [self.third])
        assert state_of(reopen(disk)).markers.last == self.third


class TestRewriting:
    @pytest.fixture(autouse=True)
    def early(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(state_store, "REWRITE_BYTES_MIN", SMALL)

    def grow(self, store: StateStore, disk: CrashDisk) -> None:
        """Until it is time."""
        term = state_of(store).hard_state.term
        while len(disk.content(STATE_FILE)) < SMALL:
            term = Term(term + 1)
            store.set_hard_state(GROUP, HardState(term=term))

    def test_a_file_that_grew_is_written_anew(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        store.create(OTHER, LATER)
        store.append_markers(GROUP, [FIRST])
        self.grow(store, disk)
        before = image_of(store)
        store.append_markers(GROUP, [SECOND])
        assert len(disk.content(STATE_FILE)) < 1000
        assert store.synced == store.written - 1
        again = reopen(disk)
        assert state_of(again, OTHER).image() == before[OTHER]
        assert state_of(again).image() == before[GROUP]._replace(markers=(FIRST, SECOND))

    def test_not_while_most_of_it_is_live(self, disk: CrashDisk, store: StateStore) -> None:
        groups = [GroupId(TopicId(b"t" * 16), number) for number in range(100)]
        for group in groups:
            store.create(group, BASE)
        again = reopen(disk)
        size = len(disk.content(STATE_FILE))
        assert size > SMALL
        again.set_hard_state(groups[0], VOTED)
        assert size < len(disk.content(STATE_FILE)) < size + 100

    @pytest.mark.parametrize(("operation", "path"), [("create", f"{STATE_FILE}.tmp"), ("rename", STATE_FILE)])
    def test_a_full_disk_only_puts_it_off(
        self, disk: CrashDisk, store: StateStore, operation: str, path: str
    ) -> None:
        store.create(GROUP, BASE)
        self.grow(store, disk)
        (old,) = store.files_to_sync()
        disk.fail(operation, path, OSError(errno.ENOSPC, "no space left on device"))
        store.append_markers(GROUP, [FIRST])
        assert store.failure is None
        assert store.files_to_sync() == [old]
        disk.heal()
        store.truncate_markers(GROUP, BEFORE_FIRST)
        assert len(disk.content(STATE_FILE)) > SMALL
        assert state_of(reopen(disk)).markers.last is None

    def test_a_rename_that_is_not_durable_fails_the_store(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        self.grow(store, disk)
        disk.fail("rename", STATE_FILE, EIO)
        with pytest.raises(OSError, match="input/output"):
            store.append_markers(GROUP, [FIRST])
        assert store.failure is not None

    def test_a_round_on_the_old_file_ends(self, disk: CrashDisk, store: StateStore) -> None:
        store.create(GROUP, BASE)
        self.grow(store, disk)
        (old,) = store.files_to_sync()
        written = store.written
        store.append_markers(GROUP, [FIRST])
        old.sync()
        store.on_synced(written)
        assert store.files_to_sync()
        assert store.synced == written
        store.sync_now()
        disk.crash(Random(3))
        assert state_of(StateStore.open(disk)).markers.last == FIRST


class TestDamage:
    @pytest.fixture
    def content(self, disk: CrashDisk, store: StateStore) -> bytes:
        """Durable but for the last record, which was written when the others were."""
        store.create(GROUP, BASE)
        store.set_hard_state(GROUP, VOTED)
        store.append_markers(GROUP, [FIRST])
        sync(store)
        store.append_markers(GROUP, [SECOND])
        return disk.content(STATE_FILE)

    def test_a_torn_end_is_cut(self, disk: CrashDisk, content: bytes) -> None:
        witness = disk.content(WITNESS_FILE)
        whole = state_of(reopen(disk)).image()
        last = len(codec.frame(codec.format_markers(GROUP, [SECOND]), 0))
        for cut in range(1, last + 1):
            disk.write(STATE_FILE, content[:-cut])
            # As it was before the first start, which made the last record durable.
            disk.write(WITNESS_FILE, witness)
            assert state_of(StateStore.open(disk)).image() == whole._replace(markers=(FIRST,))
            assert len(disk.content(STATE_FILE)) == len(content) - last

    def test_what_is_written_behind_a_cut_is_read(self, disk: CrashDisk, content: bytes) -> None:
        disk.write(STATE_FILE, content[:-3] + b"\x01" * 100)
        StateStore.open(disk).append_markers(GROUP, [SECOND])
        assert state_of(reopen(disk)).markers.last == SECOND

    def test_a_hole_in_what_was_durable_stops_the_node(self, disk: CrashDisk, content: bytes) -> None:
        first = codec.FILE_HEADER_BYTES
        last = len(content) - len(codec.frame(codec.format_markers(GROUP, [SECOND]), 0))
        for position in range(first, last, 5):
            damaged = bytearray(content)
            damaged[position] ^= 0x40
            disk.write(STATE_FILE, bytes(damaged))
            with pytest.raises(StoreDamaged, match="is damaged: no record"):
                StateStore.open(disk)

    def test_a_hole_in_what_was_written_anew(self, disk: CrashDisk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(state_store, "REWRITE_BYTES_MIN", SMALL)
        store = StateStore.open(disk)
        store.create(GROUP, BASE)
        TestRewriting().grow(store, disk)
        store.create(OTHER, BASE)
        content = disk.content(STATE_FILE)
        new = len(codec.frame(codec.format_state(OTHER, state_of(store, OTHER).image()), 0))
        for size in range(codec.FILE_HEADER_BYTES, len(content) - new):
            disk.write(STATE_FILE, content[:size])
            with pytest.raises(StoreDamaged):
                StateStore.open(disk)
        disk.write(STATE_FILE, content[:-new])
        assert set(StateStore.open(disk).groups()) == {GROUP}

    @pytest.mark.parametrize(
        "content", [b"", b"CHRNKRST", bytes(200), b"Not a journal at all, but somebody's text"]
    )
    def test_another_file(self, disk: CrashDisk, content: bytes) -> None:
        disk.write(STATE_FILE, content)
        with pytest.raises(StoreDamaged, match="does not begin as one"):
            StateStore.open(disk)

    def test_a_later_release(self, disk: CrashDisk) -> None:
        disk.write(STATE_FILE, codec.format_file_header(0, 1, version=4))
        with pytest.raises(StoreTooNew, match="version 4"):
            StateStore.open(disk)

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"\x63" + bytes(20), id="unknown kind"),
            pytest.param(b"\x01", id="too short"),
            pytest.param(codec.format_hard_state(GROUP, VOTED), id="unknown group"),
            pytest.param(
                codec.format_state(GROUP, GroupImage(VOTED, BASE, [SECOND], False, 0, Offset(0))), id="no log"
            ),
        ],
    )
    def test_a_record_that_makes_no_sense(self, disk: CrashDisk, body: bytes) -> None:
        disk.write(STATE_FILE, codec.format_file_header(0, 1) + codec.frame(body, 0))
        with pytest.raises(StoreDamaged, match="makes no sense"):
            StateStore.open(disk)


@dataclass(slots=True)
class World:
    """A store, and all that it said since it was last durable."""

    random: Random
    disk: CrashDisk = field(default_factory=CrashDisk)
    store: StateStore = field(init=False)
    possible: list[dict[GroupId, GroupImage]] = field(init=False)

    def __post_init__(self) -> None:
        self.store = StateStore.open(self.disk)
        self.possible = [{}]

    def change(self) -> None:
        group = self.random.choice([GROUP, OTHER])
        state = self.store.get(group)
        expected = dict(self.possible[-1])
        shadow = GroupState(BASE) if state is None else GroupState.of(state.image())
        # What it will say, before it does: power may be lost in the middle.
        action = self._draw(group, shadow, is_new=state is None)
        if action == "forget":
            del expected[group]
        else:
            expected[group] = shadow.image()
        self.possible.append(expected)
        self._do(group, shadow, action)
        assert image_of(self.store) == expected

    def sync(self) -> None:
        count = len(self.possible) - 1
        sync(self.store)
        del self.possible[:count]

    def crash(self) -> None:
        self.disk.crash(self.random)
        while True:
            if self.random.random() < 0.3:
                self.disk.lose_power_at(self.random.randrange(6))
            try:
                self.store = StateStore.open(self.disk)
            except PowerLost:
                self.disk.crash(self.random)
            else:
                break
        self.disk.lose_power_at(None)
        found = image_of(self.store)
        assert found in self.possible
        self.possible = [found]

    def _draw(self, group: GroupId, shadow: GroupState, *, is_new: bool) -> str:
        if is_new:
            return "create"
        markers = shadow.markers
        term = Term(max(shadow.hard_state.term, 0 if markers.last is None else markers.last.term) + 1)
        match self.random.randrange(9):
            case 8 if markers.last is not None:
                shadow.rebase(markers.last.index)
                return "rebase"
            case 0 | 1:
                shadow.hard_state = HardState(term=term, voted_for=self.random.choice([None, NodeId(2)]))
                return "vote"
            case 2 | 3 | 4:
                offset = Offset(0 if markers.last is None else markers.last.offset + self.random.randrange(3))
                offset = max(offset, markers.base.offset)
                record = MarkerRecord(
                    markers.index_of(offset), offset, Term(max(term, markers.base.term + 1))
                )
                markers.append(record)
                return "append"
            case 5 if markers.last is not None:
                markers.truncate(RaftIndex(markers.last.index - 1))
                return "truncate"
            case 6:
                shadow.restart(MarkerBase(RaftIndex(9), Offset(5), term, THREE, RaftIndex(9)))
                return "restart"
            case _:
                return "forget"

    def _do(self, group: GroupId, shadow: GroupState, action: str) -> None:
        match action:
            case "create":
                self.store.create(group, BASE)
            case "vote":
                self.store.set_hard_state(group, shadow.hard_state)
            case "append":
                self.store.append_markers(group, shadow.markers.records()[-1:])
            case "truncate":
                # Up to the one before what was drawn off.
                last = shadow.markers.last
                self.store.truncate_markers(group, shadow.markers.base.index if last is None else last.index)
            case "rebase":
                self.store.rebase(group, shadow.markers.base.index)
            case "restart":
                self.store.restart(group, shadow.markers.base)
            case "forget":
                self.store.forget(group)


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 99), min_size=10, max_size=60))
def test_a_crash_leaves_what_was_durable_and_a_beginning_of_the_rest(seed: int, script: list[int]) -> None:
    world = World(Random(seed))
    with patch.object(state_store, "REWRITE_BYTES_MIN", 400):
        for choice in script:
            if choice % 10 == 0:
                world.disk.lose_power_at(world.random.randrange(6))
            try:
                world.sync() if choice < 25 else world.change()
            except PowerLost:
                world.crash()
            world.disk.lose_power_at(None)
            if choice > 95:
                world.crash()
        world.crash()
