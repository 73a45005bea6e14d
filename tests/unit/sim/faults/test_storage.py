"""The candidates of faults of a stopped node's data directory."""

from chronik.sim.disk import CrashDisk
from chronik.sim.faults.storage import indexes, middle_segments


def disk_with(*paths: str) -> CrashDisk:
    disk = CrashDisk()
    for path in paths:
        disk.make_directory(path.rpartition("/")[0])
        disk.write(path, b"content")
    return disk


def log(directory: str, base: int, suffix: str = ".log") -> str:
    return f"{directory}/{base:020d}{suffix}"


def test_middle_segments_have_others_on_both_sides() -> None:
    names = [log("t-0", base) for base in (0, 10, 20, 30)] + [log("u-0", 0), log("u-0", 5)]
    disk = disk_with(*names, *(log("__meta-0", base) for base in (0, 1, 2)))
    assert middle_segments(disk) == [log("t-0", 10), log("t-0", 20)]


def test_a_lost_file_does_not_come_back() -> None:
    disk = disk_with(log("t-0", 0), log("t-0", 10))
    disk.lose(log("t-0", 10))
    assert disk.list("t-0") == ["00000000000000000000.log"]


def test_only_indexes_with_entries_can_be_damaged() -> None:
    disk = disk_with(log("t-0", 0, ".index"), log("t-0", 0, ".timeindex"), log("t-0", 0))
    disk.write(log("t-0", 5, ".index"), b"")
    assert indexes(disk) == [log("t-0", 0, ".index"), log("t-0", 0, ".timeindex")]
