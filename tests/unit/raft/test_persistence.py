"""The durable state of a group, and the messages that wait for it."""

import asyncio
from collections.abc import Sequence

import pytest

from chronik.raft.core.entries import Append, Entries
from chronik.raft.core.messages import Message, TimeoutNow
from chronik.raft.core.types import HardState, RaftIndex, Term
from chronik.raft.persistence import FlushPolicy, Persistence
from chronik.raft.replicated_log import ReplicatedLog
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.ids import NodeId, Offset
from tests.support.held_disk import HeldDisk
from tests.unit.raft.lone import LoneReplica, records, start
from tests.unit.raft.trio import GROUP

CACHING = FlushPolicy(bytes_max=5_000, interval_ms=500)
BROKEN = OSError("broken")


class Group:
    """Writes, and writes down what it is told."""

    def __init__(self, caching: FlushPolicy | None = None) -> None:
        replica = LoneReplica(HeldDisk()).open()
        self.disk, self.store, self.syncer = replica.disk, replica.store, replica.syncer
        self.log = replica.log
        self.raft_log = ReplicatedLog(GROUP, replica.log, replica.store, replica.loads.append)
        self.persistence = Persistence(self, self.raft_log, self.store, self.syncer, caching)
        self.released: list[int] = []
        self.persisted: list[tuple[int, int]] = []
        self.rounds = 0
        self.failure: OSError | None = None
        self.disk.hold_syncs()

    def on_round_end(self) -> None:
        self.rounds += 1

    def on_own_synced(self, end_offset: Offset) -> bool:
        return False

    def on_persisted(self, last_index: RaftIndex, term: Term) -> None:
        self.persisted.append((last_index, term))

    def release(self, messages: Sequence[Message]) -> None:
        self.released += [message.term for message in messages]

    def on_sync_failed(self, error: OSError) -> None:
        self.failure = error

    def write(self, entries: Entries) -> None:
        before = self.store.written
        self.raft_log.append(Append(entries.first, entries.last, entries))
        if self.store.written != before:
            self.persistence.on_store_written()
        self.persistence.on_appended(entries.size)

    def hold(self, *numbers: int, has_written: bool = True) -> None:
        self.persistence.hold([message(number) for number in numbers], has_written=has_written)

    def begin(self) -> "Group":
        """With a term that is durable."""
        self.write(start(0, 1))
        self.store.sync_now()
        return self

    async def end_round(self) -> None:
        """The one that is held; the next one is held again."""
        await wait_until_idle()
        self.disk.let_go()
        self.disk.hold_syncs()
        await wait_until_idle()


def message(number: int) -> Message:
    return TimeoutNow(source=NodeId(1), target=NodeId(2), term=Term(number))


@virtual
async def test_what_needs_no_write_leaves_at_once() -> None:
    group = Group().begin()
    group.hold(1, has_written=False)
    assert group.released == [1]
    assert group.disk.rounds == []


@virtual
async def test_messages_leave_when_the_round_ends_that_covers_them() -> None:
    group = Group().begin()
    group.write(records(1, 0, 1, ["a"]))
    group.hold(1)
    await wait_until_idle()
    group.write(records(2, 1, 1, ["b"]))
    group.hold(2)
    # Nothing of its own was written, but it tells of what was.
    group.hold(3, has_written=False)
    assert group.released == []
    await group.end_round()
    assert (group.released, group.persisted, group.rounds) == ([1], [(1, 1)], 1)
    await group.end_round()
    assert (group.released, group.persisted[-1]) == ([1, 2, 3], (2, 1))
    assert group.log.synced_offset == 2


@virtual
async def test_what_comes_during_a_round_that_covers_it_leaves_with_it() -> None:
    group = Group().begin()
    group.write(records(1, 0, 1, ["a"]))
    group.hold(1)
    await wait_until_idle()
    # Nothing was written since the round began, so no other one is needed.
    group.hold(2, has_written=False)
    await group.end_round()
    assert (group.released, group.rounds) == ([1, 2], 1)
    await group.end_round()
    assert (group.rounds, len(group.disk.rounds)) == (1, 1)


@virtual
async def test_a_store_that_was_written_during_a_round_is_synced_by_another() -> None:
    group = Group().begin()
    group.write(records(1, 0, 1, ["a"]))
    group.hold(1)
    await wait_until_idle()
    group.store.set_hard_state(GROUP, HardState(term=Term(9)))
    group.persistence.on_store_written()
    group.hold(2, has_written=False)
    await group.end_round()
    assert group.store.synced < group.store.written
    await group.end_round()
    assert group.released == [1, 2]
    assert group.store.synced == group.store.written


@virtual
async def test_a_proposal_costs_one_round() -> None:
    group = Group().begin()
    group.raft_log.append(Append(RaftIndex(1), RaftIndex(1), records(1, 0, 1, ["a"])))
    group.persistence.on_proposed(100)
    await wait_until_idle()
    # The round runs already when the turn ends in which the core hands the proposal out.
    group.hold(1, has_written=False)
    await group.end_round()
    await group.end_round()
    assert (group.released, group.persisted, group.rounds) == ([1], [(1, 1)], 1)


@virtual
async def test_a_round_syncs_the_store_only_for_those_who_wrote_there() -> None:
    group = Group()
    group.write(start(0, 1))
    group.hold(1)
    await group.end_round()
    # An empty log is not synced either.
    assert [len(files) for files in group.disk.rounds] == [1]
    assert group.store.synced == group.store.written
    group.store.set_hard_state(GROUP, HardState(term=Term(9)))
    group.write(records(1, 0, 1, ["a"]))
    group.hold(2)
    await group.end_round()
    assert group.log.synced_offset == 1
    assert group.store.synced < group.store.written


@virtual
async def test_with_write_caching_what_is_in_the_log_is_as_good_as_durable() -> None:
    group = Group(CACHING).begin()
    group.write(records(1, 0, 1, ["a"]))
    group.hold(1)
    assert (group.released, group.persisted) == ([1], [(1, 1)])
    await wait_until_idle()
    assert group.disk.rounds == []


@virtual
async def test_with_write_caching_what_is_in_the_store_is_not() -> None:
    group = Group(CACHING).begin()
    group.write(start(1, 2))
    group.hold(1)
    assert group.released == []
    await group.end_round()
    assert group.released == [1]


@virtual
async def test_a_log_without_entries_has_nothing_that_is_persisted() -> None:
    group = Group(CACHING)
    group.hold(1)
    assert (group.released, group.persisted) == ([1], [])
    group.persistence.sync_soon()
    await group.end_round()
    assert (group.rounds, group.persisted) == (1, [])


@virtual
async def test_cached_bytes_are_synced_when_they_are_many_or_old() -> None:
    group = Group(CACHING).begin()
    group.write(records(1, 0, 1, ["a"]))
    group.hold()
    group.hold()
    await asyncio.sleep(0.4)
    assert group.disk.rounds == []
    await asyncio.sleep(0.2)
    assert len(group.disk.rounds) == 1
    await group.end_round()
    group.write(records(2, 1, 1, ["b" * CACHING.bytes_max]))
    group.hold()
    await wait_until_idle()
    assert len(group.disk.rounds) == 2
    await group.end_round()
    # The count starts over, and the timer is not the last one's.
    group.persistence.on_proposed(10)
    await asyncio.sleep(1)
    assert len(group.disk.rounds) == 2


@virtual
async def test_without_write_caching_a_proposal_asks_for_its_sync() -> None:
    group = Group().begin()
    group.persistence.on_proposed(10)
    await wait_until_idle()
    assert len(group.disk.rounds) == 1


@virtual
async def test_when_write_caching_ends_all_is_synced() -> None:
    group = Group(CACHING).begin()
    group.write(records(1, 0, 1, ["a"]))
    group.hold()
    group.persistence.set_write_caching(None)
    await group.end_round()
    assert group.log.synced_offset == 1
    group.write(records(2, 1, 1, ["b"]))
    group.hold(1)
    assert group.released == []


@pytest.mark.parametrize("is_restart", [True, False])
@virtual
async def test_a_cut_ends_what_a_round_says_of_the_log_and_not_what_may_leave(is_restart: bool) -> None:
    group = Group().begin()
    group.write(records(1, 0, 1, ["a"]))
    group.hold(1)
    await wait_until_idle()
    group.persistence.on_cut(is_restart=is_restart)
    await group.end_round()
    assert (group.released, group.persisted, group.rounds) == ([1], [], 1)
    assert group.log.synced_offset == (0 if is_restart else 1)


@virtual
async def test_after_a_write_that_failed_nothing_passes_for_durable() -> None:
    group = Group().begin()
    group.hold(has_written=False)
    group.persistence.on_write_failed()
    group.hold(1, has_written=False)
    assert group.released == []
    await group.end_round()
    assert group.released == [1]


@virtual
async def test_a_checkpoint_that_cannot_be_written_matters_to_nobody() -> None:
    group = Group().begin()
    group.write(records(1, 0, 1, ["a"]))
    group.log.roll()
    group.write(records(2, 1, 1, ["b"]))
    group.disk.fail("write", "recovery-point-offset-checkpoint.tmp", BROKEN)
    group.disk.fail("create", "recovery-point-offset-checkpoint.tmp", BROKEN)
    group.hold(1)
    await group.end_round()
    assert (group.released, group.failure) == ([1], None)


@virtual
async def test_a_sync_that_fails_is_told_and_nothing_leaves() -> None:
    group = Group().begin()
    group.write(records(1, 0, 1, ["a"]))
    group.hold(1)
    group.disk.fail("sync", ".log", BROKEN)
    await group.end_round()
    assert (group.released, group.failure) == ([], BROKEN)


@virtual
async def test_after_its_end_nothing_is_synced_or_told() -> None:
    group = Group(CACHING).begin()
    group.write(records(1, 0, 1, ["a"]))
    group.persistence.sync_soon()
    await wait_until_idle()
    group.hold()
    group.persistence.end(BROKEN)
    group.persistence.end(OSError("another"))
    group.disk.fail("sync", ".log", OSError("a third"))
    await group.end_round()
    group.persistence.sync_soon()
    await asyncio.sleep(1)
    assert (group.rounds, group.failure, len(group.disk.rounds)) == (0, None, 1)
    with pytest.raises(OSError, match="broken"):
        group.persistence.files_to_sync()
    group.persistence.on_synced(group.log.end_offset)
    assert group.rounds == 0
