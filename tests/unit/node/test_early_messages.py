"""A leader that speaks to nodes which have not opened their replicas yet, and is gone before they have."""

import asyncio
from collections.abc import Callable

import pytest

from chronik.node.local_broker import LocalBroker
from chronik.raft.core.messages import Message
from chronik.raft.group import GroupId
from chronik.raft.unknown_group_buffer import UnknownGroupBuffer
from chronik.sim.mutants import MUTANTS
from chronik.sim.process import on_processes
from chronik.vocab.ids import NodeId
from tests.support.cluster_scene import ClusterScene

# Elections, and the time that producers wait before they look for another leader.
GO_ON_SECONDS = 5.0


async def followers_that_lose_their_leader(monkeypatch: pytest.MonkeyPatch) -> ClusterScene:
    """Both followers of a partition start again; its leader dies when both have had messages of it, and they
    open the partition when they have noticed.
    """
    scene = await ClusterScene().open()
    leader = scene.leader()
    followers = [node.node for node in scene.room.nodes.values() if node is not leader]
    group = GroupId(leader.partition("t", 0).topic_id, 0)
    spoken_to: set[NodeId] = set()
    keep, open_partitions = UnknownGroupBuffer.keep, LocalBroker._open_partitions

    def note(buffer: UnknownGroupBuffer, of: GroupId, message: Message, log_start: int) -> None:
        if of == group and message.source == leader.node:
            spoken_to.add(message.target)
        keep(buffer, of, message, log_start)

    async def open_late(broker: LocalBroker) -> None:
        await until(lambda: leader.node not in scene.room.nodes and not hears(broker, leader.node))
        await open_partitions(broker)

    with monkeypatch.context() as patches:
        patches.setattr(UnknownGroupBuffer, "keep", note)
        patches.setattr(LocalBroker, "_open_partitions", open_late)
        for node in followers:
            scene.room.crash(node, is_power_lost=False)
        opening = [asyncio.create_task(scene.room.open_node(node)) for node in followers]
        await until(lambda: spoken_to == set(followers))
        scene.room.crash(leader.node, is_power_lost=False)
        await asyncio.gather(*opening)
    return scene


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(GO_ON_SECONDS):
        while not is_so():
            await asyncio.sleep(0.001)


def hears(broker: LocalBroker, node: NodeId) -> bool:
    return broker.runtime is not None and broker.runtime.host.is_up(node)


@on_processes
async def test_its_followers_elect_another_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await followers_that_lose_their_leader(monkeypatch)
    await scene.acknowledged(2, GO_ON_SECONDS)
    for node in set(scene.room.all_nodes) - scene.room.nodes.keys():
        await scene.room.open_node(node)
    await scene.check()


@on_processes
async def test_that_they_take_it_for_alive_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with MUTANTS["early-messages-outlive-connections"].planted():
        scene = await followers_that_lose_their_leader(monkeypatch)
        with pytest.raises(TimeoutError):
            await scene.acknowledged(2, GO_ON_SECONDS)
