"""A replica's reaction to a failure of its disk, its log or a message."""

import errno

import pytest

from chronik.raft.core.messages import (
    AppendEntries,
    AppendRejected,
    Heartbeat,
    RequestPreVote,
    RequestVote,
    RestartLog,
    TimeoutNow,
    VoteReply,
)
from chronik.raft.core.types import HardState, Membership, RaftIndex, Term
from chronik.raft.markers import RestartPayload
from chronik.raft.persistence import FlushPolicy
from chronik.raft.state_store import STATE_FILE
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import InvariantViolation
from tests.unit.raft.lone import (
    FOUNDERS,
    ONE,
    THREE,
    TWO,
    LoneReplica,
    batch,
    pass_ticks,
    records,
    start,
)
from tests.unit.raft.trio import GROUP, OPTIONS

FULL = OSError(errno.ENOSPC, "no space left on device")
BROKEN = OSError(errno.EIO, "input/output error")
CACHING = FlushPolicy(bytes_max=1 << 30, interval_ms=60_000)

# The journal keeps the path that it was made with.
STATE = f"{STATE_FILE}.tmp"


def fail_once(replica: LoneReplica, monkeypatch: pytest.MonkeyPatch, number: int, error: Exception) -> None:
    """Have the append after so many more fail, as `PartitionLog.append_stamped` says that it may."""
    append, left = replica.log.append_stamped, [number]

    def failing(buffers: object) -> object:
        left[0] -= 1
        if left[0] == -1:
            raise error
        return append(buffers)  # type: ignore[arg-type]

    monkeypatch.setattr(replica.log, "append_stamped", failing)


async def following() -> LoneReplica:
    """A replica that follows node 2 in term 1, with all it knows durable."""
    replica = LoneReplica().open()
    replica.group.bootstrap(TWO)
    replica.append(start(0, 1), prev_term=0, term=1)
    await replica.run()
    assert replica.accepted() == 0
    replica.sent.clear()
    return replica


@virtual
async def test_what_was_appended_before_an_append_failed_is_accepted_after_its_sync(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replica = await following()
    replica.disk.hold_syncs()
    fail_once(replica, monkeypatch, 1, FULL)
    first = records(1, 0, 1, ["a"])
    replica.append(first, prev_term=1, term=1)
    replica.append(records(2, 1, 1, ["b"]), prev_term=1, term=1)
    await replica.run()
    assert replica.log.end_offset == 1
    # The leader sends it again.
    replica.append(first, prev_term=1, term=1)
    await replica.run()
    assert replica.accepted() is None
    replica.disk.let_go()
    await replica.run()
    assert replica.accepted() == 1


@virtual
async def test_a_truncation_of_markers_is_durable_before_what_replaces_them_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replica = await following()
    # The start of a term whose leader reached nobody else.
    replica.append(start(1, 2), prev_term=1, term=2, source=THREE)
    await replica.run()
    # The next leader speaks. Entries of term 1 take its place, the disk is full for a moment, and they come
    # again.
    nothing = RaftIndex(-1)
    replica.group.step(Heartbeat(TWO, ONE, Term(3), nothing, nothing, nothing), -1)
    await replica.run()
    replacing = records(1, 0, 1, ["a"])
    fail_once(replica, monkeypatch, 0, FULL)
    replica.append(replacing, prev_term=1, term=3)
    await replica.run()
    replica.append(replacing, prev_term=1, term=3)
    await replica.run()
    assert replica.accepted() == 1
    reopened = replica.again()
    assert reopened.log.end_offset == 1


@virtual
async def test_entries_that_came_damaged_are_dropped_and_taken_when_they_come_again() -> None:
    replica = await following()
    entries = records(1, 0, 1, ["a"])
    damaged = bytearray(entries.payload[0])  # type: ignore[index]
    damaged[-1] ^= 1
    replica.append(entries._replace(payload=[bytes(damaged)]), prev_term=1, term=1)
    await replica.run()
    assert (replica.told.failure, replica.log.end_offset, replica.accepted()) == (None, 0, None)
    replica.append(entries, prev_term=1, term=1)
    await replica.run()
    assert (replica.log.end_offset, replica.accepted()) == (1, 1)


@virtual
async def test_damaged_entries_are_no_reason_to_rest() -> None:
    replica = await following()
    entries = records(1, 0, 1, ["a"])
    damaged = bytearray(entries.payload[0])  # type: ignore[index]
    damaged[-1] ^= 1
    replica.append(entries._replace(payload=[bytes(damaged)]), prev_term=1, term=1)
    await replica.run()
    replica.group.on_peer_lost(TWO)
    await pass_ticks(replica, 6)
    assert replica.sent_of(RequestPreVote)


@virtual
async def test_a_full_disk_makes_a_follower_rest_until_an_append_went_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replica = await following()
    fail_once(replica, monkeypatch, 0, FULL)
    entries = records(1, 0, 1, ["a"])
    replica.append(entries, prev_term=1, term=1)
    await replica.run()
    replica.group.on_peer_lost(TWO)
    await pass_ticks(replica, 2 * OPTIONS.election_ticks)
    assert not replica.sent_of(RequestPreVote)
    replica.append(entries, prev_term=1, term=1)
    await replica.run()
    replica.group.on_peer_lost(TWO)
    await pass_ticks(replica, 6)
    assert replica.sent_of(RequestPreVote)


@virtual
async def test_a_resting_follower_asks_to_lead_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = await following()
    fail_once(replica, monkeypatch, 0, FULL)
    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=1)
    await replica.run()
    await pass_ticks(replica, 13 * OPTIONS.election_ticks)
    assert replica.sent_of(RequestPreVote)


@virtual
async def test_a_leader_whose_disk_is_full_steps_down_and_tells_all() -> None:
    replica = await LoneReplica().open().lead()
    replica.disk.fail("write", ".log", FULL)
    with pytest.raises(KafkaError) as refused:
        replica.group.propose([batch("a")])
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    await replica.run()
    assert not replica.group.is_leader
    assert replica.told.failure is None
    assert [message.target for message in replica.sent_of(TimeoutNow)] == [TWO]
    assert [message.target for message in replica.sent_of(RequestPreVote)] == [THREE]


@virtual
async def test_a_leader_whose_log_fails_tells_all_others() -> None:
    replica = await LoneReplica().open().lead()
    replica.group.fail(BROKEN)
    assert [message.target for message in replica.sent_of(TimeoutNow)] == [TWO]
    assert [message.target for message in replica.sent_of(RequestPreVote)] == [THREE]
    await replica.run()
    assert replica.told.failure is BROKEN
    assert replica.told.leaderships[-1] == (False, 1)
    assert replica.group.refusal().code is ErrorCode.KAFKA_STORAGE_ERROR


@virtual
async def test_a_leader_that_fails_names_nobody_who_is_not_there_or_does_not_vote() -> None:
    replica = await LoneReplica().open().lead()
    learner = Membership(
        voters=frozenset({ONE, TWO}), learners=frozenset({THREE}), replicas=FOUNDERS.replicas
    )
    assert replica.group.propose_membership(learner)
    await replica.run()
    replica.accept(replica.last)
    await replica.run()
    replica.up = {THREE}
    replica.sent.clear()
    replica.group.fail(BROKEN)
    assert [(type(m), m.target) for m in replica.sent] == [(RequestPreVote, THREE)]


@virtual
async def test_a_failed_replica_does_nothing_more() -> None:
    replica = await LoneReplica().open().lead()
    replica.group.fail(BROKEN)
    replica.group.fail(OSError("another"))
    await replica.run()
    replica.sent.clear()
    rounds = replica.syncer.statistics().rounds
    replica.group.tick()
    replica.group.on_peer_lost(TWO)
    replica.group.on_peer_found(TWO, is_restarted=True)
    replica.group.campaign_soon()
    replica.group.sync_soon()
    replica.accept(replica.last)
    assert not replica.group.propose_membership(FOUNDERS)
    for refused in (lambda: replica.group.propose([batch("a")]), lambda: replica.group.transfer(TWO)):
        with pytest.raises(KafkaError) as caught:
            refused()
        assert caught.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    await replica.run()
    assert replica.sent == []
    assert replica.group.is_quiesced
    assert replica.group.replicas() == ()
    assert replica.syncer.statistics().rounds == rounds
    assert replica.told.failure is BROKEN


@virtual
async def test_a_replica_that_failed_is_not_synced_any_more() -> None:
    replica = await LoneReplica().open().lead()
    replica.disk.hold_syncs()
    replica.group.propose([batch("a")])
    await replica.run()
    replica.group.propose([batch("b")])
    replica.group.fail(BROKEN)
    rounds = len(replica.disk.rounds)
    replica.disk.let_go()
    await replica.run()
    assert len(replica.disk.rounds) == rounds
    assert replica.told.high_watermark == 0


@virtual
async def test_a_restart_that_fails_half_way_harms_no_other_log() -> None:
    replica = await following()
    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=1)
    await replica.run()
    replica.disk.hold_syncs()
    replica.group.sync_soon()
    await wait_until_idle()
    replica.group.sync_soon()
    replica.disk.fail("remove", ".log", BROKEN)
    restart_at(replica, index=9, offset=8)
    replica.turn()
    assert isinstance(replica.told.failure, OSError)

    class Other:
        is_synced = False

        def files_to_sync(self) -> tuple[list[object], Offset]:
            return [], Offset(0)

        def on_synced(self, end_offset: Offset) -> None:
            self.is_synced = True

        def on_sync_failed(self, error: OSError) -> None:
            raise error

    # As a timer that was late would.
    replica.syncer.request(replica.group._persistence)
    other_log = Other()
    replica.syncer.request(other_log)  # type: ignore[arg-type]
    replica.disk.let_go()
    await wait_until_idle()
    assert other_log.is_synced


def restart_at(
    replica: LoneReplica, *, index: int, offset: int, snapshot: bytes | None = None, term: int = 1
) -> None:
    message = RestartLog(
        source=TWO,
        target=ONE,
        term=Term(term),
        index=RaftIndex(index),
        index_term=Term(1),
        membership=FOUNDERS,
        payload=RestartPayload(Offset(offset), snapshot),
    )
    replica.group.step(message, -1)


@virtual
async def test_a_round_that_began_before_a_truncation_says_nothing_of_what_came_after() -> None:
    replica = await following()
    replica.disk.hold_syncs()
    replica.append(start(1, 2), prev_term=1, term=2, source=THREE)
    replica.turn()
    await wait_until_idle()
    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=3)
    replica.turn()
    replica.append(start(1, 2), prev_term=1, term=4, source=THREE)
    replica.turn()
    replica.disk.hold_syncs()
    assert replica.group._core.persisted == 0
    replica.disk._syncs.set()
    replica.disk.hold_syncs()
    await wait_until_idle()
    assert len(replica.disk.rounds) >= 2
    assert replica.group._core.persisted == 0
    replica.disk.let_go()
    await replica.run()
    assert replica.group._core.persisted == 1


@virtual
async def test_what_was_read_before_a_truncation_is_not_sent_after_it() -> None:
    replica = await LoneReplica().open().lead()
    replica.group.propose([batch("a")])
    replica.group.propose([batch("b")])
    await replica.run()
    replica.disk.is_cold = True
    # Node 3 lacks all of it.
    replica.group.on_peer_found(THREE, is_restarted=True)
    await replica.run()
    rejected = AppendRejected(
        source=THREE,
        target=ONE,
        term=Term(1),
        prev_index=RaftIndex(replica.last),
        hint_index=RaftIndex(0),
        hint_term=Term(1),
    )
    replica.group.step(rejected, -1)
    await replica.run()
    (cold,) = replica.loads
    stale = cold.load()
    # Another leader puts something else in the place of both, and this node leads again.
    replica.append(start(1, 2), prev_term=1, term=2)
    replica.append(records(2, 0, 2, ["c", "d"]), prev_term=2, term=2)
    await replica.run()
    replica.group.step(TimeoutNow(source=TWO, target=ONE, term=Term(2)), -1)
    await replica.run()
    replica.group.step(vote(3), -1)
    await replica.run()
    assert replica.group.is_leader
    replica.sent.clear()
    replica.group.step(
        AppendRejected(
            source=THREE,
            target=ONE,
            term=Term(3),
            prev_index=RaftIndex(3),
            hint_index=RaftIndex(1),
            hint_term=Term(2),
        ),
        -1,
    )
    replica.group.on_loaded(stale)
    await replica.run()
    for message in replica.sent_of(AppendEntries):
        assert isinstance(message, AppendEntries)
        payload = b"".join(bytes(b) for e in message.entries for b in (e.payload or ()))  # type: ignore[attr-defined]
        assert b"a" not in payload[-10:]
    assert len(replica.loads) == 2


def vote(term: int) -> VoteReply:
    return VoteReply(source=TWO, target=ONE, term=Term(term), is_granted=True)


@virtual
async def test_a_replica_whose_sync_failed_acknowledges_nothing_and_says_so() -> None:
    replica = await following()
    replica.disk.fail("sync", ".log", BROKEN)
    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=1)
    await replica.run()
    assert replica.accepted() is None
    assert replica.told.failure is BROKEN


CANDIDACY = RequestVote(
    source=TWO, target=ONE, term=Term(5), last_index=RaftIndex(9), last_term=Term(4), is_transfer=True
)


@virtual
async def test_a_replica_whose_store_failed_votes_for_nobody() -> None:
    replica = LoneReplica().open()
    replica.disk.fail("sync", STATE, BROKEN)
    replica.group.step(CANDIDACY, -1)
    await replica.run()
    assert replica.votes() == []
    assert replica.told.failure is not None


@virtual
async def test_a_vote_that_was_not_written_is_none_until_it_is() -> None:
    replica = LoneReplica().open()
    replica.disk.fail("write", STATE, BROKEN)
    for _ in range(2):
        replica.group.step(CANDIDACY, -1)
        await replica.run()
    assert replica.votes() == []
    assert replica.told.failure is None
    replica.disk.heal()
    replica.group.step(CANDIDACY, -1)
    await replica.run()
    assert len(replica.votes()) == 1
    state = replica.store.get(GROUP)
    assert state is not None
    assert state.hard_state == HardState(term=Term(5), voted_for=TWO)


@virtual
async def test_a_vote_that_was_not_written_is_tried_again_once_in_an_election_timeout() -> None:
    replica = LoneReplica().open()
    replica.disk.fail("write", STATE, BROKEN)
    replica.group.step(CANDIDACY, -1)
    await replica.run()
    steps = replica.disk.steps
    await pass_ticks(replica, OPTIONS.election_ticks)
    # The write, and that half of it is taken back.
    assert replica.disk.steps == steps + 2
    replica.disk.heal()
    await pass_ticks(replica, OPTIONS.election_ticks)
    state = replica.store.get(GROUP)
    assert state is not None
    assert state.hard_state == HardState(term=Term(5), voted_for=TWO)


@virtual
async def test_a_truncation_whose_markers_fail_ends_the_replica() -> None:
    """What is left of the log and what is known of its markers may have parted."""
    replica = await following()
    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=1)
    replica.append(start(2, 2), prev_term=1, term=2)
    await replica.run()
    replica.disk.fail("write", STATE, BROKEN)
    replica.append(records(1, 0, 3, ["b"]), prev_term=1, term=3)
    await replica.run()
    assert replica.told.failure is BROKEN


@virtual
async def test_a_closed_replica_hears_no_more_of_its_syncs() -> None:
    replica = await following()
    replica.disk.hold_syncs()
    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=1)
    await replica.run()
    replica.group.close()
    replica.disk.fail("sync", ".log", BROKEN)
    replica.disk.let_go()
    await replica.run()
    assert replica.accepted() is None
    assert replica.told.failure is None
    replica.group.run()
    replica.group.resign()
    assert not replica.is_marked


async def lacking() -> LoneReplica:
    """Leads, and node 3 lacks what is not in memory."""
    replica = await LoneReplica().open().lead()
    replica.group.propose([batch("a")])
    await replica.run()
    replica.accept(replica.last)
    await replica.run()
    replica.disk.is_cold = True
    replica.group.step(
        AppendRejected(
            source=THREE,
            target=ONE,
            term=Term(1),
            prev_index=RaftIndex(0),
            hint_index=RaftIndex(-1),
            hint_term=Term(0),
        ),
        -1,
    )
    replica.group.on_peer_found(THREE, is_restarted=True)
    await replica.run()
    replica.accept(0, source=THREE)
    await replica.run()
    return replica


@virtual
async def test_a_read_that_fails_is_tried_again_and_at_last_another_node_leads() -> None:
    replica = await lacking()
    for number in (1, 2):
        assert len(replica.loads) == number
        replica.group.on_load_failed(BROKEN, is_gone=False)
        await replica.run()
    assert replica.told.failure is None
    replica.group.on_load_failed(BROKEN, is_gone=False)
    await replica.run()
    assert replica.told.failure is BROKEN
    assert [message.target for message in replica.sent_of(TimeoutNow)] == [TWO]


@virtual
async def test_a_read_that_went_well_or_came_too_late_is_no_failure() -> None:
    replica = await lacking()
    for _ in range(2):
        replica.group.on_load_failed(BROKEN, is_gone=False)
        await replica.run()
    for _ in range(5):
        replica.group.on_load_failed(BROKEN, is_gone=True)
        await replica.run()
    replica.group.on_loaded(replica.loads[-1].load())
    await replica.run()
    for _ in range(2):
        replica.group.on_load_failed(BROKEN, is_gone=False)
        await replica.run()
    assert replica.told.failure is None


@virtual
async def test_a_leader_that_cannot_read_what_another_lacks_lets_that_one_lead() -> None:
    replica = await LoneReplica().open().lead()
    replica.group.propose([batch("a")])
    await replica.run()

    def failing(offset: int, max_bytes: int) -> None:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, "damaged")

    replica.log.read_for_replication = failing  # type: ignore[method-assign,assignment]
    replica.group.on_peer_found(THREE, is_restarted=True)
    replica.accept(0, source=THREE)
    # Found in the middle of a proposal, it is not acknowledged.
    with pytest.raises(KafkaError) as refused:
        replica.group.propose([batch("b")])
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    await replica.run()
    assert replica.told.failure is not None
    assert replica.log.end_offset == 1


@virtual
async def test_a_bug_in_a_proposal_stops_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = await LoneReplica().open().lead()

    def violated(**_: object) -> None:
        raise InvariantViolation("a bug")

    monkeypatch.setattr(replica.group._core, "propose", violated)
    with pytest.raises(KafkaError) as refused:
        replica.group.propose([batch("a")])
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    await replica.run()
    assert "a bug" in str(replica.told.failure)
