"""Replicas that change: the checks are quiet about nodes that do it well, and find each planted fault in a
scene where it hurts.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from chronik.cluster.metadata.replicas import ChangeReplicas, PartitionImage
from chronik.cluster.metadata.topics import CreateTopic
from chronik.node import reconciler
from chronik.node.metadata_partition import METADATA_GROUP
from chronik.raft.group import GroupId
from chronik.raft.replicated import ReplicatedGroup
from chronik.sim.agreement import runtime_of
from chronik.sim.checks.commits import CommitCheck
from chronik.sim.checks.problems import Problems
from chronik.sim.checks.replicas import ReplicaCheck, unfinished
from chronik.sim.checks.votes import VoteCheck
from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.mutants import MUTANTS
from chronik.sim.process import ProcessDied, on_processes
from chronik.sim.producers import Producer, open_nodes
from chronik.sim.trace import Trace
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NodeId

pytestmark = pytest.mark.long

ONE, TWO, THREE, FOUR, FIVE = NODES = tuple(map(NodeId, range(1, 6)))


class Watched:
    """A cluster with one partition that is written to; its commits, votes and members are checked."""

    def __init__(self, count: int = 3) -> None:
        self.room = SimCluster(1, count)
        self.problems = Problems(Trace(lambda: 0.0))
        self.commits = CommitCheck(self.problems)
        self.votes = VoteCheck(self.problems)
        self.replicas = ReplicaCheck(self.problems)
        self.room.on_made = self.votes.watch
        self.room.on_dying = self._look_at

    async def open(self, *replicas: NodeId) -> "Watched":
        await self.room.open()
        node = self.room.nodes[ONE]
        await node.do(node.broker.metadata.submit(CreateTopic(name="t", assignments={0: replicas})))
        self.producer = Producer(self.room, "t", 0, 100)
        self._running = asyncio.create_task(self.producer.run())
        self._looking = asyncio.create_task(self._look())
        await self.until(lambda: len(self.producer.acked) >= 5)
        return self

    async def _look(self) -> None:
        while True:
            for node in list(self.room.nodes.values()):
                self._look_at(node)
            await asyncio.sleep(0.01)

    def _look_at(self, node: SimNode) -> None:
        if node.is_made and not node.process.is_dead:
            self.votes.look_for_removed(node)
        if not node.is_open or node.process.is_dead:
            return
        partitions = node.broker.replicas.partitions()
        self.commits.look(node, partitions)
        for partition in partitions:
            self.votes.look(node, partition)
        self.replicas.look(node, partitions)

    async def until(self, is_so: Callable[[], bool], seconds: float = 30) -> bool:
        """Whether it came to be so, before anything is wrong."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not is_so():
            if asyncio.get_running_loop().time() > deadline or self.problems.found:
                return False
            await asyncio.sleep(0.01)
        return True

    async def change(self, *nodes: NodeId) -> None:
        while not self.problems.found and self.image().wanted != nodes:
            for node in (node for node in open_nodes(self.room) if not node.process.is_paused):
                topic = node.broker.metadata.image.topics["t"]
                command = ChangeReplicas(topic_id=topic.topic_id, partition=0, nodes=nodes)
                deadline = asyncio.get_running_loop().time() + 1
                try:
                    await node.do(node.broker.metadata.submit(command, deadline=deadline))
                except (KafkaError, ProcessDied):
                    continue
                break
            await asyncio.sleep(0.05)

    async def done(self, *nodes: NodeId, seconds: float = 30) -> bool:
        return await self.until(
            lambda: self.image().nodes == nodes and not unfinished(self.room, "t"), seconds
        )

    def image(self) -> PartitionImage:
        images = [node.broker.metadata.image.topics["t"].partitions[0] for node in open_nodes(self.room)]
        return max(images, key=lambda image: image.revision)

    def group(self, node: NodeId) -> ReplicatedGroup:
        topic = self.room.nodes[node].broker.metadata.image.topics["t"]
        found = runtime_of(self.room.nodes[node]).host.group(GroupId(topic.topic_id, 0))
        assert found is not None
        return found

    def counts_four(self, node: NodeId) -> bool:
        group = self.group(node)
        return group.is_own_term_committed and not group.is_membership_pending and FOUR in group.voters

    async def have_decide(self, node: NodeId) -> None:
        """Have this node be the controller."""
        while not self.room.nodes[node].broker.metadata.is_controller:
            for other in open_nodes(self.room):
                group = runtime_of(other).host.group(METADATA_GROUP)
                if group is not None and group.is_own_term_committed and other.node != node:
                    with suppress(KafkaError):
                        await other.do(_transfer(group, node))
            await asyncio.sleep(0.2)

    def leads(self, *nodes: NodeId) -> bool:
        return any(self.group(node).is_own_term_committed for node in nodes)

    def cut(self, node: NodeId, *others: NodeId) -> None:
        for other in others or self.room.all_nodes:
            if other != node:
                self.room.network.cut(node, other)

    def heal(self) -> None:
        self.room.network.heal_all()

    async def close(self) -> None:
        self._looking.cancel()
        self.producer.is_stopping = True
        self._running.cancel()
        for node in list(self.room.nodes.values()):
            node.crash(is_power_lost=False)
        await asyncio.sleep(0.1)


async def _transfer(group: ReplicatedGroup, to: NodeId) -> None:
    group.transfer(to)


async def up_and_down() -> Watched:
    """Three replicas, one, and three again, the last of which go on after all have lost their power."""
    it = await Watched().open(ONE, TWO, THREE)
    await it.change(ONE)
    await it.done(ONE)
    await it.change(ONE, TWO, THREE)
    await it.done(ONE, TWO, THREE)
    return it


@on_processes
async def test_nothing_is_wrong_with_replicas_that_come_and_go() -> None:
    it = await up_and_down()
    assert it.problems.found == unfinished(it.room) == []
    assert [replica.revision for replica in it.image().replicas] == [0, 3, 3]
    await it.close()


@on_processes
async def test_who_returns_under_its_old_name_is_found() -> None:
    with MUTANTS["returns-unrevised"].planted():
        it = await up_and_down()
        await it.close()
    assert any("the removed" in text for text in it.problems.found)


@on_processes
async def test_what_a_removed_replica_leaves_behind_is_found() -> None:
    with MUTANTS["removed-replicas-remembered"].planted():
        it = await Watched().open(ONE, TWO, THREE)
        await it.change(ONE)
        assert not await it.done(ONE, seconds=20)
        assert any("still knows its term and vote" in text for text in unfinished(it.room, "t"))
        await it.close()


@on_processes
async def test_who_goes_before_its_group_lets_it_is_found() -> None:
    with MUTANTS["deleted-when-unwanted"].planted():
        it = await Watched().open(ONE, TWO, THREE)
        await it.change(TWO)
        assert not await it.done(TWO, seconds=20)
        await it.close()


@on_processes
async def test_two_voters_that_go_at_once_are_found() -> None:
    with MUTANTS["two-voters-at-once"].planted():
        it = await Watched().open(ONE, TWO, THREE)
        await it.change(ONE)
        await it.done(ONE)
        await it.close()
    assert any("as voters [1, 2, 3] are followed by [1]" in text for text in it.problems.found)


async def raised_without_its_voter() -> Watched:
    """Two replicas are added while the one that has everything is cut off."""
    it = await Watched().open(ONE)
    it.cut(ONE)
    await it.until(lambda: any(n.broker.metadata.is_controller for n in open_nodes(it.room)[1:]))
    await it.change(ONE, TWO, THREE)
    await it.until(lambda: False, 10)
    it.heal()
    await it.done(ONE, TWO, THREE)
    return it


@on_processes
async def test_who_is_added_waits_for_those_who_vote() -> None:
    it = await raised_without_its_voter()
    assert it.problems.found == unfinished(it.room, "t") == []
    await it.close()


@on_processes
async def test_a_group_that_is_founded_again_is_found() -> None:
    with MUTANTS["made-of-present"].planted():
        it = await raised_without_its_voter()
        await it.close()
    assert it.problems.found


async def restarted_with_old_metadata() -> Watched:
    """A node that was given a replica starts from a snapshot that is older, and does not wait for what it
    lacks: no sound start does that, and nothing may depend on it.
    """
    it = await Watched().open(ONE)
    three = it.room.nodes[THREE]

    async def take_snapshot() -> None:
        three.local.metadata_partition.take_snapshot()

    await three.do(take_snapshot())
    await it.change(ONE, TWO, THREE)
    assert await it.done(ONE, TWO, THREE)
    it.room.crash(THREE, is_power_lost=False)
    it.cut(THREE)
    with MUTANTS["serve-before-catching-up"].planted():
        opening = asyncio.create_task(it.room.open_node(THREE))
        await it.until(lambda: False, 3)
        it.heal()
        await opening
    await it.done(ONE, TWO, THREE)
    return it


@on_processes
async def test_what_the_metadata_does_not_know_yet_waits_for_it() -> None:
    it = await restarted_with_old_metadata()
    assert it.problems.found == unfinished(it.room, "t") == []
    await it.close()


@on_processes
async def test_who_believes_old_metadata_is_found() -> None:
    with MUTANTS["old-images-delete"].planted():
        it = await restarted_with_old_metadata()
        await it.close()
    assert any("the removed" in text for text in it.problems.found)


async def reported_by_an_old_leader(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A leader that was paused and is cut off from its group sees that the metadata asks for the members it
    knows, and has one more. That one was added by the next leader, whose group cannot let it go.
    """
    monkeypatch.setattr(reconciler, "LOOK_SECONDS", 0.05)
    it = await Watched(5).open(ONE, TWO, THREE)
    assert it.leads(ONE)
    await it.have_decide(FIVE)
    it.room.nodes[ONE].pause()
    it.cut(ONE, TWO, THREE, FOUR)
    assert await it.until(lambda: it.leads(TWO, THREE))
    await it.change(ONE, TWO, THREE, FOUR)
    assert await it.until(lambda: any(it.counts_four(node) for node in (TWO, THREE)))
    it.cut(TWO, THREE)
    await it.change(ONE, TWO, THREE)
    it.room.nodes[ONE].resume()
    await it.until(lambda: False, 5)
    it.heal()
    await it.done(ONE, TWO, THREE)
    return it


@on_processes
async def test_an_old_leader_reports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    it = await reported_by_an_old_leader(monkeypatch)
    assert it.problems.found == unfinished(it.room, "t") == []
    await it.close()


@on_processes
async def test_a_report_that_no_majority_confirmed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with MUTANTS["unconfirmed-reports"].planted():
        it = await reported_by_an_old_leader(monkeypatch)
        await it.close()
    assert any("are dropped, and members" in text for text in it.problems.found)
