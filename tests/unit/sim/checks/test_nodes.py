"""Checks that look at nodes: quiet about a cluster that is well, and loud about one that is not."""

import asyncio
from collections.abc import Sequence
from unittest.mock import patch

import pytest

from chronik.cluster.metadata.topics import CreateTopic
from chronik.cluster.metadata_service import MetadataService
from chronik.raft.core.messages import AppendAccepted, VoteReply
from chronik.raft.core.types import RaftIndex, Term
from chronik.sim.agreement import runtime_of, wait_for_agreement
from chronik.sim.checks.bounds import check_bounds
from chronik.sim.checks.coordinators import check_coordinators
from chronik.sim.checks.images import ImageCheck
from chronik.sim.checks.problems import Problems
from chronik.sim.checks.votes import VoteCheck
from chronik.sim.cluster import NODES, SimCluster, SimNode
from chronik.sim.process import on_processes
from chronik.sim.trace import Trace
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, NodeId, Offset
from chronik.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from chronik.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)

ONE, TWO, THREE = NODES
SECONDS = 20
BYTES = 1 << 20


def problems() -> Problems:
    return Problems(Trace(lambda: 0.0))


async def cluster() -> tuple[SimCluster, Sequence[SimNode]]:
    """With a topic, and with what groups have written."""
    room = await SimCluster().open()
    node = room.nodes[ONE]
    await node.do(node.broker.metadata.submit(CreateTopic(name="t", partitions=1)))
    assert await wait_for_agreement(room, SECONDS) == []
    return room, [room.nodes[node] for node in NODES]


@on_processes
async def test_a_cluster_at_rest_is_within_bounds() -> None:
    room, nodes = await cluster()
    found = problems()
    check_bounds(nodes, BYTES, BYTES, found)
    assert found.found == []
    await room.close()


@pytest.mark.parametrize("what", ["journal", "metadata"])
@on_processes
async def test_what_grows_beyond_its_bound_is_found(what: str) -> None:
    room, nodes = await cluster()
    found = problems()
    check_bounds(nodes, 1 if what == "journal" else BYTES, 1 if what == "metadata" else BYTES, found)
    assert len(found.found) == len(NODES)
    await room.close()


@on_processes
async def test_what_waits_for_nobody_is_found() -> None:
    room, nodes = await cluster()
    leader = next(node for node in nodes if node.partition("t").is_leader)
    loop = asyncio.get_running_loop()
    leader.dispatcher._tasks.add(loop.create_task(asyncio.sleep(1000)))
    leader.partition("t")._own_term_waiters.append(loop.create_future())
    found = problems()
    check_bounds(nodes, BYTES, BYTES, found)
    assert len(found.found) == 2
    leader.crash(is_power_lost=False)
    await room.close()


@on_processes
async def test_images_of_one_position_that_differ_are_found() -> None:
    _, nodes = await cluster()
    found = problems()
    check = ImageCheck(found)
    for node in nodes:
        check.watch(node)

    async def create(name: str) -> None:
        await nodes[0].do(nodes[0].broker.metadata.submit(CreateTopic(name=name, partitions=1)))
        await asyncio.sleep(1)

    await create("u")
    assert found.found == []
    assert check.images_compared >= len(NODES)
    service = type(nodes[0].broker.metadata)
    snapshot = service.snapshot

    def other(self: MetadataService) -> tuple[Offset, bytes]:
        offset, data = snapshot(self)
        return offset, data + b"!" * (self is nodes[0].broker.metadata)

    with patch.object(service, "snapshot", other):
        await create("v")
    assert found.found
    for node in nodes:
        node.crash(is_power_lost=False)
    await asyncio.sleep(1)


@on_processes
async def test_two_votes_in_a_term_are_found_and_two_of_one_kind_are_not() -> None:
    _, nodes = await cluster()
    found = problems()
    check = VoteCheck(found)
    check.watch(nodes[0])
    runtime = runtime_of(nodes[0])
    (group, *_) = runtime.host.groups()

    def vote(target: NodeId, term: int, *, is_granted: bool = True) -> None:
        reply = VoteReply(source=ONE, target=target, term=Term(term), is_granted=is_granted)
        runtime.host.send(group.id, reply, Offset(0))

    vote(TWO, 101)
    vote(TWO, 101)
    vote(THREE, 101, is_granted=False)
    vote(THREE, 102)
    assert found.found == []
    vote(TWO, 102)
    assert len(found.found) == 1
    for node in nodes:
        node.crash(is_power_lost=False)
    await asyncio.sleep(1)


@on_processes
async def test_a_promise_of_a_later_term_that_is_forgotten_is_found() -> None:
    _, nodes = await cluster()
    found = problems()
    check = VoteCheck(found)
    check.watch(nodes[0])
    replica = nodes[0].broker.replicas.find("t", 0)
    assert replica is not None
    check.look(nodes[0], replica)
    assert found.found == []
    runtime = runtime_of(nodes[0])
    (group,) = [g for g in runtime.host.groups() if g.id.topic_id == replica.topic_id]
    accepted = AppendAccepted(source=ONE, target=TWO, term=Term(99), match=RaftIndex(0), is_counted=True)
    runtime.host.send(group.id, accepted, Offset(0))
    check.look(nodes[0], replica)
    assert len(found.found) == 1
    for node in nodes:
        node.crash(is_power_lost=False)
    await asyncio.sleep(1)


async def commit(room: SimCluster, group: str, offset: int) -> SimNode:
    """By a consumer without a group; the node that coordinates it."""
    find, found = FindCoordinatorRequest(key=group), None
    async with asyncio.timeout(SECONDS):
        while found is None or found.error_code:
            found = await room.nodes[ONE].ask(find, 2, FindCoordinatorResponse)
            await asyncio.sleep(0.1)
    node = room.nodes[NodeId(found.node_id)]
    request = OffsetCommitRequest(
        group_id=group,
        topics=[
            OffsetCommitRequestTopic(
                name="t",
                partitions=[OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)],
            )
        ],
    )
    answer = await node.ask(request, 8, OffsetCommitResponse)
    assert answer.topics[0].partitions[0].error_code == 0
    return node


@on_processes
async def test_a_coordinator_that_does_not_hold_what_its_log_does_is_found() -> None:
    room, nodes = await cluster()
    node = await commit(room, "g", 7)
    found = problems()
    check_coordinators(nodes, found)
    assert found.found == []
    shard = next(shard for shard in node.broker.groups.runtime.shards() if shard.groups)
    del shard.groups["g"]
    check_coordinators(nodes, found)
    assert len(found.found) == 1
    await room.close()


@on_processes
async def test_a_coordinator_that_is_not_served_is_found() -> None:
    room, nodes = await cluster()
    node = await commit(room, "g", 7)
    led = next(
        partition
        for partition in node.broker.replicas.led()
        if partition.name.topic == CONSUMER_OFFSETS_TOPIC
    )
    node.broker.groups.runtime.on_follower(led.name.partition)
    found = problems()
    check_coordinators(nodes, found)
    assert len(found.found) == 1
    await room.close()
