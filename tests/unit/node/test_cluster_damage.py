"""Bits that flip in the end of a replica's log after a clean stop: said for what it is, and sent again."""

import asyncio
import logging

import pytest

from chronik.raft.replicated import ReplicatedGroup
from chronik.records.batch import split_batches
from chronik.sim.agreement import votes_everywhere
from chronik.sim.cluster import NODES
from chronik.sim.process import on_processes
from chronik.vocab.ids import NodeId
from chronik.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from chronik.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from tests.support.cluster_scene import ClusterScene

pytestmark = pytest.mark.long

ONE, TWO, THREE = NODES
VOTES_AGAIN_SECONDS = 15.0
# In a batch; no CRC covers its base offset, which brokers write.
BASE_OFFSET, VALUE = 7, 70


async def commit(scene: ClusterScene, group: str) -> None:
    """By a consumer without a group, until it is acknowledged."""
    topics = [
        OffsetCommitRequestTopic(
            name="t", partitions=[OffsetCommitRequestPartition(partition_index=0, committed_offset=1)]
        )
    ]
    asked = scene.room.nodes[ONE]
    async with asyncio.timeout(20):
        while True:
            found = await asked.ask(FindCoordinatorRequest(key=group), 2, FindCoordinatorResponse)
            if found.error_code == 0:
                node = scene.room.nodes[NodeId(found.node_id)]
                request = OffsetCommitRequest(group_id=group, topics=topics)
                answer = await node.ask(request, 8, OffsetCommitResponse)
                if answer.topics[0].partitions[0].error_code == 0:
                    return
            await asyncio.sleep(0.1)


def flip(scene: ClusterScene, node: NodeId, topic: str, at: int) -> str:
    """A bit in the last batch of some partition of the topic; which partition that was."""
    disk = scene.room.disks[node]
    logs = [path for path in disk.files() if path.startswith(topic) and path.endswith(".log")]
    path = next(path for path in reversed(logs) if disk.content(path))
    content = disk.content(path)
    disk.rot(path, len(content) - len(split_batches(content)[-1].data) + at, 0b100)
    return path.partition("/")[0]


@pytest.mark.parametrize("at", [BASE_OFFSET, VALUE])
@pytest.mark.parametrize("topic", ["__meta", "__consumer_offsets", "t-"])
@on_processes
async def test_a_damaged_end_is_said_and_sent_again(
    topic: str, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    scene = await ClusterScene().open()
    for number in range(4):
        await commit(scene, f"group-{number}")
    await scene.room.stop(TWO)
    partition = flip(scene, TWO, topic, at)
    caplog.clear()
    node = await scene.room.open_node(TWO)
    group = next(
        each.group
        for each in (node.local.metadata_partition.partition, *node.broker.replicas.partitions())
        if str(each.name) == partition
    )
    said = {
        record.getMessage(): record.levelno
        for record in caplog.records
        if vars(record).get("partition") == partition and record.levelno > logging.INFO
    }
    assert said.get("durable records damaged or missing; their readers get CORRUPT_MESSAGE") == logging.ERROR
    assert any(text.startswith("replica lost records") for text in said)
    assert not any("a crash left" in text for text in said), said
    assert isinstance(group, ReplicatedGroup)
    assert group.directory.endswith("+1"), "the replica is another one until it has them again"
    await scene.until(lambda: votes_everywhere(scene.room, TWO), VOTES_AGAIN_SECONDS)
    await scene.check()
