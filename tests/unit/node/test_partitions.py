"""Partitions that come and go while somebody still works on them, and how their logs end."""

import asyncio
import errno
import logging
from collections.abc import Mapping, Sequence

import pytest

from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.configs import AlterConfigs, topic_resource
from chronik.cluster.metadata.topics import TopicDeleted
from chronik.log.disk import Syncable
from chronik.node.partition_directories import move_aside
from chronik.sim.disk import CrashFile
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import Offset, TopicPartition
from tests.support.broker_room import BrokerRoom
from tests.support.held_disk import HeldDisk

BROKEN = OSError(errno.EIO, "Input/output error")
LOG = "00000000000000000000.log"


def directories(room: BrokerRoom, topic: str) -> list[str]:
    return [name for name in room.disk.list("") if name.startswith(f"{topic}-")]


async def held_room() -> tuple[BrokerRoom, HeldDisk]:
    disk = HeldDisk()
    return await BrokerRoom(disk).open(), disk


def apply_deletion(room: BrokerRoom, topic: str) -> None:
    """As if the deletion had been committed just now: its own commit would share the round that is held."""
    image = room.broker.metadata.image
    deleted = TopicDeleted(topic_id=image.topics[topic].topic_id)
    after, delta = apply_records(image, [deleted])
    room.broker.replicas.on_metadata(delta, after)


async def configure(room: BrokerRoom, topic: str, **settings: str) -> None:
    entries = {name.replace("_", "."): value for name, value in settings.items()}
    await room.broker.metadata.submit(AlterConfigs(resource=topic_resource(topic), entries=entries))


# Deletion.


@virtual
async def test_a_deleted_topic_leaves_nothing() -> None:
    room = await BrokerRoom().open()
    before = room.disk.open_files
    await room.create("t", partitions=3)
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    await room.delete("t")
    await wait_until_idle()
    assert directories(room, "t") == []
    assert room.disk.open_files == before
    await room.close()


@virtual
@pytest.mark.parametrize("has_id", [True, False])
async def test_a_deleted_topic_whose_partition_could_not_be_opened_leaves_nothing(has_id: bool) -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    room.disk.kill()
    if has_id:
        room.disk.fail("read", f"t-0/{LOG}", BROKEN)
    else:
        # It is not synced, and a crash may take it.
        room.disk.remove("t-0/partition.metadata")
        room.disk.fail("create", "t-0/partition.metadata.tmp", BROKEN)
    again = await BrokerRoom(room.disk, room.clock).open()
    assert await again.produce("t", b"v") == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
    again.disk.heal()
    await again.delete("t")
    await wait_until_idle()
    assert directories(again, "t") == []
    await again.close()


@virtual
async def test_a_topic_without_records_has_no_directories(caplog: pytest.LogCaptureFixture) -> None:
    room = await BrokerRoom().open()
    await room.create("t", partitions=3)
    assert directories(room, "t") == []
    assert await room.produce("t", b"v", index=1) == (ErrorCode.NONE, 0)
    assert directories(room, "t") == ["t-1"]
    with caplog.at_level(logging.INFO, "chronik.node.partitions"):
        await room.delete("t")
        await wait_until_idle()
    assert directories(room, "t") == []
    assert caplog.records == []
    await room.close()


@virtual
async def test_a_topic_may_have_the_longest_name() -> None:
    room = await BrokerRoom().open()
    topic = "n" * 249
    await room.create(topic)
    assert await room.produce(topic, b"v") == (ErrorCode.NONE, 0)
    await room.delete(topic)
    await wait_until_idle()
    assert directories(room, topic) == []
    await room.close()


@virtual
async def test_a_topic_made_again_begins_in_a_later_epoch_and_rises_with_each_start() -> None:
    """On a node alone, too: a client that stood on the old topic takes an earlier epoch for outdated news."""
    room = await BrokerRoom().open()
    epochs = []
    for _ in range(3):
        await room.create("t")
        epochs.append(room.partition("t").leader_epoch)
        await room.delete("t")
        await wait_until_idle()
    await room.create("t")
    epochs.append(room.partition("t").leader_epoch)
    room = await room.restart()
    epochs.append(room.partition("t").leader_epoch)
    assert epochs == sorted(set(epochs))
    await room.close()


@virtual
async def test_everyone_who_waits_for_a_deleted_topic_is_told() -> None:
    room, disk = await held_room()
    await room.create("t")
    fetching = asyncio.ensure_future(room.fetch("t", max_wait_ms=60_000))
    disk.hold_syncs()
    producing = asyncio.ensure_future(room.produce("t", b"v"))
    await wait_until_idle()
    assert not fetching.done()
    assert not producing.done()
    apply_deletion(room, "t")
    await wait_until_idle()
    assert await fetching == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, [])
    assert await producing == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)


@pytest.mark.parametrize("is_name_stuck", [False, True])
@virtual
async def test_files_that_are_being_synced_are_not_closed_under_the_thread(is_name_stuck: bool) -> None:
    room, disk = await held_room()
    await room.create("t")
    partition = room.partition("t")
    disk.hold_syncs()
    waiting = asyncio.ensure_future(room.produce("t", b"v"))
    await wait_until_idle()
    if is_name_stuck:
        disk.fail("rename", "-delete", BROKEN)
    apply_deletion(room, "t")
    await wait_until_idle()
    assert await waiting == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
    held = [file for file in disk.rounds[-1] if isinstance(file, CrashFile) and file.path.endswith(LOG)]
    assert held
    assert all(file.is_open for file in held)
    disk.let_go()
    await wait_until_idle()
    assert not partition.is_open
    assert not any(file.is_open for file in held)
    assert directories(room, "t") == (["t-0"] if is_name_stuck else [])


@virtual
async def test_a_new_topic_is_safe_from_what_still_works_for_the_old_one() -> None:
    room, disk = await held_room()
    await room.create("t", internal_segment_bytes="200")
    for _ in range(4):
        assert (await room.produce("t", b"old" * 40))[0] is ErrorCode.NONE
    disk.hold_threads()
    deleting_records = asyncio.ensure_future(room.partition("t").delete_records(Offset(-1)))
    await wait_until_idle()
    assert disk.waiting_threads == 1
    await room.delete("t")
    await room.create("t")
    await wait_until_idle()
    # The thread may come to its work any time now, so the name is not free yet.
    assert room.broker.replicas.find("t", 0) is None
    assert (await room.produce("t", b"new"))[0] is ErrorCode.NOT_LEADER_OR_FOLLOWER
    disk.let_go()
    await wait_until_idle()
    await asyncio.wait([deleting_records])
    assert await room.produce("t", b"new") == (ErrorCode.NONE, 0)
    assert await room.fetch("t") == (ErrorCode.NONE, [b"new"])
    assert room.partition("t").log.start_offset == 0
    again = await room.start_again()
    assert await again.fetch("t") == (ErrorCode.NONE, [b"new"])
    await again.close()


@virtual
async def test_a_request_that_is_cancelled_leaves_its_removal_running() -> None:
    room, disk = await held_room()
    await room.create("t")
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    disk.hold_threads()
    deleting_records = asyncio.ensure_future(room.partition("t").delete_records(Offset(1)))
    await wait_until_idle()
    deleting_records.cancel()
    await wait_until_idle()
    await room.delete("t")
    await room.create("t")
    await wait_until_idle()
    assert room.broker.replicas.find("t", 0) is None
    disk.let_go()
    await wait_until_idle()
    assert await room.produce("t", b"new") == (ErrorCode.NONE, 0)
    await room.close()


@virtual
async def test_a_cold_read_brings_nothing_of_a_new_topic_of_the_name() -> None:
    room, disk = await held_room()
    await room.create("t")
    assert await room.produce("t", b"old") == (ErrorCode.NONE, 0)
    disk.is_cold = True
    disk.hold_threads()
    fetching = asyncio.ensure_future(room.fetch("t"))
    await wait_until_idle()
    assert disk.waiting_threads == 1
    await room.delete("t")
    await wait_until_idle()
    await room.create("t")
    await wait_until_idle()
    assert await room.produce("t", b"new") == (ErrorCode.NONE, 0)
    disk.let_go()
    assert await fetching == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, [])
    await room.close()


@virtual
async def test_a_topic_may_be_deleted_again_before_its_name_was_free() -> None:
    room, disk = await held_room()
    await room.create("t")
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    disk.hold_threads()
    deleting_records = asyncio.ensure_future(room.partition("t").delete_records(Offset(1)))
    await wait_until_idle()
    await room.delete("t")
    await room.create("t")
    await room.delete("t")
    disk.let_go()
    await wait_until_idle()
    await asyncio.wait([deleting_records])
    assert directories(room, "t") == []
    await room.close()


@virtual
async def test_a_directory_that_cannot_be_renamed_makes_way_when_its_name_is_needed() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    assert await room.produce("t", b"old") == (ErrorCode.NONE, 0)
    room.disk.fail("rename", "-delete", BROKEN)
    await room.delete("t")
    await wait_until_idle()
    room.disk.heal()
    await room.create("t")
    assert await room.produce("t", b"new") == (ErrorCode.NONE, 0)
    assert any(name.endswith("-stray") for name in directories(room, "t"))
    await room.close()


@virtual
async def test_directories_moved_aside_do_not_replace_each_other() -> None:
    room = await BrokerRoom().open()
    kept = set()
    for number in range(3):
        room.disk.make_directory("t-0")
        room.disk.write("t-0/data", b"%d" % number)
        kept.add(move_aside(room.disk, "t-0"))
    assert len(kept) == 3
    assert {room.disk.content(f"{name}/data") for name in kept} == {b"0", b"1", b"2"}
    await room.close()


# The end of the node.


@virtual
async def test_a_stop_syncs_many_logs_in_few_rounds_and_the_untouched_not_at_all() -> None:
    room, disk = await held_room()
    await room.create("t", partitions=60)
    for index in range(60):
        assert await room.produce("t", b"v", index=index) == (ErrorCode.NONE, 0)
    disk.rounds.clear()
    await room.close()
    assert sum(1 for files in disk.rounds if files) <= 2
    again = await BrokerRoom(disk, room.clock).open()
    assert await again.produce("t", b"w", index=7) == (ErrorCode.NONE, 1)
    disk.rounds.clear()
    await again.close()
    synced = {getattr(file, "path", "").rpartition("/")[0] for files in disk.rounds for file in files}
    assert synced - {""} == {"t-7"}
    assert disk.open_files == 0


@virtual
async def test_a_log_that_does_not_close_cleanly_does_not_keep_others_from_it() -> None:
    room = await BrokerRoom().open()
    await room.create("t", partitions=3)
    for index in range(3):
        assert await room.produce("t", b"v", index=index) == (ErrorCode.NONE, 0)
    room.disk.fail("sync", "t-1/leader-epoch-checkpoint", BROKEN)
    await room.close()
    room.disk.heal()
    assert not room.disk.exists(".kafka_cleanshutdown")
    for index in (0, 2):
        assert room.disk.exists(f"t-{index}/leader-epoch-checkpoint")
    again = await BrokerRoom(room.disk, room.clock).open()
    assert [again.partition("t", index).high_watermark for index in range(3)] == [1, 1, 1]
    await again.close()


@virtual
async def test_changed_settings_reach_open_logs() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    partition = room.partition("t")
    assert partition.name == TopicPartition("t", 0)
    config = partition.config
    await configure(room, "t", retention_ms="1234")
    assert config.retention_ms != 1234
    assert partition.config.retention_ms == 1234
    assert partition.log.config.retention_ms == 1234
    await configure(room, "t", write_caching="true")
    room.disk.fail("sync", LOG, BROKEN)
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    await room.close()


@pytest.mark.parametrize("index", [0, 2])
@virtual
async def test_the_other_partitions_of_a_topic_go_on_without_a_failed_one(index: int) -> None:
    room = await BrokerRoom().open()
    await room.create("t", partitions=3)
    room.disk.fail("sync", f"t-1/{LOG}", BROKEN)
    assert (await room.produce("t", b"v", index=1))[0] is ErrorCode.KAFKA_STORAGE_ERROR
    assert await room.produce("t", b"v", index=index) == (ErrorCode.NONE, 0)
    await room.close()


@virtual
async def test_a_stop_leaves_to_the_next_start_what_it_has_no_time_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await BrokerRoom().open()
    await room.create("t", partitions=100)
    for index in range(100):
        assert await room.produce("t", b"v", index=index) == (ErrorCode.NONE, 0)
    sync_many = room.disk.sync_many

    async def slowly(files: Sequence[Syncable]) -> Mapping[Syncable, OSError]:
        await asyncio.sleep(10)
        return await sync_many(files)

    monkeypatch.setattr(room.disk, "sync_many", slowly)
    await room.close()
    assert [record.unclosed for record in caplog.records if hasattr(record, "unclosed")] == [36]
    monkeypatch.undo()
    again = await room.start_again()
    assert [await again.fetch("t", index=index) for index in (0, 99)] == [(ErrorCode.NONE, [b"v"])] * 2
    await again.close()
