"""A partition gets more replicas, and fewer, while records are written to it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chronik.cluster.metadata.replicas import ChangeReplicas, PartitionImage
from chronik.cluster.metadata.topics import CreateTopic
from chronik.log.partition_log import PartitionLog
from chronik.log.vouched import VouchedLog
from chronik.raft.group import GroupId
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.state_store import STATE_FILE
from chronik.sim.agreement import runtime_of, values, wait_for_agreement
from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.process import ProcessDied, on_processes
from chronik.sim.process_disk import Death, Operation
from chronik.sim.producers import Producer, leader_of, open_nodes
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NodeId, Offset

ONE, TWO, THREE = NODES = (NodeId(1), NodeId(2), NodeId(3))


class Scene:
    """A topic with one partition, which a producer writes to."""

    def __init__(self, seed: int = 1) -> None:
        self.room = SimCluster(seed)

    async def open(self, *replicas: NodeId) -> "Scene":
        await self.room.open()
        node = self.room.nodes[ONE]
        await node.do(node.broker.metadata.submit(CreateTopic(name="t", assignments={0: replicas})))
        self.producer = Producer(self.room, "t", 0, 100)
        self._running = asyncio.create_task(self.producer.run())
        await self.acknowledged(3)
        return self

    async def acknowledged(self, count: int) -> None:
        wanted = len(self.producer.acked) + count
        await self.until(lambda: len(self.producer.acked) >= wanted)

    async def until(self, is_so: Callable[[], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not is_so():
                await asyncio.sleep(0.01)

    def image(self) -> PartitionImage:
        """As the node that has applied most knows it."""
        images = [node.broker.metadata.image.topics["t"].partitions[0] for node in open_nodes(self.room)]
        return max(images, key=lambda image: image.revision)

    def known_nodes(self, node: SimNode) -> tuple[NodeId, ...]:
        """Who has replicas, as far as this one knows; all while it starts."""
        if not node.is_open:
            return NODES
        return node.broker.metadata.image.topics["t"].partitions[0].nodes

    def leader(self) -> ReplicatedGroup | None:
        found = leader_of(self.room, "t", 0)
        group = None if found is None else self.group(found[0].node)
        return group if group is not None and group.is_own_term_committed else None

    def group(self, node: NodeId) -> ReplicatedGroup | None:
        topic = self.room.nodes[node].broker.metadata.image.topics["t"]
        return runtime_of(self.room.nodes[node]).host.group(GroupId(topic.topic_id, 0))

    async def change(self, *nodes: NodeId) -> None:
        while True:
            node = open_nodes(self.room)[0]
            topic_id = node.broker.metadata.image.topics["t"].topic_id
            command = ChangeReplicas(topic_id=topic_id, partition=0, nodes=nodes)
            try:
                await node.do(node.broker.metadata.submit(command))
            except (KafkaError, ProcessDied):
                await asyncio.sleep(0.1)
            else:
                return

    def is_done(self, nodes: tuple[NodeId, ...]) -> bool:
        """Whether the group has these members, who all vote, and nobody else holds any of it."""
        leader = self.leader()
        if leader is None or len(open_nodes(self.room)) < len(NODES) or leader.is_membership_pending:
            return False
        is_known = set(self.image().nodes) == set(nodes) == leader.voters and not leader.membership.learners
        return is_known and self.holders() == set(nodes)

    def holders(self) -> set[NodeId]:
        """Those with a replica of it, with a state, or with files of any name."""
        nodes = open_nodes(self.room)
        return {
            node.node
            for node in nodes
            if node.broker.replicas.find("t", 0) is not None
            or self.group(node.node) is not None
            or any(name.startswith("t-0") for name in self.room.disks[node.node].list(""))
        }

    async def done(self, *nodes: NodeId) -> None:
        await self.until(lambda: self.is_done(nodes), 120)
        await self.acknowledged(2)

    async def check(self) -> None:
        self.producer.is_stopping = True
        await self._running
        assert await wait_for_agreement(self.room, 30) == []
        assert self.producer.refusals == []
        wanted = [self.producer.value(number) for number in range(self.producer.sent)]
        for node in self.image().nodes:
            partition = self.room.nodes[node].broker.replicas.find("t", 0)
            assert partition is not None
            # One record has one offset: there is one producer.
            assert [value for _, value in values(partition.log)] == wanted[partition.log.start_offset :]
        assert self.room.network.failures == []
        await self.room.close()


@on_processes
async def test_from_one_to_three_and_back() -> None:
    scene = await Scene().open(ONE)
    await scene.change(ONE, TWO, THREE)
    await scene.done(ONE, TWO, THREE)
    await scene.change(ONE)
    await scene.done(ONE)
    # Its only replica leads without asking anybody.
    group = scene.group(ONE)
    assert group is not None
    assert group.is_alone
    await scene.check()


@on_processes
async def test_it_moves_away_from_its_only_founder_and_back() -> None:
    scene = await Scene().open(ONE)
    for nodes in ((TWO,), (THREE, TWO), (ONE,)):
        await scene.change(*nodes)
        await scene.done(*nodes)
    group = scene.group(ONE)
    assert group is not None
    assert (group.is_alone, group.replica_id.revision) == (True, scene.image().replicas[0].revision)
    await scene.check()


@on_processes
async def test_replicas_are_added_to_a_log_whose_beginning_is_gone() -> None:
    scene = await Scene().open(ONE)
    node = scene.room.nodes[ONE]
    partition = node.broker.replicas.replica("t", 0)
    partition.log.roll()
    await scene.acknowledged(2)
    deleted = await node.do(partition.delete_records(Offset(3)))
    assert deleted == partition.log.first_offset == 3
    await scene.change(TWO, THREE)
    await scene.done(TWO, THREE)
    await scene.check()


# What the leader has done when it is killed.
STEPS: list[Callable[[Scene], bool]] = [
    lambda scene: True,
    lambda scene: (group := scene.leader()) is not None and bool(group.membership.learners),
    lambda scene: (group := scene.leader()) is not None and len(group.voters) == 2,
    lambda scene: (group := scene.leader()) is not None and len(group.voters) == 3,
]


@pytest.mark.parametrize("is_power_lost", [False, True])
@pytest.mark.parametrize("step", range(4))
@on_processes
async def test_the_leader_is_killed_while_replicas_are_added(step: int, is_power_lost: bool) -> None:
    scene = await Scene(step + 1).open(ONE)
    await scene.change(ONE, TWO, THREE)
    await scene.until(lambda: STEPS[step](scene))
    await kill_leader(scene, is_power_lost=is_power_lost)
    await scene.done(ONE, TWO, THREE)
    await scene.check()


LOWERING: list[Callable[[Scene], bool]] = [
    lambda scene: True,
    lambda scene: (group := scene.leader()) is not None and group.replica_id.node == TWO,
    lambda scene: (group := scene.leader()) is not None and len(group.voters) == 2,
    lambda scene: (group := scene.leader()) is not None and len(group.voters) == 1,
    lambda scene: len(scene.image().nodes) == 1,
]


@pytest.mark.parametrize("is_power_lost", [False, True])
@pytest.mark.parametrize("step", range(5))
@on_processes
async def test_the_leader_is_killed_while_replicas_are_removed(step: int, is_power_lost: bool) -> None:
    scene = await Scene(step + 1).open(ONE, TWO, THREE)
    await scene.change(TWO)
    await scene.until(lambda: LOWERING[step](scene))
    await kill_leader(scene, is_power_lost=is_power_lost)
    await scene.done(TWO)
    await scene.check()


async def kill_leader(scene: Scene, *, is_power_lost: bool) -> None:
    found = leader_of(scene.room, "t", 0)
    assert found is not None
    node = found[0].node
    scene.room.crash(node, is_power_lost=is_power_lost)
    await asyncio.sleep(2)
    await scene.room.open_node(node)


@on_processes
async def test_a_replica_that_is_removed_while_its_node_is_away_is_gone_after_its_start() -> None:
    scene = await Scene().open(ONE, TWO, THREE)
    scene.room.crash(THREE, is_power_lost=False)
    await scene.change(ONE, TWO)
    await scene.until(lambda: set(scene.image().nodes) == {ONE, TWO})
    await scene.room.open_node(THREE)
    await scene.done(ONE, TWO)
    await scene.check()


@on_processes
async def test_a_replica_that_is_removed_and_added_while_its_node_is_away_is_another_one() -> None:
    scene = await Scene().open(ONE, TWO, THREE)
    scene.room.crash(THREE, is_power_lost=True)
    await scene.change(ONE, TWO)
    await scene.until(lambda: set(scene.image().nodes) == {ONE, TWO})
    await scene.change(ONE, TWO, THREE)
    await scene.room.open_node(THREE)
    await scene.done(ONE, TWO, THREE)
    assert revision(scene, THREE) == scene.image().revision_of(THREE) == scene.image().revision > 0
    await scene.check()


@on_processes
async def test_a_node_that_came_back_while_it_had_no_replica_is_sent_the_log_when_it_gets_one() -> None:
    # Its connection was reported to the group as lost, and not as found: then it was no member.
    scene = await Scene().open(ONE, TWO, THREE)
    scene.room.crash(THREE, is_power_lost=False)
    await scene.change(ONE, TWO)
    await scene.until(lambda: set(scene.image().nodes) == {ONE, TWO})
    await scene.room.open_node(THREE)
    await scene.done(ONE, TWO)
    await scene.change(ONE, TWO, THREE)
    await scene.done(ONE, TWO, THREE)
    await scene.check()


@on_processes
async def test_the_note_of_a_clean_stop_holds_until_the_replicas_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # An only replica's note holds after a crash, too; one of several may be truncated by a leader.
    scene = await Scene().open(ONE, TWO, THREE)
    opened: list[VouchedLog | None] = []
    open_directory = PartitionLog.open

    def note(path: str, *arguments: Any, **options: Any) -> PartitionLog:
        if path == "t-0":
            opened.append(options["vouched"])
        return open_directory(path, *arguments, **options)

    async def begin_again() -> VouchedLog | None:
        await scene.room.open_node(ONE)
        await scene.acknowledged(1)
        return opened[-1]

    monkeypatch.setattr(PartitionLog, "open", note)
    await scene.room.stop(ONE)
    at_three = await begin_again()
    assert at_three is not None
    await scene.change(ONE)
    await scene.done(ONE)
    scene.room.crash(ONE, is_power_lost=True)
    assert await begin_again() is None
    await scene.room.stop(ONE)
    alone = await begin_again()
    assert alone is not None
    assert alone.revision == scene.image().revision > at_three.revision == 0
    scene.room.crash(ONE, is_power_lost=True)
    assert await begin_again() == alone
    await scene.check()


def revision(scene: Scene, node: NodeId) -> int:
    group = scene.group(node)
    assert group is not None
    return group.replica_id.revision


# The n-th change that a node makes to its disk, counted from when the metadata removes its replica.
@pytest.mark.parametrize("death", list(Death))
@pytest.mark.parametrize("count", range(1, 9))
@on_processes
async def test_a_node_dies_while_it_deletes_its_replica_and_makes_another(count: int, death: Death) -> None:
    scene = await Scene(count).open(ONE, TWO, THREE)
    left = count

    def watch(node: SimNode, operation: Operation) -> Death | None:
        nonlocal left
        if node.node != THREE or THREE in scene.known_nodes(node) or left == 0:
            return None
        # What it writes to its log of the metadata is no part of this.
        left -= not operation.path.startswith("__meta")
        return death if left == 0 else None

    scene.room.watch = watch
    await scene.change(ONE, TWO)
    await scene.until(lambda: set(scene.image().nodes) == {ONE, TWO})
    await asyncio.sleep(1)
    await scene.change(ONE, TWO, THREE)
    if THREE not in scene.room.nodes:
        await scene.room.open_node(THREE)
    await scene.done(ONE, TWO, THREE)
    assert revision(scene, THREE) == scene.image().revision_of(THREE)
    await scene.check()


@on_processes
async def test_an_only_replica_that_lost_its_store_while_it_gets_others_keeps_its_log_until_it_votes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = await Scene().open(ONE)
    await scene.change(ONE, TWO, THREE)
    await scene.until(lambda: (group := scene.leader()) is not None and len(group.voters) == 3)
    scene.room.crash(ONE, is_power_lost=False)
    scene.room.disks[ONE].remove(STATE_FILE)
    await asyncio.sleep(2)
    await scene.room.open_node(ONE)
    assert "log of a replica whose store was lost set aside" in caplog.text
    await scene.done(ONE, TWO, THREE)
    await scene.check()


@on_processes
async def test_an_only_replica_that_is_no_founder_keeps_its_log_when_its_store_is_lost() -> None:
    scene = await Scene().open(ONE)
    await scene.change(TWO)
    await scene.done(TWO)
    scene.room.crash(TWO, is_power_lost=False)
    scene.room.disks[TWO].remove(STATE_FILE)
    await scene.room.open_node(TWO)
    await scene.done(TWO)
    await scene.check()


@on_processes
async def test_a_change_that_makes_no_progress_is_named_in_health_with_its_reason() -> None:
    scene = await Scene().open(ONE)
    await scene.change(ONE, THREE)
    scene.room.crash(THREE, is_power_lost=False)
    leader = scene.room.nodes[ONE]
    assert leader.local.warnings() == []
    expected = ["1 changes of replicas make no progress: t-0 (node 3 is not connected)"]
    await scene.until(lambda: leader.local.warnings() == expected)
    partition = leader.broker.replicas.replica("t", 0)
    assert partition.is_reassigning
    # It is served meanwhile, and the new replica does not count.
    await scene.acknowledged(2)
    assert partition.in_sync() == [ONE]
    await scene.room.open_node(THREE)
    await scene.done(ONE, THREE)
    await scene.until(lambda: leader.local.warnings() == [])
    assert sorted(partition.in_sync()) == [ONE, THREE]
    assert not partition.is_reassigning
    await scene.check()
