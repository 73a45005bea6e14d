"""The leader's view of its followers."""

import asyncio

from chronik.raft.core.types import Membership
from chronik.raft.group import Replica
from chronik.sim.virtual_time import virtual
from chronik.vocab.ids import NodeId, Offset
from tests.unit.raft.lone import FOUNDERS, NAMED, ONE, THREE, TWO, LoneReplica, batch, records, start

LAG_SECONDS = 30


async def leading() -> LoneReplica:
    """Node 2 has all, node 3 has never answered."""
    return await LoneReplica().open().lead()


def by_node(replica: LoneReplica) -> dict[int, Replica]:
    return {one.node: one for one in replica.group.replicas()}


@virtual
async def test_a_leader_describes_all_replicas_itself_first() -> None:
    replica = await leading()
    replica.group.propose([batch("a")])
    await replica.run()
    replica.accept(replica.last)
    await asyncio.sleep(1)
    assert [one.node for one in replica.group.replicas()] == [ONE, TWO, THREE]
    described = by_node(replica)
    assert described[ONE] == Replica(ONE, True, Offset(1), 1000, 1000)
    assert described[TWO] == Replica(TWO, True, Offset(1), 1000, 1000)
    # Nothing is known of it, but that it is there.
    assert described[THREE] == Replica(THREE, True, 0, -1, 1000)


@virtual
async def test_who_is_not_connected_was_heard_and_had_all_when_it_was_looked_at() -> None:
    replica = await leading()
    await asyncio.sleep(1)
    replica.group.look_for_laggards()
    replica.up = {THREE}
    await asyncio.sleep(1)
    lost = by_node(replica)[TWO]
    assert (lost.caught_up_ms, lost.last_contact_ms) == (1000, -1)


@virtual
async def test_the_end_of_a_follower_below_the_log_start_is_not_known() -> None:
    replica = await leading()
    for value in ("a", "b"):
        replica.group.propose([batch(value)])
    await replica.run()
    replica.accept(replica.last)
    await replica.run()
    replica.log.roll()
    replica.group.propose([batch("c")])
    await replica.run()
    replica.log.advance_start(2)
    await replica.log.tidy()
    replica.group.on_tidied()
    described = by_node(replica)
    assert (described[TWO].end_offset, described[THREE].end_offset) == (2, -1)


@virtual
async def test_others_than_the_leader_know_nothing_of_it() -> None:
    replica = LoneReplica().open()
    replica.group.bootstrap(TWO)
    replica.append(start(0, 1), prev_term=0, term=1)
    replica.append(records(1, 0, 1, ["a"]), prev_term=1, term=1)
    await replica.run()
    replica.up = set()
    assert replica.group.replicas() == ()
    assert replica.group.lagging() == frozenset()
    assert not replica.group.look_for_laggards()


@virtual
async def test_who_is_lost_is_out_of_sync_at_once() -> None:
    replica = await leading()
    assert replica.group.lagging() == frozenset()
    replica.up = {TWO}
    assert replica.group.lagging() == {THREE}
    assert replica.group.laggards == frozenset()


@virtual
async def test_who_lags_is_found_by_looking_and_forgiven_with_the_next_term() -> None:
    replica = await leading()
    for _ in range(2 * (LAG_SECONDS + 1)):
        replica.group.propose([batch("a")])
        await replica.run()
        replica.accept(replica.last)
        await replica.run()
        replica.group.look_for_laggards()
        await asyncio.sleep(0.5)
    assert replica.group.laggards == replica.group.lagging() == {THREE}
    replica.append(start(replica.last + 1, 2), prev_term=1, term=2)
    await replica.run()
    assert replica.group.laggards == frozenset()


@virtual
async def test_a_learner_and_an_empty_disk_in_a_voters_place_are_not_in_sync() -> None:
    replica = await leading()
    replica.directories[THREE] = "another"
    assert replica.group.look_for_laggards()
    assert replica.group.lagging() == {THREE}
    replica.directories[THREE] = NAMED[THREE]
    assert replica.group.look_for_laggards()
    assert replica.group.lagging() == frozenset()
    learner = Membership(
        voters=frozenset({ONE, TWO}), learners=frozenset({THREE}), replicas=FOUNDERS.replicas
    )
    assert replica.group.propose_membership(learner)
    await replica.run()
    assert replica.group.look_for_laggards()
    assert replica.group.lagging() == {THREE}


@virtual
async def test_a_disk_that_is_not_named_or_not_known_may_be_the_right_one() -> None:
    replica = LoneReplica().open(membership=Membership(voters=FOUNDERS.voters))
    await replica.lead()
    replica.directories[THREE] = "any"
    replica.up = {THREE}
    assert not replica.group.look_for_laggards()


@virtual
async def test_who_was_a_learner_is_in_sync_when_its_vote_is_committed() -> None:
    replica = await leading()
    learner = Membership(
        voters=frozenset({ONE, TWO}), learners=frozenset({THREE}), replicas=FOUNDERS.replicas
    )
    assert replica.group.propose_membership(learner)
    await replica.run()
    for node in (TWO, THREE):
        replica.accept(replica.last, source=node)
    await replica.run()
    assert replica.group.propose_membership(FOUNDERS)
    assert not replica.group.has_membership(THREE)
    await replica.run()
    replica.group.look_for_laggards()
    assert replica.group.lagging() == {THREE}
    replica.accept(replica.last, source=THREE)
    await replica.run()
    replica.group.look_for_laggards()
    assert replica.group.lagging() == frozenset()
    assert replica.group.has_membership(THREE)
    assert not replica.group.has_membership(ONE)


@virtual
async def test_replicas_that_do_not_vote_yet_are_not_in_sync_in_any_term() -> None:
    four = NodeId(4)
    replica = await leading()
    replica.accept(replica.last, source=THREE)
    replica.group.expect(frozenset({ONE, TWO, THREE, four}))
    assert replica.group.look_for_laggards()
    assert replica.group.lagging() == {four}
    replica.group.on_leader_changed()
    assert replica.group.lagging() == {four}
    replica.group.expect(frozenset({ONE, TWO, THREE}))
    assert replica.group.look_for_laggards()
    assert replica.group.lagging() == frozenset()
