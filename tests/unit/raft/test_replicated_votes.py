"""When a replica's votes and acceptances leave, and whether they count."""

import asyncio

import pytest

from chronik.raft.core.messages import AppendAccepted, Heartbeat, Message, RequestVote
from chronik.raft.core.types import HardState, Membership, RaftIndex, Term, founding_replicas
from chronik.raft.persistence import FlushPolicy
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, Offset
from tests.unit.raft.lone import NAMED, ONE, THREE, TWO, LoneReplica, batch, member, records, start
from tests.unit.raft.test_replicated_failures import following, restart_at
from tests.unit.raft.trio import GROUP

CACHING = FlushPolicy(bytes_max=1_000_000, interval_ms=500)
BROKEN = OSError("broken")


def members(voters: set[NodeId], directory: str) -> Membership:
    """All three, node 1 under `directory`."""
    named = {**NAMED, ONE: directory}
    learners = frozenset({ONE, TWO, THREE}) - voters
    return Membership(voters=frozenset(voters), learners=learners, replicas=founding_replicas(named))


def ask_for_vote(replica: LoneReplica, term: int) -> None:
    message = RequestVote(
        source=TWO,
        target=ONE,
        term=Term(term),
        last_index=RaftIndex(100),
        last_term=Term(term - 1),
        is_transfer=True,
    )
    replica.group.step(message, -1)


def send_commit(replica: LoneReplica, committed: int, term: int = 1) -> None:
    at = RaftIndex(committed)
    replica.group.step(Heartbeat(TWO, ONE, Term(term), at, at, at), -1)


def counted(replica: LoneReplica) -> list[tuple[int, bool]]:
    return [(m.match, m.is_counted) for m in replica.sent if isinstance(m, AppendAccepted)]


def kinds(replica: LoneReplica) -> list[type[Message]]:
    return [type(message) for message in replica.sent]


@virtual
async def test_a_vote_leaves_when_it_is_durable() -> None:
    replica = LoneReplica().open()
    replica.disk.hold_syncs()
    ask_for_vote(replica, 5)
    await replica.run()
    assert replica.votes() == []
    replica.disk.let_go()
    await replica.run()
    assert replica.votes() == [TWO]
    state = replica.again().store.get(GROUP)
    assert state is not None
    assert state.hard_state == HardState(term=Term(5), voted_for=TWO)


@virtual
async def test_a_vote_leaves_with_the_round_that_covers_it_and_not_the_one_before() -> None:
    replica = await following()
    replica.disk.hold_syncs()
    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=1)
    await replica.run()
    ask_for_vote(replica, 5)
    await replica.run()
    # The first round ends, the second is held.
    replica.disk._syncs.set()
    replica.disk._syncs.clear()
    await replica.run()
    assert replica.votes() == []
    replica.disk.let_go()
    await replica.run()
    assert replica.votes() == [TWO]


@virtual
async def test_with_write_caching_entries_are_accepted_at_once_and_votes_are_not() -> None:
    replica = LoneReplica().open(caching=CACHING)
    replica.group.bootstrap(TWO)
    replica.append(start(0, 1), prev_term=0, term=1)
    await replica.run()
    replica.disk.hold_syncs()
    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=1)
    await replica.run()
    assert replica.accepted() == 1
    ask_for_vote(replica, 5)
    await replica.run()
    assert replica.votes() == []
    replica.disk.let_go()
    await replica.run()
    assert replica.votes() == [TWO]


@virtual
async def test_with_write_caching_a_vote_may_leave_with_what_another_group_synced() -> None:
    replica = LoneReplica().open(caching=CACHING)
    replica.disk.hold_syncs()
    ask_for_vote(replica, 5)
    replica.turn()
    assert replica.votes() == []
    replica.store.sync_now()
    # The next thing that is carried out sees it.
    send_commit(replica, -1, term=5)
    replica.turn()
    assert replica.votes() == [TWO]


@virtual
async def test_cached_records_are_synced_by_time_and_by_size_on_leaders_and_followers() -> None:
    replica = LoneReplica().open(caching=CACHING)
    replica.group.bootstrap(TWO)
    replica.append(start(0, 1), prev_term=0, term=1)
    await replica.run()

    def synced() -> int:
        return replica.log.synced_offset

    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=1)
    await replica.run()
    assert synced() == 0
    await asyncio.sleep(0.6)
    await replica.run()
    assert synced() == 1
    replica.append(records(2, 1, 1, ["b" * CACHING.bytes_max]), prev_term=1, term=1)
    await replica.run()
    assert synced() == 2


@virtual
async def test_a_cached_proposal_is_committed_by_a_majority_of_memories() -> None:
    replica = await LoneReplica().open(caching=CACHING).lead()
    replica.disk.hold_syncs()
    end_offset = replica.group.propose([batch("a")]).end_offset
    await replica.run()
    replica.accept(replica.last)
    await replica.run()
    assert replica.told.high_watermark == end_offset
    # Taken back, everything is synced.
    replica.group.set_write_caching(None)
    replica.disk.let_go()
    await replica.run()
    assert replica.log.synced_offset == end_offset
    replica.group.close()


@virtual
async def test_closing_forgets_what_was_to_be_synced_later() -> None:
    replica = await LoneReplica().open(caching=CACHING).lead()
    replica.group.propose([batch("a")])
    await replica.run()
    rounds = len(replica.disk.rounds)
    replica.group.close()
    await asyncio.sleep(2)
    assert len(replica.disk.rounds) == rounds


@virtual
async def test_a_replica_on_another_disk_neither_votes_nor_counts_until_its_membership_is_committed() -> None:
    replica = LoneReplica()
    replica.directory_id = "new"
    replica.open()
    ask_for_vote(replica, 2)
    replica.append(start(0, 2), prev_term=0, term=2)
    await replica.run()
    replica.append(member(1, 2, members({TWO, THREE}, "new")), prev_term=2, term=2)
    await replica.run()
    assert (replica.votes(), counted(replica)) == ([], [(0, False), (1, False)])
    replica.sent.clear()
    send_commit(replica, 1, term=2)
    await replica.run()
    # It says at once that its log counts now.
    assert (1, True) in counted(replica)
    ask_for_vote(replica, 3)
    await replica.run()
    assert replica.votes() == [TWO]


@virtual
async def test_a_disk_that_was_replaced_votes_no_more_when_it_hears_of_it() -> None:
    replica = await following()
    replica.append(member(1, 1, members({TWO, THREE}, "new")), prev_term=1, term=1)
    await replica.run()
    assert counted(replica)[-1] == (1, True)
    send_commit(replica, 1)
    await replica.run()
    replica.append(records(2, 0, 1, ["a"]), prev_term=1, term=1)
    await replica.run()
    assert counted(replica)[-1] == (2, False)
    ask_for_vote(replica, 3)
    await replica.run()
    assert replica.votes() == []


@virtual
async def test_a_committed_membership_that_names_its_disk_is_judged_once() -> None:
    replica = await following()
    replica.append(member(1, 1, members({ONE, TWO, THREE}, f"directory-{ONE}")), prev_term=1, term=1)
    await replica.run()
    send_commit(replica, 1)
    await replica.run()
    assert not replica.group._own.is_vote_open
    replica.append(records(2, 0, 1, ["a"]), prev_term=1, term=1)
    send_commit(replica, 2)
    await replica.run()
    assert counted(replica)[-1] == (2, True)


@virtual
async def test_a_replica_whose_files_were_lost_does_not_vote() -> None:
    replica = LoneReplica().open()
    replica.store.record_loss(GROUP, Offset(0))
    again = LoneReplica(replica.disk).open()
    again.group.bootstrap(TWO)
    ask_for_vote(again, 5)
    await again.run()
    assert again.votes() == []


class Hooks:
    """Of a group with a state beside its log."""

    def __init__(self) -> None:
        self.restarts: list[tuple[int, bytes]] = []
        self.failure: Exception | None = None
        self.failed_appends = 0

    def snapshot(self) -> tuple[Offset, bytes]:
        return Offset(7), b"mine"

    def on_received(self, records: int) -> None:
        pass

    def on_restart(self, offset: Offset, snapshot: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.restarts.append((offset, snapshot))

    def on_append_failed(self) -> None:
        self.failed_appends += 1


async def with_hooks(hooks: Hooks) -> LoneReplica:
    replica = LoneReplica().open(hooks=hooks)
    replica.append(start(0, 1), prev_term=0, term=1)
    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=1)
    await replica.run()
    return replica


@virtual
async def test_a_restart_takes_over_the_snapshot_then_drops_the_log_then_accepts() -> None:
    hooks = Hooks()
    replica = await with_hooks(hooks)
    replica.sent.clear()
    replica.disk.hold_syncs()
    restart_at(replica, index=9, offset=8, snapshot=b"theirs")
    await replica.run()
    assert hooks.restarts == [(8, b"theirs")]
    assert (replica.log.start_offset, replica.log.end_offset) == (8, 8)
    assert replica.told.truncations == [0]
    assert replica.accepted() is None
    replica.disk.let_go()
    await replica.run()
    assert replica.accepted() == 9
    assert replica.told.high_watermark == 8
    assert replica.group.restart_payload(RaftIndex(9)) == (8, b"mine")


@virtual
async def test_without_a_state_beside_the_log_there_is_no_snapshot() -> None:
    replica = await following()
    restart_at(replica, index=9, offset=8)
    await replica.run()
    assert replica.group.restart_payload(RaftIndex(9)) == (8, None)


@virtual
async def test_a_snapshot_that_cannot_be_taken_over_stops_the_group_before_its_log_is_dropped() -> None:
    hooks = Hooks()
    replica = await with_hooks(hooks)
    hooks.failure = BROKEN
    restart_at(replica, index=9, offset=8, snapshot=b"theirs")
    await replica.run()
    assert replica.told.failure is BROKEN
    assert replica.log.end_offset == 1


@virtual
async def test_a_group_with_a_state_beside_its_log_says_when_it_cannot_follow() -> None:
    hooks = Hooks()
    replica = await with_hooks(hooks)
    replica.disk.fail("write", ".log", OSError("full"))
    replica.append(records(2, 1, 1, ["b"]), prev_term=1, term=1)
    await replica.run()
    assert hooks.failed_appends == 1


@virtual
async def test_a_round_that_began_before_a_restart_says_nothing_of_the_new_log() -> None:
    replica = await following()
    replica.disk.hold_syncs()
    replica.append(records(1, 0, 1, ["a", "b"]), prev_term=1, term=1)
    await replica.run()
    restart_at(replica, index=9, offset=8)
    replica.turn()
    replica.disk._syncs.set()
    replica.disk._syncs.clear()
    await replica.run()
    assert replica.group._core.persisted < 9
    assert replica.log.synced_offset == 8
    replica.disk.let_go()
    await replica.run()
    assert replica.group._core.persisted == 9


@pytest.mark.parametrize(
    ("to", "code"),
    [(NodeId(7), ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE), (THREE, ErrorCode.NOT_LEADER_OR_FOLLOWER)],
)
@virtual
async def test_leadership_goes_to_voters_that_are_there(to: NodeId, code: ErrorCode) -> None:
    replica = await LoneReplica().open().lead()
    replica.group.on_peer_lost(THREE)
    with pytest.raises(KafkaError) as refused:
        replica.group.transfer(to)
    assert refused.value.code is code


@virtual
async def test_only_a_leader_changes_members_or_proposes() -> None:
    replica = await following()
    assert not replica.group.propose_membership(members({ONE, TWO}, f"directory-{ONE}"))
    with pytest.raises(KafkaError) as refused:
        replica.group.propose([batch("a")])
    assert refused.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert replica.group.refusal().code is ErrorCode.NOT_LEADER_OR_FOLLOWER


@virtual
async def test_the_log_start_of_the_leader_is_followed_as_far_as_is_committed() -> None:
    replica = await following()
    replica.append(records(1, 0, 1, ["a", "b", "c"]), prev_term=1, term=1, log_start=2)
    await replica.run()
    assert replica.log.start_offset == 0
    send_commit(replica, 2)
    await replica.run()
    assert replica.log.start_offset == 2
