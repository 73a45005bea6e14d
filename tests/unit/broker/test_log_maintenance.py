"""What the node does by itself: when, and in spite of what."""

import asyncio
import errno

import pytest

from chronik.broker.log_maintenance import OFFLINE_RETRY_SECONDS, OFFLINE_RETRY_SECONDS_MAX, LogMaintenance
from chronik.broker.partition import Partition
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode
from tests.support.broker_room import BrokerRoom

NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


async def room_with_old_records(*topics: str) -> BrokerRoom:
    """Records that are past their retention a second from now."""
    room = await BrokerRoom().open()
    for topic in topics:
        await room.create(topic, 1, retention_ms="1000")
        await room.produce(topic, b"v")
    return room


def starts(room: BrokerRoom, *topics: str) -> list[int]:
    return [room.partition(topic).log.start_offset for topic in topics]


def hinder_opening(room: BrokerRoom, directory: str) -> None:
    """A directory that lacks its file gets it at once, unlike one that is not there yet."""
    room.disk.make_directory(directory)
    room.disk.fail("create", f"{directory}/partition.metadata.tmp", NO_SPACE)


@virtual
async def test_old_records_go_at_the_next_round() -> None:
    room = await room_with_old_records("t", "u")
    intervals = iter([500, 700, 1_000_000])
    maintenance = LogMaintenance(room.broker.replicas, lambda: next(intervals))
    maintenance.start()
    await asyncio.sleep(0.6)
    assert starts(room, "t", "u") == [0, 0]
    await asyncio.sleep(0.7)
    assert starts(room, "t", "u") == [1, 1]
    await maintenance.stop()
    await room.close()


@virtual
async def test_one_partitions_trouble_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    room = await room_with_old_records("t", "u", "v")
    await asyncio.sleep(2)
    room.disk.fail("write", "t-0/log-start-offset-checkpoint.tmp", NO_SPACE)

    async def fail(now_ms: int) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(room.partition("u"), "run_maintenance", fail)
    maintenance = LogMaintenance(room.broker.replicas, lambda: 1000)
    maintenance.start()
    await asyncio.sleep(1.5)
    assert starts(room, "v") == [1]
    monkeypatch.undo()
    room.disk.heal()
    await asyncio.sleep(1)
    assert starts(room, "t", "u") == [1, 1]
    await maintenance.stop()
    await room.close()


@virtual
async def test_a_failed_or_deleted_partition_is_left_alone() -> None:
    room = await room_with_old_records("t", "u")
    failed, deleted = room.partition("t"), room.partition("u")
    room.disk.fail("sync", "t-0/00000000000000000000.log", OSError(errno.EIO, "Input/output error"))
    await room.produce("t", b"w")
    await room.delete("u")
    await wait_until_idle()
    await asyncio.sleep(2)
    room.disk.heal()
    steps = room.disk.steps
    for partition in (failed, deleted):
        assert await run_maintenance(room, partition) == 0
    assert room.disk.steps == steps
    await room.close()


async def run_maintenance(room: BrokerRoom, partition: Partition) -> int:
    return await room.broker.replicas.run_maintenance(partition)


@virtual
async def test_what_could_not_be_opened_is_tried_less_and_less_often_until_it_can() -> None:
    room = await BrokerRoom().open()
    hinder_opening(room, "t-0")
    await room.create("t")
    maintenance = LogMaintenance(room.broker.replicas, lambda: 10**9)
    maintenance.start()
    await asyncio.sleep(OFFLINE_RETRY_SECONDS + 0.1)
    assert room.broker.replicas.find("t", 0) is None
    room.disk.heal()
    await asyncio.sleep(OFFLINE_RETRY_SECONDS)
    assert room.broker.replicas.find("t", 0) is None
    await asyncio.sleep(OFFLINE_RETRY_SECONDS)
    assert room.broker.replicas.find("t", 0) is not None
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    # From the beginning again, for the next one.
    hinder_opening(room, "u-0")
    await room.create("u")
    room.disk.heal()
    await asyncio.sleep(OFFLINE_RETRY_SECONDS + 0.1)
    assert room.broker.replicas.find("u", 0) is not None
    await maintenance.stop()
    await room.close()


@virtual
async def test_the_time_between_tries_has_a_bound() -> None:
    room = await BrokerRoom().open()
    hinder_opening(room, "t-0")
    await room.create("t")
    maintenance = LogMaintenance(room.broker.replicas, lambda: 10**9)
    maintenance.start()
    await asyncio.sleep(24 * 3600)
    room.disk.heal()
    await asyncio.sleep(OFFLINE_RETRY_SECONDS_MAX + 1)
    assert room.broker.replicas.find("t", 0) is not None
    await maintenance.stop()
    await room.close()


@virtual
async def test_it_can_be_stopped_before_it_was_started() -> None:
    room = await BrokerRoom().open()
    await LogMaintenance(room.broker.replicas, lambda: 1).stop()
    await room.close()
