"""Partitions with one replica in a cluster of three nodes."""

import asyncio
from collections.abc import Callable

from chronik.cluster.metadata.topics import CreateTopic
from chronik.log.disk import Disk
from chronik.raft.group import GroupId
from chronik.raft.state_store import STATE_FILE, StateStore
from chronik.sim.agreement import runtime_of, values, wait_for_agreement
from chronik.sim.cluster import SimCluster
from chronik.sim.process import on_processes
from chronik.sim.producers import Producer
from chronik.vocab.ids import NodeId

PARTITIONS = 3
NODES = (NodeId(1), NodeId(2), NodeId(3))


class Scene:
    """A topic with a partition on each node, and a producer for each partition."""

    def __init__(self) -> None:
        self.room = SimCluster(1)
        self.producers: list[Producer] = []
        self._running: list[asyncio.Task[None]] = []

    async def open(self) -> "Scene":
        await self.room.open()
        node = self.room.nodes[NodeId(1)]
        command = CreateTopic(name="t", partitions=PARTITIONS, replication_factor=1)
        await node.do(node.broker.metadata.submit(command))
        self.producers = [Producer(self.room, "t", index, 100 + index) for index in range(PARTITIONS)]
        self._running = [asyncio.create_task(producer.run()) for producer in self.producers]
        await self.acknowledged(3)
        return self

    async def acknowledged(self, count: int) -> None:
        wanted = {producer: len(producer.acked) + count for producer in self.producers}
        await self.until(lambda: all(len(one.acked) >= wanted[one] for one in self.producers))

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not is_so():
                await asyncio.sleep(0.01)

    def epochs(self) -> dict[NodeId, int]:
        """Of the partition that each node has."""
        return {
            node.node: partition.leader_epoch
            for node in self.room.nodes.values()
            for partition in node.broker.replicas.partitions()
        }

    async def check(self) -> None:
        for producer in self.producers:
            producer.is_stopping = True
        await asyncio.gather(*self._running)
        assert await wait_for_agreement(self.room, 30) == []
        for producer in self.producers:
            assert producer.refusals == []
            (log,) = [
                partition.log
                for node in self.room.nodes.values()
                if (partition := node.broker.replicas.find("t", producer.index)) is not None
            ]
            assert [value for _, value in values(log)] == list(map(producer.value, range(producer.sent)))
        assert self.room.network.failures == []
        await self.room.close()


@on_processes
async def test_they_are_groups_like_all_others_and_send_nothing() -> None:
    scene = await Scene().open()
    for node in scene.room.nodes.values():
        groups = [group for group in runtime_of(node).host.groups() if group.members == {node.node}]
        assert len(groups) == 1
        assert groups[0].is_quiesced
        assert groups[0].is_alone
    await scene.check()


@on_processes
async def test_what_was_acknowledged_survives_a_crash_and_a_stop_and_the_epoch_rises() -> None:
    scene = await Scene().open()
    for node in NODES:
        before = scene.epochs()[node]
        scene.room.crash(node, is_power_lost=node == NODES[0])
        await scene.room.open_node(node)
        await scene.acknowledged(2)
        assert scene.epochs()[node] > before
    before = scene.epochs()[NODES[1]]
    await scene.room.stop(NODES[1])
    await scene.room.open_node(NODES[1])
    await scene.acknowledged(2)
    assert scene.epochs()[NODES[1]] > before
    await scene.check()


@on_processes
async def test_a_directory_of_a_release_that_kept_no_state_of_them_opens() -> None:
    scene = await Scene().open()
    node = NODES[2]
    (partition,) = scene.room.nodes[node].broker.replicas.partitions()
    group, before = GroupId(partition.topic_id, partition.name.partition), partition.leader_epoch
    await scene.room.stop(node)
    forget(scene.room.disks[node], group)
    await scene.room.open_node(node)
    await scene.acknowledged(2)
    assert scene.epochs()[node] > before
    await scene.check()


@on_processes
async def test_a_node_that_lost_its_store_keeps_them() -> None:
    scene = await Scene().open()
    node = NODES[0]
    scene.room.crash(node, is_power_lost=False)
    scene.room.disks[node].remove(STATE_FILE)
    await scene.room.open_node(node)
    await scene.acknowledged(2)
    await scene.check()


def forget(disk: Disk, group: GroupId) -> None:
    store = StateStore.open(disk)
    assert store.get(group) is not None
    store.forget(group)
    store.close_cleanly()
