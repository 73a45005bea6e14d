"""Names of partitions' directories, in all stages."""

import pytest

from chronik.node.partition_directories import (
    deleted_name,
    find_deleted,
    find_partitions,
    mark_for_deletion,
    move_aside,
)
from chronik.sim.disk import CrashDisk
from chronik.vocab.ids import TopicId, TopicPartition

ID = TopicId(bytes(range(16)))
METADATA = b"version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw"


def directory(disk: CrashDisk, name: str, metadata: bytes | None = METADATA) -> None:
    disk.make_directory(name)
    if metadata is not None:
        disk.write(f"{name}/partition.metadata", metadata)


def test_partitions_say_whose_they_are() -> None:
    disk = CrashDisk()
    directory(disk, "orders-0")
    directory(disk, "with-dashes-12")
    directory(disk, "damaged-1", b"nonsense")
    for name in ("orders", "photos-2024", "orders-0.x-delete", "-3"):
        directory(disk, name, METADATA if name == "orders" else None)
    assert find_partitions(disk) == {"orders-0": ID, "with-dashes-12": ID, "damaged-1": None}


@pytest.mark.parametrize("topic", ["orders", "a" * 249])
def test_a_deleted_partition_is_known_by_its_name(topic: str) -> None:
    disk = CrashDisk()
    names = {
        deleted_name(TopicPartition(topic, index), TopicId(bytes([number] * 16)), times)
        for index in (0, 99_999)
        for number in (1, 2)
        for times in (0, 1)
    }
    assert len(names) == 8
    for name in names:
        assert len(name) <= 255
        directory(disk, name)
    directory(disk, "orders-delete")
    directory(disk, "orders-0.abc-delete")
    assert set(find_deleted(disk)) == names
    assert find_partitions(disk) == {}


def test_what_is_doomed_is_known_as_deleted_and_has_left_its_name() -> None:
    disk = CrashDisk()
    directory(disk, "with-dashes-12")
    doomed = mark_for_deletion(disk, "with-dashes-12", ID)
    assert find_deleted(disk) == disk.list("") == [doomed]


@pytest.mark.parametrize("metadata", [METADATA, b"nonsense", None])
def test_what_is_moved_aside_is_neither(metadata: bytes | None) -> None:
    disk = CrashDisk()
    directory(disk, "orders-0", metadata)
    kept = move_aside(disk, "orders-0")
    assert disk.list("") == [kept]
    assert find_partitions(disk) == {}
    assert find_deleted(disk) == []


def test_a_replica_that_is_removed_again_before_the_first_is_gone_gets_another_name() -> None:
    disk = CrashDisk()
    names = []
    for _ in range(3):
        directory(disk, "orders-0")
        names.append(mark_for_deletion(disk, "orders-0", ID))
    assert len(set(names)) == 3
    assert set(find_deleted(disk)) == set(names)
