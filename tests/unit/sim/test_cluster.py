"""What a crash takes from a node, and what is seen of a node that dies."""

from chronik.sim.cluster import NODES, SimCluster, SimNode
from chronik.sim.process import on_processes

ONE = NODES[0]


@on_processes
async def test_a_rotten_disk_keeps_what_was_not_synced() -> None:
    room = await SimCluster().open()
    disk = room.disks[ONE]
    room.rotten.add(ONE)
    file = disk.open("unsynced", create=True)
    file.append([b"x" * 10_000])
    room.crash(ONE, is_power_lost=True)
    assert disk.content("unsynced") == b"x" * 10_000
    assert room.power_losses == 0
    await room.open_node(ONE)
    await room.close()


@on_processes
async def test_a_node_is_looked_at_once_more_when_it_dies() -> None:
    room = await SimCluster().open()
    seen: list[tuple[SimNode, bool, bool]] = []
    room.on_dying = lambda node: seen.append((node, node.is_open, node.process.is_dead))
    node = room.nodes[ONE]
    node.crash(is_power_lost=False)
    node.crash(is_power_lost=False)
    assert seen == [(node, True, False)]
    for other in list(room.nodes.values()):
        await other.close()
