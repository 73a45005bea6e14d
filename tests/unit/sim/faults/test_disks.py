"""Which segments a rotten bit may be in."""

from chronik.log.checkpoint import format_offset
from chronik.log.names import LOG, RECOVERY_POINT, offset_name
from chronik.sim.disk import CrashDisk
from chronik.sim.faults.disks import recovered_segments


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
