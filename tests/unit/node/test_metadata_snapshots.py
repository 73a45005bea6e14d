"""Snapshots of the metadata on disk."""

from random import Random

import pytest

from chronik.node.metadata_snapshots import MetadataSnapshots
from chronik.node.partition_directories import METADATA_DIRECTORY
from chronik.sim.disk import CrashDisk, PowerLost
from chronik.vocab.ids import LeaderEpoch, Offset


def write(snapshots: MetadataSnapshots, offset: int, content: bytes) -> None:
    snapshots.write(Offset(offset), LeaderEpoch(7), content)


def test_there_is_none_in_a_new_directory() -> None:
    assert MetadataSnapshots(CrashDisk()).latest() is None


def test_the_newest_counts_and_the_others_go() -> None:
    disk = CrashDisk()
    snapshots = MetadataSnapshots(disk)
    for offset in (9, 10, 100):
        write(snapshots, offset, b"%d" % offset)
    assert snapshots.latest() == b"100"
    assert disk.list(METADATA_DIRECTORY) == ["00000000000000000100-0000000007.checkpoint"]


def test_an_older_one_takes_no_newer_ones_place() -> None:
    snapshots = MetadataSnapshots(CrashDisk())
    write(snapshots, 10, b"newer")
    write(snapshots, 9, b"older")
    assert snapshots.latest() == b"newer"


def test_other_files_are_left_alone() -> None:
    disk = CrashDisk()
    disk.make_directory(METADATA_DIRECTORY)
    disk.write(f"{METADATA_DIRECTORY}/00000000000000000000.log", b"")
    disk.write(f"{METADATA_DIRECTORY}/00000000000000000500-0000000007.checkpoint.tmp", b"torn")
    snapshots = MetadataSnapshots(disk)
    write(snapshots, 9, b"whole")
    assert snapshots.latest() == b"whole"
    assert len(disk.list(METADATA_DIRECTORY)) == 3


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("step", range(12))
def test_a_power_cut_leaves_the_one_before_or_the_new_one(step: int, seed: int) -> None:
    disk = CrashDisk()
    disk.make_directory(METADATA_DIRECTORY)
    disk.sync_directory("")
    write(MetadataSnapshots(disk), 9, b"before")
    disk.lose_power_at(step)
    try:
        write(MetadataSnapshots(disk), 10, b"new")
        is_done = True
    except PowerLost:
        is_done = False
    disk.crash(Random(seed))
    assert MetadataSnapshots(disk).latest() in ([b"new"] if is_done else [b"before", b"new"])
