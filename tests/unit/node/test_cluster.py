"""Three nodes as one cluster, on simulated disks, network and time."""

import asyncio

from chronik.cluster.metadata.topics import CreateTopic, DeleteTopic
from chronik.records.build import build_batch
from chronik.records.record import Record
from chronik.sim.cluster import NODES, SimCluster
from chronik.sim.virtual_time import virtual
from chronik.vocab.ids import NodeId


@virtual
async def test_three_new_nodes_found_a_cluster_and_know_each_other() -> None:
    room = await SimCluster().open()
    # Each is open when it sees itself registered; what the last one said is on its way.
    await asyncio.sleep(1)
    for node in room.nodes.values():
        assert set(node.broker.metadata.image.brokers) == set(NODES)
    await room.close()


@virtual
async def test_a_topic_created_anywhere_has_leaders_everywhere() -> None:
    room = await SimCluster().open()
    for number, node in enumerate(room.nodes.values()):
        await node.broker.metadata.submit(CreateTopic(name=f"t{number}"))
    await asyncio.sleep(1)
    for node in room.nodes.values():
        for topic in node.broker.metadata.image.topics.values():
            leaders = node.broker.leadership.leaders(topic.topic_id)
            assert len(leaders) == 3
            assert all(leader.node in NODES for leader in leaders.values())
    await room.close()


def directories(room: SimCluster, node: NodeId) -> list[str]:
    return [name for name in room.disks[node].list("") if name.startswith(("gone-", "again-"))]


@virtual
async def test_a_node_that_was_away_removes_what_was_deleted_meanwhile() -> None:
    room = await SimCluster().open()
    metadata = room.nodes[NODES[0]].broker.metadata
    for topic in ("gone", "again"):
        await metadata.submit(CreateTopic(name=topic, partitions=1))
        await asyncio.sleep(1)
        (leader,) = [node for node in room.nodes.values() if node.partition(topic).is_leader]
        leader.partition(topic).append_internal(build_batch([Record(key=None, value=b"v", timestamp=0)]))
    await asyncio.sleep(1)
    away = NODES[2]
    await room.stop(away)
    for topic in ("gone", "again"):
        await metadata.submit(DeleteTopic(name=topic))
    await metadata.submit(CreateTopic(name="again", partitions=1))
    # The deletions are in no record any more that the node will read.
    for node in room.nodes.values():
        node.local.metadata_partition.take_snapshot()
    assert directories(room, away) == ["again-0", "gone-0"]
    back = await room.open_node(away)
    await asyncio.sleep(5)
    assert directories(room, away) == []
    assert back.partition("again").log.end_offset == 0
    await room.close()
