"""A data directory: whose it is, and what makes it unusable."""

import pytest
from crc32c import crc32c

from chronik.log.vouched import VouchedLog, VouchedSegment
from chronik.node.data_directory import (
    DataDirectoryError,
    check_contents,
    earlier_leader_epoch,
    forget_earlier_leader_epoch,
    leave_clean_mark,
    load_identity,
    read_vouched,
    take_clean_mark,
    write_vouched,
)
from chronik.sim.disk import CrashDisk
from chronik.vocab.ids import NodeId, TopicId

NODE = NodeId(1)


def partition(disk: CrashDisk, directory: str) -> None:
    disk.make_directory(directory)
    disk.write(f"{directory}/partition.metadata", b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ")


# Whose it is.


def test_the_first_start_gives_it_an_identity_for_ever() -> None:
    disk = CrashDisk()
    first = load_identity(disk, NODE, None)
    assert first.node_id == NODE
    assert first.cluster_id != first.directory_id
    assert load_identity(disk, NODE, None) == first
    assert load_identity(disk, NODE, first.cluster_id) == first


def test_the_cluster_may_be_named_at_the_first_start() -> None:
    disk = CrashDisk()
    assert load_identity(disk, NODE, "my-cluster").cluster_id == "my-cluster"


def test_another_nodes_or_clusters_directory_is_refused() -> None:
    disk = CrashDisk()
    load_identity(disk, NODE, "my-cluster")
    with pytest.raises(DataDirectoryError, match="belongs to node 1, not 2"):
        load_identity(disk, NodeId(2), None)
    with pytest.raises(DataDirectoryError, match="belongs to cluster my-cluster, not yours"):
        load_identity(disk, NODE, "yours")


@pytest.mark.parametrize("content", [b"", b"cluster.id=x\nnode.id=one\ndirectory.id=y\n", b"\xff\xfe"])
def test_a_damaged_identity_is_named(content: bytes) -> None:
    disk = CrashDisk()
    disk.write("meta.properties", content)
    with pytest.raises(DataDirectoryError, match=r"meta\.properties is damaged"):
        load_identity(disk, NODE, None)


def test_kafkas_own_file_is_understood() -> None:
    disk = CrashDisk()
    text = b"#\n#Mon Nov 23 05:54:48 UTC 2026\nnode.id=1\nversion=1\ndirectory.id=d_-1\ncluster.id=c==\n"
    disk.write("meta.properties", text)
    identity = load_identity(disk, NODE, None)
    assert (identity.cluster_id, identity.directory_id) == ("c==", "d_-1")


def test_data_without_an_identity_is_not_given_a_new_one() -> None:
    disk = CrashDisk()
    partition(disk, "__meta-0")
    with pytest.raises(DataDirectoryError, match="which says whose it is"):
        load_identity(disk, NODE, None)


# What is in it.


def test_partitions_without_a_metadata_log_are_somebody_elses() -> None:
    disk = CrashDisk()
    check_contents(disk, has_peers=False)
    partition(disk, "orders-0")
    with pytest.raises(DataDirectoryError, match="another Kafka broker"):
        check_contents(disk, has_peers=False)
    assert disk.exists("orders-0/partition.metadata")
    # The others of a cluster have the metadata.
    disk.write("raft-state", b"")
    check_contents(disk, has_peers=True)
    with pytest.raises(DataDirectoryError, match="another Kafka broker"):
        check_contents(disk, has_peers=False)
    partition(disk, "__meta-0")
    check_contents(disk, has_peers=False)


def test_other_things_in_it_do_not_matter() -> None:
    disk = CrashDisk()
    disk.make_directory("holiday-2024")
    disk.write("holiday-2024/beach.jpg", b"")
    disk.write("notes.txt", b"")
    check_contents(disk, has_peers=False)


# Epochs and the mark of a clean stop.


def test_the_epoch_of_an_earlier_release_is_read_until_it_is_forgotten() -> None:
    disk = CrashDisk()
    assert earlier_leader_epoch(disk) is None
    forget_earlier_leader_epoch(disk)
    disk.write("leader-epoch", b"7\n")
    assert earlier_leader_epoch(disk) == 7
    assert earlier_leader_epoch(disk) == 7
    forget_earlier_leader_epoch(disk)
    assert earlier_leader_epoch(disk) is None


@pytest.mark.parametrize("content", [b"", b"seven", b"-1", b"1.5"])
def test_a_damaged_count_is_named(content: bytes) -> None:
    disk = CrashDisk()
    disk.write("leader-epoch", content)
    with pytest.raises(DataDirectoryError, match="leader-epoch is damaged"):
        earlier_leader_epoch(disk)


def test_the_mark_counts_once() -> None:
    disk = CrashDisk()
    assert not take_clean_mark(disk)
    leave_clean_mark(disk)
    assert take_clean_mark(disk)
    assert not take_clean_mark(disk)


GOLDEN_NOTE = (
    b"0\n2\n"
    b"__meta-0 00000000000000000000000000000001 0 12 whole 0:900\n"
    b"orders-3 0102030405060708090a0b0c0d0e0f10 70 90 damaged 60:512 80:0\n"
)


def test_the_note_of_a_clean_stop() -> None:
    """Byte for byte: later releases read it."""
    logs = {
        "orders-3": VouchedLog(
            topic_id=TopicId(bytes(range(1, 17))),
            start_offset=70,
            end_offset=90,
            is_damaged=True,
            segments=(
                VouchedSegment(base_offset=60, size=512),
                VouchedSegment(base_offset=80, size=0),
            ),
        ),
        "__meta-0": VouchedLog(
            topic_id=TopicId(bytes(15) + b"\1"),
            start_offset=0,
            end_offset=12,
            segments=(VouchedSegment(base_offset=0, size=900),),
        ),
    }
    disk = CrashDisk()
    assert read_vouched(disk) == {}
    write_vouched(disk, logs)
    content = disk.content("clean-stop-checkpoint")
    assert content == GOLDEN_NOTE + b"crc32c CRC\n".replace(b"CRC", f"{crc32c(GOLDEN_NOTE):08x}".encode())
    assert read_vouched(disk) == logs
    write_vouched(disk, {})
    assert read_vouched(disk) == {}


@pytest.mark.parametrize("position", [0, 4, 20, 60, -2])
def test_a_damaged_note_is_not_believed(position: int, caplog: pytest.LogCaptureFixture) -> None:
    disk = CrashDisk()
    log = VouchedLog(topic_id=TopicId(bytes(16)), start_offset=0, end_offset=5, segments=())
    write_vouched(disk, {"orders-0": log})
    content = bytearray(disk.content("clean-stop-checkpoint"))
    content[position] ^= 1
    disk.write("clean-stop-checkpoint", bytes(content))
    assert read_vouched(disk) == {}
    assert "clean-stop-checkpoint damaged" in caplog.text
