"""A host's counters of its groups: leaderships, in-sync replicas, commits."""

import asyncio
from collections.abc import Callable

import pytest

from chronik.raft.core.types import Membership, founding_replicas
from chronik.raft.latency import LatencyFigures
from chronik.raft.transport import PeerInfo
from chronik.sim.virtual_time import virtual
from tests.unit.raft.test_replicated import change_members
from tests.unit.raft.trio import GROUP, NODES, ReplicaNode, Trio

ONE, TWO, THREE = NODES


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def commits(node: ReplicaNode) -> LatencyFigures:
    return node.group._setting.commits.figures()


async def elected_after_crash(trio: Trio) -> ReplicaNode:
    """Who leads when the first leader is gone."""
    first = await trio.writable_leader()
    await trio.crash(first.node)
    return await trio.writable_leader()


@virtual
async def test_the_first_leader_is_no_election_and_no_change() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    await until(lambda: all(node.group.known_leader == ONE for node in trio.nodes.values()))
    for node in trio.nodes.values():
        counted = node.host.statistics()
        assert (counted.groups, counted.led) == (1, int(node is leader))
        assert (counted.elections, counted.leader_changes, counted.handed_over) == (0, 0, 0)


@virtual
async def test_an_election_is_won_by_one_and_a_change_for_all() -> None:
    trio = await Trio().start()
    second = await elected_after_crash(trio)
    (other,) = (node for node in trio.nodes.values() if node is not second)
    await until(lambda: other.group.known_leader == second.node)
    assert (second.host.statistics().elections, other.host.statistics().elections) == (1, 0)
    assert (second.host.statistics().leader_changes, other.host.statistics().leader_changes) == (1, 1)
    assert second.host.statistics().handed_over == 0


@virtual
async def test_a_leadership_that_was_handed_over_is_counted_where_it_was() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    leader.group.transfer(THREE)
    await until(lambda: leader.group.known_leader == THREE)
    assert leader.host.statistics().handed_over == 1
    assert trio.nodes[THREE].host.statistics().handed_over == 0
    assert trio.nodes[THREE].host.statistics().elections == 1


@virtual
async def test_a_later_leader_was_not_given_the_leadership_for_having_been_once() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    leader.group.transfer(THREE)
    await until(lambda: trio.nodes[THREE].group.is_own_term_committed)
    trio.nodes[THREE].group.transfer(ONE)
    await until(lambda: leader.group.is_own_term_committed)
    trio.network.isolate(ONE)
    await until(lambda: any(trio.nodes[node].group.is_leader for node in (TWO, THREE)))
    if not trio.nodes[THREE].group.is_leader:
        trio.nodes[TWO].group.transfer(THREE)
        await until(lambda: trio.nodes[THREE].group.is_leader)
    trio.network.heal_all()
    await until(lambda: leader.group.known_leader == THREE)
    assert leader.host.statistics().handed_over == 1


@virtual
async def test_a_leadership_that_went_elsewhere_was_not_handed_over() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    leader.group.transfer(THREE)
    await trio.crash(THREE)
    trio.network.isolate(leader.node)
    await trio.start_node(THREE)
    await until(lambda: any(trio.nodes[node].group.is_leader for node in (TWO, THREE)))
    while not trio.nodes[TWO].group.is_leader:
        trio.nodes[THREE].group.transfer(TWO)
        await until(lambda: not trio.nodes[THREE].group.is_leader)
    trio.network.heal_all()
    await until(lambda: leader.group.known_leader == TWO)
    assert leader.host.statistics().handed_over == 0


@virtual
async def test_totals_do_not_fall_when_a_group_goes() -> None:
    trio = await Trio().start()
    second = await elected_after_crash(trio)
    second.host.remove(second.group)
    second.host.remove(second.group)
    counted = second.host.statistics()
    assert second.host.group(GROUP) is None
    assert (counted.groups, counted.elections, counted.leader_changes) == (0, 1, 1)


@virtual
async def test_a_lost_follower_shrinks_what_is_in_sync_and_its_return_expands_it() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    before = leader.host.statistics()
    await trio.crash(THREE)
    await until(lambda: THREE in leader.group.lagging())
    lost = leader.host.statistics()
    assert (lost.shrinks - before.shrinks, lost.expands - before.expands) == (1, 0)
    assert trio.nodes[TWO].host.statistics().shrinks == 0
    await trio.start_node(THREE)
    await until(lambda: THREE not in leader.group.lagging())
    back = leader.host.statistics()
    assert (back.shrinks - before.shrinks, back.expands - before.expands) == (1, 1)
    assert trio.nodes[TWO].host.statistics().expands == 0


@virtual
async def test_a_node_that_returns_with_another_disk_is_in_sync_when_it_may_vote() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    named = {node: f"directory-{node}" for node in NODES}
    await change_members(leader, Membership(voters=frozenset(NODES), replicas=founding_replicas(named)))
    before = leader.host.statistics()
    leader.host.on_peer_down(THREE)
    leader.host.on_peer_up(PeerInfo(THREE, "another", 1))
    lost = leader.host.statistics()
    assert (lost.shrinks - before.shrinks, lost.expands - before.expands) == (1, 0)
    replicas = founding_replicas({**named, THREE: "another"})
    voters = frozenset(NODES) - {THREE}
    await change_members(leader, Membership(voters=voters, learners=frozenset({THREE}), replicas=replicas))
    await change_members(leader, Membership(voters=frozenset(NODES), replicas=replicas))
    back = leader.host.statistics()
    assert (back.shrinks - before.shrinks, back.expands - before.expands) == (1, 1)


@virtual
async def test_a_commit_is_timed_from_its_append() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    started = asyncio.get_running_loop().time()
    end_offset = leader.propose("a")
    leader.propose("while the first is under way")
    while leader.told.high_watermark < end_offset:
        await asyncio.sleep(0.0001)
    took = asyncio.get_running_loop().time() - started
    assert took > 0
    assert sum(commits(leader).counts) == 1
    assert commits(leader).seconds == pytest.approx(took, abs=0.0002)
    await asyncio.sleep(1)
    end_offset = leader.propose("b")
    await until(lambda: leader.told.high_watermark >= end_offset)
    assert sum(commits(leader).counts) == 2
    assert commits(leader).recent_max < 1
    assert all(sum(commits(trio.nodes[node]).counts) == 0 for node in (TWO, THREE))


@virtual
async def test_what_another_leader_commits_is_not_timed() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    trio.network.isolate(leader.node)
    leader.propose("never committed by it")
    await until(lambda: any(trio.nodes[node].group.is_leader for node in (TWO, THREE)))
    (second,) = (trio.nodes[node] for node in (TWO, THREE) if trio.nodes[node].group.is_leader)
    second.propose("a")
    trio.network.heal_all()
    await until(lambda: leader.told.high_watermark > 0)
    assert sum(commits(leader).counts) == 0
