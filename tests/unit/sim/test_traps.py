"""Nodes that die where they are told to."""

import asyncio
from dataclasses import replace
from random import Random
from unittest.mock import patch

import pytest

from chronik.cluster.metadata.topics import CreateTopic
from chronik.raft.core.core import RaftCore
from chronik.raft.core.roles import Role
from chronik.raft.core.types import RaftIndex
from chronik.raft.state_codec import Kind
from chronik.sim import traps
from chronik.sim.cluster import NODES, SimCluster, SimNode
from chronik.sim.process import on_processes
from chronik.sim.process_disk import Change
from chronik.sim.traps import Moment, Traps
from chronik.vocab.ids import NodeId, TopicPartition
from tests.unit.raft.core.group import Group, membership

ONE = NODES[0]
PARTITION = TopicPartition("t", 0)


class Deaths:
    """Who died, how, and whether of a trap."""

    def __init__(self) -> None:
        self.seen: list[tuple[NodeId, str, bool]] = []
        self.happened = asyncio.Event()

    def __call__(self, node: NodeId, how: str, is_trap: bool) -> None:
        self.seen.append((node, how, is_trap))
        self.happened.set()


async def create(node: SimNode, name: str) -> None:
    await node.do(node.broker.metadata.submit(CreateTopic(name=name, partitions=1)))


@on_processes
async def test_a_leader_dies_before_it_has_committed_anything() -> None:
    room = await SimCluster().open()
    deaths = Deaths()
    set_traps = Traps(room, Random(1), deaths)
    trap = set_traps.set(PARTITION, Moment.ELECTED, 0)
    creating = asyncio.create_task(create(room.nodes[ONE], "t"))
    async with asyncio.timeout(20):
        await trap.sprung.wait()
    assert trap.victim is not None
    assert trap.victim not in room.nodes
    [(who, _, is_trap)] = deaths.seen
    assert (who, is_trap) == (trap.victim, True)
    set_traps.drop(trap)
    set_traps.drop(trap)
    await room.open_node(trap.victim)
    await asyncio.wait([creating])
    await room.close()


@on_processes
async def test_a_leader_that_has_committed_lives() -> None:
    room = await SimCluster().open()
    await create(room.nodes[ONE], "t")
    await asyncio.sleep(2)
    deaths = Deaths()
    set_traps = Traps(room, Random(1), deaths)
    set_traps.set(PARTITION, Moment.ELECTED, 0)
    # Of which all take frames.
    await create(room.nodes[ONE], "u")
    await asyncio.sleep(2)
    assert deaths.seen == []
    await room.close()


@on_processes
async def test_brittle_nodes_die_of_a_change_until_it_is_over() -> None:
    room = await SimCluster().open()
    deaths = Deaths()
    set_traps = Traps(room, Random(1), deaths)
    with (
        patch.object(traps, "_BRITTLENESS", {(Change.WRITE, ".log"): 1.0}),
        patch.object(traps, "_BRITTLE_KINDS", 1.0),
    ):
        set_traps.be_brittle()
    creating = asyncio.create_task(create(room.nodes[ONE], "t"))
    async with asyncio.timeout(20):
        await deaths.happened.wait()
    who, how, is_trap = deaths.seen[0]
    assert ".log" in how
    assert not is_trap
    assert who not in room.nodes
    set_traps.clear()
    died = len(deaths.seen)
    for node in NODES:
        if node not in room.nodes:
            await room.open_node(node)
    await asyncio.wait([creating])
    assert len(deaths.seen) == died
    await room.close()


@pytest.mark.parametrize("kind", [Kind.RESTART, Kind.FORGET])
def test_rare_records_doom_and_common_ones_do_not(kind: Kind) -> None:
    assert traps._DOOM[kind] > 0
    assert Kind.HARD_STATE not in traps._DOOM
    assert traps._doom(b"no record") == 0


@on_processes
async def test_a_doomed_node_dies_some_changes_later() -> None:
    room = await SimCluster().open()
    deaths = Deaths()
    set_traps = Traps(room, Random(1), deaths)
    with patch.object(traps, "_doom", lambda written: 1.0), patch.object(traps, "_CHANGES_DOOMED_MAX", 2):
        set_traps.be_brittle()
        set_traps._brittleness.clear()
        set_traps._is_doom_near = True
        creating = asyncio.create_task(create(room.nodes[ONE], "t"))
        async with asyncio.timeout(20):
            await deaths.happened.wait()
    set_traps.clear()
    for node in NODES:
        if node not in room.nodes:
            await room.open_node(node)
    await asyncio.wait([creating])
    await room.close()


def test_half_way_is_when_a_follower_has_something_of_an_earlier_term_that_was_not_committed() -> None:
    group = Group(membership(1, 2, 3))
    group.load(1, 1, (1, "a"), (1, "b"))
    group.campaign(1)
    leader = group.core(1)
    assert leader.role is Role.LEADER
    last = RaftIndex(leader.committed)
    # All have its first entry, which is of its own term.
    assert not traps._is_half_way(leader, last)
    assert not traps._is_half_way(leader, RaftIndex(last - 1))
    followers = {NodeId(2): replace(leader.followers[NodeId(2)], match=RaftIndex(last - 1))}
    with patch.object(RaftCore, "followers", followers):
        assert traps._is_half_way(leader, RaftIndex(last - 2))
        assert not traps._is_half_way(leader, RaftIndex(last - 1))
