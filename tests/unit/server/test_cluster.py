"""Three nodes as one cluster, on simulated disks, network and time."""

import asyncio

from chronik.cluster.commands import CreateTopic
from tests.support.cluster_room import NODES, ClusterRoom
from tests.support.virtual_time import virtual


@virtual
async def test_three_new_nodes_found_a_cluster_and_know_each_other() -> None:
    room = await ClusterRoom().open()
    # The last registration is on its way to the others.
    await asyncio.sleep(0.1)
    # Each is open when it sees itself registered; what the last one said is on its way.
    await asyncio.sleep(1)
    for node in room.nodes.values():
        assert set(node.broker.metadata.image.brokers) == set(NODES)
    await room.close()


@virtual
async def test_a_topic_created_anywhere_has_leaders_everywhere() -> None:
    room = await ClusterRoom().open()
    for number, node in enumerate(room.nodes.values()):
        await node.broker.metadata.submit(CreateTopic(name=f"t{number}"))
    await asyncio.sleep(1)
    for node in room.nodes.values():
        for topic in node.broker.metadata.image.topics.values():
            leaders = node.broker.leadership.leaders(topic.topic_id)
            assert len(leaders) == 3
            assert all(leader.node in NODES for leader in leaders.values())
    await room.close()
