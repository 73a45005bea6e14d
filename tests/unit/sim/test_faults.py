"""What faults leave alone, and what is seen of a node that dies."""

from chronik.log.checkpoint import format_offset
from chronik.log.names import LOG, RECOVERY_POINT, offset_name
from chronik.sim.cluster import NODES, SimCluster, SimNode
from chronik.sim.disk import CrashDisk
from chronik.sim.faults import _recovered_segments
from chronik.sim.process import on_processes

ONE = NODES[0]


def disk_with(point: int | None) -> CrashDisk:
    disk = CrashDisk()
    for directory in ("t-0", "__meta-0"):
        disk.make_directory(directory)
        for base in (0, 10, 20):
            disk.write(f"{directory}/{offset_name(base, LOG)}", b"records")
        if point is not None:
            disk.write(f"{directory}/{RECOVERY_POINT}", format_offset(directory, point))
    return disk


def test_only_what_no_start_reads_rots() -> None:
    first, second = (f"t-0/{offset_name(base, LOG)}" for base in (0, 10))
    assert _recovered_segments(disk_with(None)) == []
    assert _recovered_segments(disk_with(9)) == []
    assert _recovered_segments(disk_with(10)) == [first]
    assert _recovered_segments(disk_with(1000)) == [first, second]


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
