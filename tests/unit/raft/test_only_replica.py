"""A partition's only replica: it leads at once, commits what it synced, and keeps all that its log has."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from chronik.log.config import LogConfig
from chronik.log.partition_log import PartitionLog
from chronik.log.reading import ColdRead
from chronik.raft.core.messages import RestartLog
from chronik.raft.core.types import HardState, Membership, ReplicaId, founding_replicas
from chronik.raft.persistence import FlushPolicy
from chronik.raft.state_store import STATE_FILE
from chronik.records.record import decode_records
from chronik.sim.virtual_time import LoopClock, virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch
from tests.support.held_disk import HeldDisk
from tests.unit.raft.lone import NAMED, ONE, TWO, LoneReplica, batch, pass_ticks
from tests.unit.raft.trio import GROUP

ALONE = Membership(voters=frozenset({ONE}), replicas=founding_replicas({ONE: NAMED[ONE]}))
CACHING = FlushPolicy(bytes_max=1_000_000, interval_ms=1_000_000)
FULL = OSError(errno.ENOSPC, "No space left on device")
BROKEN = OSError(errno.EIO, "Input/output error")


def opened(disk: HeldDisk | None = None, caching: FlushPolicy | None = None) -> LoneReplica:
    replica = LoneReplica(disk).open(membership=ALONE, caching=caching)
    assert replica.group.lead_alone()
    return replica


async def leading(caching: FlushPolicy | None = None) -> LoneReplica:
    """In a term that is durable, with a record at offset 0."""
    replica = opened(caching=caching)
    replica.group.propose([batch("a")])
    await replica.run()
    assert replica.told.high_watermark == 1
    return replica


def again(replica: LoneReplica) -> LoneReplica:
    """The next life, of a machine that lost its power."""
    following = replica.again(membership=ALONE)
    assert following.group.lead_alone()
    return following


def records(log: PartitionLog) -> list[tuple[int, bytes]]:
    """Epoch and value of each."""
    if log.start_offset == log.end_offset:
        return []
    read = log.read_for_replication(log.start_offset, 1 << 20)
    if isinstance(read, ColdRead):
        read = read.load()
    return [
        (one.header.leader_epoch, record.value or b"")
        for one in read.batches()
        for record in decode_records(one)
    ]


def values(log: PartitionLog) -> list[bytes]:
    return [value for _, value in records(log)]


def fill_store(replica: LoneReplica) -> None:
    for name in (STATE_FILE, f"{STATE_FILE}.tmp"):
        replica.disk.fail("write", name, FULL)


@virtual
async def test_it_leads_at_once_and_writes_its_term_down() -> None:
    replica = opened()
    group = replica.group
    assert group.is_leader
    assert group.is_own_term_committed
    assert (group.leader_epoch, group.known_leader) == (1, ONE)
    await replica.run()
    state = replica.store.get(GROUP)
    assert state is not None
    assert state.hard_state == HardState(term=LeaderEpoch(1), voted_for=ONE)
    assert replica.store.synced == replica.store.written
    assert replica.told.leaderships == [(True, 1)]
    assert replica.told.settled == 1
    assert group.is_quiesced
    assert group.elections == 0


@virtual
async def test_a_commit_comes_after_the_sync_and_never_inside_propose() -> None:
    replica = await leading()
    replica.disk.hold_syncs()
    assert replica.group.propose([batch("b"), batch("c")]).end_offset == 3
    replica.turn()
    await wait_until_idle()
    assert replica.told.high_watermark == replica.group.high_watermark == 1
    replica.disk.let_go()
    await replica.run()
    assert replica.told.high_watermark == replica.group.high_watermark == 3
    assert replica.log.synced_offset == 3
    assert replica.sent == []


@virtual
async def test_the_first_record_of_a_term_waits_for_the_term() -> None:
    replica = opened(caching=CACHING)
    replica.disk.hold_syncs()
    replica.group.propose([batch("a")])
    replica.turn()
    await wait_until_idle()
    # Write caching trusts memory with records, never with terms.
    assert replica.told.high_watermark == 0
    replica.disk.let_go()
    await replica.run()
    assert replica.told.high_watermark == 1


@virtual
async def test_a_record_costs_no_turn_of_the_core() -> None:
    replica = await leading()
    replica.group.propose([batch("b")])
    assert not replica.is_marked
    await wait_until_idle()
    assert not replica.is_marked
    assert replica.told.high_watermark == 2
    assert replica.syncer.statistics().rounds <= 4


@virtual
async def test_records_under_load_do_not_keep_it_from_going_past_the_core() -> None:
    replica = opened()
    for number in range(20):
        replica.group.propose([batch(str(number))])
        replica.turn()
        await asyncio.sleep(0)
    await replica.run()
    assert replica.told.high_watermark == 20
    assert replica.group.is_quiesced


@virtual
async def test_each_start_leads_in_a_later_epoch_also_without_a_record() -> None:
    replica = opened()
    epochs = []
    for _ in range(3):
        await replica.run()
        epochs.append(replica.group.leader_epoch)
        replica = again(replica)
    assert epochs == [1, 2, 3]


@virtual
async def test_what_recovery_found_is_committed_at_once() -> None:
    replica = again(await leading())
    replica.turn()
    assert replica.told.high_watermark == 1
    assert values(replica.log) == [b"a"]


@virtual
async def test_write_caching_commits_from_memory_and_tells_at_the_end_of_the_turn() -> None:
    replica = await leading(CACHING)
    replica.group.propose([batch("b")])
    replica.group.propose([batch("c")])
    assert replica.group.high_watermark == 3
    assert replica.told.high_watermark == 1
    replica.turn()
    assert replica.told.high_watermark == 3
    assert replica.log.synced_offset < 3
    replica.group.set_write_caching(None)
    await replica.run()
    assert replica.log.synced_offset == 3
    replica.group.propose([batch("d")])
    assert replica.group.high_watermark == 3
    replica.group.close()


@virtual
async def test_write_caching_syncs_once_enough_bytes_wait_or_time_has_passed() -> None:
    replica = await leading(FlushPolicy(bytes_max=1, interval_ms=1_000_000))
    replica.group.propose([batch("b")])
    await replica.run()
    assert replica.log.synced_offset == 2
    replica = await leading(FlushPolicy(bytes_max=1_000_000, interval_ms=50))
    replica.group.propose([batch("b")])
    await replica.run()
    assert replica.log.synced_offset < 2
    await asyncio.sleep(0.06)
    await replica.run()
    assert replica.log.synced_offset == 2


@virtual
async def test_with_a_full_disk_it_leads_for_readers_and_takes_records_when_there_is_room() -> None:
    replica = (await leading()).again(membership=ALONE)
    fill_store(replica)
    assert replica.group.lead_alone()
    await replica.run()
    assert replica.group.is_leader
    assert replica.told.high_watermark == 1
    for _ in range(2):
        with pytest.raises(KafkaError) as refused:
            replica.group.propose([batch("b")])
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        await replica.run()
    replica.disk.heal()
    assert replica.group.propose([batch("b")]).base_offset == 1
    await replica.run()
    assert replica.told.high_watermark == 2
    state = replica.store.get(GROUP)
    assert state is not None
    assert state.hard_state.term == replica.group.leader_epoch == 2


@virtual
async def test_a_full_disk_refuses_an_append_and_lets_the_next_one_pass() -> None:
    for replica in (opened(), await leading()):
        end_offset = replica.log.end_offset
        replica.disk.fail("write", ".log", FULL)
        with pytest.raises(KafkaError) as refused:
            replica.group.propose([batch("b")])
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        await replica.run()
        assert replica.group.is_leader
        replica.disk.heal()
        assert replica.group.propose([batch("b")]).base_offset == end_offset
        await replica.run()
        assert replica.told.high_watermark == end_offset + 1


@virtual
async def test_a_failed_sync_ends_it() -> None:
    replica = await leading()
    replica.disk.fail("sync", ".log", BROKEN)
    replica.group.propose([batch("b")])
    await replica.run()
    assert replica.told.high_watermark == 1
    assert replica.told.failure is not None
    assert not replica.group.is_leader
    replica.disk.heal()
    with pytest.raises(KafkaError) as refused:
        replica.group.propose([batch("c")])
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR


@virtual
async def test_a_log_that_breaks_inside_propose_is_told_of_after_it() -> None:
    replica = await leading()
    replica.disk.fail("write", ".log", BROKEN)
    replica.disk.fail("truncate", ".log", BROKEN)
    with pytest.raises(KafkaError) as refused:
        replica.group.propose([batch("b")])
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert not replica.group.is_leader
    assert replica.told.failure is None
    replica.turn()
    assert replica.told.failure is not None


@virtual
async def test_a_group_that_is_closed_during_a_sync_hears_no_more_of_it() -> None:
    replica = await leading()
    replica.disk.hold_syncs()
    replica.group.propose([batch("b")])
    await wait_until_idle()
    replica.group.close()
    replica.disk.let_go()
    await replica.run()
    assert replica.told.high_watermark == 1


@virtual
async def test_there_is_nobody_to_hand_over_to() -> None:
    replica = await leading()
    with pytest.raises(KafkaError) as refused:
        replica.group.transfer(TWO)
    assert refused.value.code is ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE
    await replica.run()
    replica.group.propose([batch("b")])
    await replica.run()
    assert replica.told.high_watermark == 2


@virtual
async def test_a_node_that_stops_leads_to_the_end() -> None:
    replica = await leading()
    replica.group.resign()
    await replica.run()
    assert replica.group.is_leader


@virtual
async def test_a_lost_store_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    replica = again(await leading())
    replica.group.propose([batch("b")])
    await replica.run()
    replica.group.close()
    for name in [name for name in replica.disk.list("") if name.startswith(STATE_FILE)]:
        replica.disk.remove(name)
    replica = opened(replica.disk)
    assert replica.group.leader_epoch == 3
    replica.group.propose([batch("c")])
    await replica.run()
    assert replica.told.high_watermark == 3
    assert values(again(replica).log) == [b"a", b"b", b"c"]


@virtual
async def test_a_log_of_a_release_without_terms_for_it_is_taken_over() -> None:
    disk = HeldDisk()
    log = PartitionLog.open("t-0", disk, LogConfig(), LoopClock(), was_clean=False)
    for epoch in (0, 0, 4):
        log.append([batch(str(epoch))], LeaderEpoch(epoch))
    for file in log.files_to_sync()[0]:
        file.sync()
    replica = opened(disk)
    assert replica.group.leader_epoch == 5
    replica.group.propose([batch("new")])
    await replica.run()
    # Such a release again, which knows nothing of the store.
    log = again(replica).log
    log.append([batch("7")], LeaderEpoch(7))
    for file in log.files_to_sync()[0]:
        file.sync()
    replica = opened(disk)
    assert replica.group.leader_epoch == 8
    await replica.run()
    assert values(replica.log) == [b"0", b"0", b"4", b"new", b"7"]


@virtual
async def test_another_replica_can_be_added_and_is_sent_all() -> None:
    replica = await leading()
    replica.group.propose([batch("b")])
    wanted = Membership(voters=ALONE.voters, learners=frozenset({TWO}), replicas=founding_replicas(NAMED))
    assert replica.group.propose_membership(wanted)
    await replica.run()
    assert replica.told.high_watermark == 2
    sent = [message for message in replica.sent if message.target == TWO]
    assert sent
    assert not any(isinstance(message, RestartLog) for message in sent)
    assert not replica.group.is_alone
    # It does not count, but hears of everything from now on.
    replica.sent.clear()
    replica.accept(replica.last)
    replica.group.propose([batch("c")])
    await replica.run()
    assert replica.told.high_watermark == 3
    assert [message for message in replica.sent if message.target == TWO]


@virtual
async def test_a_replica_can_be_added_while_the_disk_is_full_or_the_term_is_being_synced() -> None:
    wanted = Membership(voters=ALONE.voters, learners=frozenset({TWO}), replicas=founding_replicas(NAMED))
    replica = (await leading()).again(membership=ALONE)
    fill_store(replica)
    assert replica.group.lead_alone()
    assert not replica.group.propose_membership(wanted)
    await replica.run()
    assert replica.group.is_leader
    replica.disk.heal()
    replica.group.propose([batch("b")])
    await replica.run()
    assert replica.group.propose_membership(wanted)
    await replica.run()
    assert replica.told.high_watermark == 2
    replica = again(await leading())
    replica.disk.hold_syncs()
    replica.turn()
    replica.group.propose([batch("b")])
    # The start of its term is not durable.
    assert not replica.group.propose_membership(wanted)
    replica.disk.let_go()
    await replica.run()
    assert replica.told.high_watermark == 2
    assert replica.group.propose_membership(wanted)


@pytest.mark.parametrize("seed", range(30))
@virtual
async def test_whenever_it_crashes_what_was_committed_stays_in_its_epoch(seed: int) -> None:
    chance, disk = Random(seed), HeldDisk()
    committed: list[tuple[int, bytes]] = []
    for life in range(6):
        replica = opened(disk)
        assert all(epoch < replica.group.leader_epoch for epoch, _ in committed)
        assert records(replica.log)[: len(committed)] == committed
        for number in range(chance.randrange(8)):
            replica.group.propose([batch(f"{life}.{number}")])
            await chance.choice([_nothing, replica.run, _turn_of(replica)])()
        committed = records(replica.log)[: replica.told.high_watermark]
        replica.group.close()
        disk.crash(chance)


async def _nothing() -> None:
    return


def _turn_of(replica: LoneReplica) -> Callable[[], Awaitable[None]]:
    async def turn() -> None:
        replica.turn()
        await asyncio.sleep(0)

    return turn


@virtual
async def test_a_founder_that_was_moved_away_and_back_is_not_alone() -> None:
    """It is another replica than the only founder, whose records others have now."""
    replica = LoneReplica().open(membership=ALONE, revision=3)
    assert replica.group.replica_id == ReplicaId(ONE, NAMED[ONE], 3)
    assert not replica.group.is_alone
    assert not replica.group.lead_alone()
    assert not replica.group.has_vote
    replica.group.campaign_soon()
    await pass_ticks(replica, 100)
    assert (replica.group.is_leader, replica.group.leader_epoch) == (False, 0)


@virtual
async def test_a_replica_of_a_later_revision_is_alone_once_it_is_the_only_member() -> None:
    own = ReplicaId(ONE, NAMED[ONE], 3)
    replica = LoneReplica().open(
        membership=Membership(voters=frozenset({ONE}), replicas=frozenset({own})), revision=3
    )
    assert replica.group.lead_alone()
    replica.group.propose([batch("a")])
    await replica.run()
    assert replica.told.high_watermark == 1


@virtual
async def test_the_only_replica_on_another_disk_is_another_one_unless_the_metadata_says_it_is_alone() -> None:
    replica = LoneReplica()
    replica.directory_id = "another"
    replica.open(membership=ALONE)
    assert not replica.group.lead_alone()
    replica.group.close()
    own = Membership(voters=frozenset({ONE}), replicas=founding_replicas({ONE: "another"}))
    following = LoneReplica(replica.disk)
    following.directory_id = "another"
    following.open(membership=own)
    assert following.group.lead_alone()


@virtual
async def test_what_is_asked_of_every_group_is_answered_without_a_core() -> None:
    replica = await leading()
    group = replica.group
    assert not group.is_membership_pending
    assert not group.is_handing_over
    assert not group.suspend(lambda: None)
    assert group.is_quiesced
    group.expect(frozenset({ONE}))
    assert group._stand_in is not None
    assert group.lagging() == frozenset()
    # Replicas that are yet to come have to be waited for.
    group.expect(frozenset({ONE, TWO}))
    assert group._stand_in is None
    await replica.run()
    assert group.look_for_laggards()
    assert TWO in group.lagging()
    assert group.is_leader


@virtual
async def test_a_membership_is_committed_before_records_go_past_the_core_again() -> None:
    replica = await leading()
    assert replica.group.propose_membership(ALONE)
    replica.group.propose([batch("b")])
    assert replica.group.is_membership_pending
    await replica.run()
    assert not replica.group.is_membership_pending
    replica.group.propose([batch("c")])
    await replica.run()
    assert values(replica.log) == [b"a", b"b", b"c"]
    assert replica.told.high_watermark == 3
