"""A node's life on its disk: what a start finds, what a stop leaves, and what clients never reach."""

import asyncio
import errno
from collections.abc import Mapping
from random import Random

import pytest

from chronik.broker.log_maintenance import LogMaintenance
from chronik.cluster.metadata.configs import CLUSTER_DEFAULT, AlterConfigs, ConfigResource
from chronik.node.data_directory import DataDirectoryError
from chronik.sim.disk import CrashDisk, PowerLost
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import METADATA_TOPIC
from chronik.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from tests.support.broker_room import BrokerRoom
from tests.support.manual_clock import ManualClock

CLEAN_MARK = ".kafka_cleanshutdown"
NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
BROKEN = OSError(errno.EIO, "Input/output error")
DAY_MS = 24 * 3600 * 1000


def stop_is_marked_clean(disk: CrashDisk) -> bool:
    return disk.exists(CLEAN_MARK)


# Metadata is not a topic.


@virtual
async def test_requests_do_not_find_the_metadata_log() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    assert (await room.produce(METADATA_TOPIC, b"v"))[0] is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert await room.fetch(METADATA_TOPIC) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, [])
    delete = DeleteRecordsRequest(
        topics=[
            DeleteRecordsTopic(
                name=METADATA_TOPIC, partitions=[DeleteRecordsPartition(partition_index=0, offset=-1)]
            )
        ]
    )
    deleted = await room.ask(delete, 2, DeleteRecordsResponse)
    assert deleted.topics[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    again = await room.start_again()
    assert "t" in again.broker.metadata.image.topics
    await again.close()


@virtual
async def test_metadata_outlives_every_retention() -> None:
    clock = ManualClock()
    room = await BrokerRoom(clock=clock, log_retention_ms="1000").open()
    await room.create("t")
    clock.advance(400 * DAY_MS)
    await LogMaintenance(room.broker.replicas, lambda: 1).run_once()
    again = await room.restart()
    assert list(again.broker.metadata.image.topics) == ["t"]
    await again.close()


# The mark of a clean stop.


@virtual
async def test_a_clean_stop_spares_the_next_start_reading_the_logs() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    await room.close()
    assert stop_is_marked_clean(room.disk)
    again = await BrokerRoom(room.disk, room.clock).open()
    assert not stop_is_marked_clean(room.disk)
    assert not again.partition("t").log.recovery.was_scanned
    assert await again.produce("t", b"w") == (ErrorCode.NONE, 1)
    killed = await again.start_again()
    assert killed.partition("t").log.recovery.was_scanned
    assert killed.partition("t").high_watermark == 2
    await killed.close()


@virtual
async def test_a_stop_is_not_clean_when_a_log_has_failed() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    room.disk.fail("sync", "t-0/00000000000000000000.log", BROKEN)
    assert (await room.produce("t", b"v"))[0] is ErrorCode.KAFKA_STORAGE_ERROR
    room.disk.heal()
    await room.close()
    assert not stop_is_marked_clean(room.disk)
    assert room.disk.open_files == 0


@virtual
async def test_a_stop_is_not_clean_when_a_log_cannot_be_flushed() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    room.disk.fail("write", "leader-epoch-checkpoint.tmp", NO_SPACE)
    await room.close()
    assert not stop_is_marked_clean(room.disk)
    assert room.disk.open_files == 0


@virtual
async def test_a_stop_is_not_clean_while_a_log_could_not_be_opened() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    room.disk.kill()
    room.disk.fail("sync", "t-0/00000000000000000000.log", BROKEN)
    again = await BrokerRoom(room.disk, room.clock).open()
    with pytest.raises(KafkaError) as absent:
        again.partition("t")
    assert absent.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    await again.close()
    assert not stop_is_marked_clean(room.disk)


@virtual
async def test_a_start_that_fails_leaves_no_mark_on_logs_it_did_not_read() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    room.disk.kill()
    room.disk.fail("read", "__meta-0/00000000000000000000.log", BROKEN)
    failing = BrokerRoom(room.disk, room.clock)
    with pytest.raises((OSError, DataDirectoryError)):
        await failing.open()
    room.disk.heal()
    await failing.close()
    assert not stop_is_marked_clean(room.disk)


@virtual
async def test_a_mark_that_cannot_be_written_only_costs_the_next_start() -> None:
    room = await BrokerRoom().open()
    room.disk.fail("write", CLEAN_MARK + ".tmp", NO_SPACE)
    await room.close()
    assert not stop_is_marked_clean(room.disk)
    room.disk.heal()
    again = await BrokerRoom(room.disk, room.clock).open()
    await again.close()
    assert stop_is_marked_clean(room.disk)


# Crashes while it starts and stops.


@pytest.mark.parametrize("was_clean", [True, False])
def test_a_power_loss_at_any_moment_of_a_start_or_stop_loses_nothing(was_clean: bool) -> None:
    step = 0
    while not lose_power_in_second_life(step, was_clean=was_clean):
        step += 1
    assert step > 10, "there was hardly a moment to lose power in"


VIRTUAL_SECONDS_OF_A_LIFE = 60.0


def lose_power_in_second_life(step: int, *, was_clean: bool) -> bool:
    """True if the second life ended before the power did."""
    survived = []

    @virtual
    async def play() -> None:
        first = await BrokerRoom().open()
        await first.create("t", partitions=2)
        await first.create("u")
        for topic, index in (("t", 0), ("t", 1), ("u", 0)):
            assert await first.produce(topic, b"v", index=index) == (ErrorCode.NONE, 0)
        await first.delete("u")
        await wait_until_idle()
        if was_clean:
            await first.close()
        else:
            first.disk.crash(Random(step))
        disk = first.disk
        disk.lose_power_at(step)
        try:
            # A power loss inside a task leaves the caller waiting: the deadline ends that.
            async with asyncio.timeout(VIRTUAL_SECONDS_OF_A_LIFE):
                second = await BrokerRoom(disk, first.clock).open()
                await wait_until_idle()
                await second.close()
            survived.append(True)
        except PowerLost:
            pass
        except TimeoutError:
            with pytest.raises(PowerLost):
                disk.step("read", "")
        disk.crash(Random(step))
        third = await BrokerRoom(disk, first.clock).open()
        assert list(third.broker.metadata.image.topics) == ["t"]
        for index in (0, 1):
            assert third.partition("t", index).high_watermark == 1
        await third.close()
        assert stop_is_marked_clean(disk)

    play()
    return bool(survived)


# What the metadata does not know.


@virtual
async def test_what_the_metadata_does_not_know_is_kept_aside() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    await room.produce("t", b"v")
    await room.close()
    stray = room.disk.content("t-0/partition.metadata").replace(b"topic_id: ", b"topic_id: A")[:42]
    room.disk.make_directory("lost-3")
    room.disk.write("lost-3/partition.metadata", stray)
    room.disk.make_directory("photos-2024")
    room.disk.write("photos-2024/beach.jpg", b"nobody's business")
    again = await BrokerRoom(room.disk, room.clock).open()
    names = room.disk.list("")
    assert "lost-3" not in names
    (kept,) = [name for name in names if name.startswith("lost-3.")]
    assert kept.endswith("-stray")
    assert room.disk.content(f"{kept}/partition.metadata") == stray
    assert room.disk.exists("photos-2024/beach.jpg")
    await again.close()


@virtual
async def test_what_a_crash_left_of_a_deleted_topic_is_removed() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    await room.produce("t", b"v")
    room.disk.fail("rename", "-delete", BROKEN)
    await room.delete("t")
    await wait_until_idle()
    assert "t-0" in room.disk.list("")
    again = await room.start_again()
    await wait_until_idle()
    assert [name for name in room.disk.list("") if name.startswith("t-0")] == []
    await again.close()


@virtual
async def test_what_is_left_of_a_deleted_topic_frees_its_name_before_it_is_removed() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    await room.produce("t", b"v")
    room.disk.fail("rename", "-delete", BROKEN)
    await room.delete("t")
    await wait_until_idle()
    room.disk.kill()
    room.disk.fail("remove", "", BROKEN)
    again = await BrokerRoom(room.disk).open()
    await wait_until_idle()
    assert "t-0" not in room.disk.list("")
    room.disk.heal()
    await again.create("t")
    assert await again.produce("t", b"kept") == (ErrorCode.NONE, 0)
    await again.close()


@virtual
async def test_a_removal_that_a_stop_cut_short_is_finished_by_the_next_start() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    await room.produce("t", b"v")
    room.disk.fail("remove", "-delete", BROKEN)
    await room.delete("t")
    await wait_until_idle()
    assert [name for name in room.disk.list("") if name.endswith("-delete")] != []
    again = await room.start_again()
    await wait_until_idle()
    assert [name for name in room.disk.list("") if name.startswith("t-0")] == []
    await again.close()


# When the metadata log fails.


@virtual
async def test_a_failed_metadata_log_takes_no_more_and_the_topics_go_on() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    room.disk.fail("sync", "__meta-0/00000000000000000000.log", BROKEN)
    for _ in range(2):
        with pytest.raises(KafkaError) as refused:
            await room.create("u")
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    room.disk.heal()
    with pytest.raises(KafkaError):
        await room.create("u")
    assert "u" not in room.broker.metadata.image.topics
    assert room.local.metadata_partition.failure is not None
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    await room.close()
    assert not stop_is_marked_clean(room.disk)


@virtual
async def test_a_full_disk_refuses_changes_of_the_metadata_until_there_is_room() -> None:
    room = await BrokerRoom().open()
    room.disk.fail("write", "__meta-0/00000000000000000000.log", NO_SPACE)
    with pytest.raises(KafkaError) as refused:
        await room.create("t")
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    room.disk.heal()
    await room.create("t")
    assert room.local.metadata_partition.failure is None
    again = await room.restart()
    assert list(again.broker.metadata.image.topics) == ["t"]
    await again.close()


@virtual
async def test_an_unreadable_metadata_log_is_named_and_nothing_is_touched() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    await room.produce("t", b"v")
    await room.local.metadata_partition.append([(b"FromTheFuture", b"{}")])
    room.disk.kill()
    older = BrokerRoom(room.disk, room.clock)
    with pytest.raises(DataDirectoryError, match="FromTheFuture"):
        await older.open()
    await older.close()
    assert "t-0" in room.disk.list("")
    assert not stop_is_marked_clean(room.disk)


@virtual
async def test_each_start_leads_in_a_new_epoch() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    epochs = [room.partition("t").leader_epoch]
    for _ in range(2):
        room = await room.start_again()
        epochs.append(room.partition("t").leader_epoch)
        assert await room.produce("t", b"v") == (ErrorCode.NONE, len(epochs) - 2)
    assert epochs == [1, 2, 3]
    room.disk.kill()
    room.disk.remove("raft-state")
    again = await room.start_again()
    assert again.partition("t").leader_epoch == 4
    await again.close()


@virtual
async def test_settings_are_read_again_only_when_some_of_the_brokers_have_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topic_command = AlterConfigs(
        resource=ConfigResource(ResourceType.TOPIC, "t"), entries={"retention.ms": "5"}
    )
    cluster_command = AlterConfigs(resource=CLUSTER_DEFAULT, entries={"log.retention.ms": "7"})
    room = await BrokerRoom().open()
    read = []
    set_dynamic = BrokerConfig.set_dynamic

    def note(config: BrokerConfig, **layers: Mapping[str, str]) -> frozenset[str]:
        read.append(layers["cluster"])
        return set_dynamic(config, **layers)

    monkeypatch.setattr(BrokerConfig, "set_dynamic", note)
    await room.create("t")
    await room.broker.metadata.submit(topic_command)
    assert read == []
    await room.broker.metadata.submit(cluster_command)
    assert read == [{"log.retention.ms": "7"}]
    assert room.broker.settings.int("log.retention.ms") == 7
    await room.close()
