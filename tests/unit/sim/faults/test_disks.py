"""Which segments a rotten bit may be in, and what a full disk may end."""

import asyncio
from contextlib import nullcontext
from random import Random

import pytest

from chronik.log.checkpoint import format_offset
from chronik.log.names import LOG, RECOVERY_POINT, offset_name
from chronik.sim.client import ClientNetwork
from chronik.sim.disk import CrashDisk
from chronik.sim.faults.disks import DiskFaults, recovered_segments
from chronik.sim.faults.lives import Lives
from chronik.sim.faults.stage import Stage
from chronik.sim.mutants import MUTANTS
from chronik.sim.process import on_processes
from chronik.sim.trace import Trace
from tests.support.cluster_scene import ClusterScene


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
    assert recovered_segments(disk_with(None)) == []
    assert recovered_segments(disk_with(9)) == []
    assert recovered_segments(disk_with(10)) == [first]
    assert recovered_segments(disk_with(1000)) == [first, second]


@pytest.mark.long
@pytest.mark.parametrize("mutant", [None, "full-disk-ends-the-store"])
@on_processes
async def test_a_full_disk_ends_nothing_for_good(mutant: str | None) -> None:
    with nullcontext() if mutant is None else MUTANTS[mutant].planted():
        scene = await ClusterScene().open()
        trace = Trace(asyncio.get_running_loop().time)
        stage = Stage(scene.room, ClientNetwork(scene.room, Random(1)), trace, Random(1))
        for _ in range(4):
            await DiskFaults(stage, Lives(stage)).fill()
        if mutant is None:
            assert stage.problems == []
            await scene.check()
        else:
            assert any("ended for want of room" in text for text in stage.problems)
