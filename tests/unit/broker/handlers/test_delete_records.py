"""DeleteRecords: the log start moves within its bounds, durably."""

import errno

import pytest

from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from tests.support.broker_room import BrokerRoom

VERSIONS = SUPPORTED[ApiKey.DELETE_RECORDS]


async def ask(
    room: BrokerRoom, offset: int, *, version: int = VERSIONS.last, topic: str = "t"
) -> tuple[ErrorCode, int]:
    """The code and the low watermark."""
    wanted = DeleteRecordsPartition(partition_index=0, offset=offset)
    request = DeleteRecordsRequest(
        timeout_ms=1000, topics=[DeleteRecordsTopic(name=topic, partitions=[wanted])]
    )
    response = await room.ask(request, version, DeleteRecordsResponse)
    answer = response.topics[0].partitions[0]
    return ErrorCode(answer.error_code), answer.low_watermark


async def room_of_three(**configs: str) -> BrokerRoom:
    room = await BrokerRoom().open()
    await room.create("t", 1, **configs)
    for value in (b"a", b"b", b"c"):
        await room.produce("t", value)
    return room


@pytest.mark.parametrize("version", range(VERSIONS.first, VERSIONS.last + 1))
@virtual
async def test_each_version_moves_the_start(version: int) -> None:
    room = await room_of_three()
    assert await ask(room, 2, version=version) == (ErrorCode.NONE, 2)
    assert await room.fetch("t", 2) == (ErrorCode.NONE, [b"c"])
    assert await room.fetch("t", 1) == (ErrorCode.OFFSET_OUT_OF_RANGE, [])
    await room.close()


@virtual
async def test_what_was_answered_survives_a_crash() -> None:
    room = await room_of_three()
    assert await ask(room, -1) == (ErrorCode.NONE, 3)
    room = await room.start_again()
    assert room.partition("t").log.start_offset == 3
    assert await room.produce("t", b"d") == (ErrorCode.NONE, 3)
    await room.close()


@virtual
async def test_the_start_stays_within_the_log_and_never_goes_back() -> None:
    room = await room_of_three()
    assert await ask(room, 4) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert await ask(room, -2) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert await ask(room, 3) == (ErrorCode.NONE, 3)
    assert await ask(room, 1) == (ErrorCode.NONE, 3)
    await room.close()


@virtual
async def test_some_topics_do_not_allow_it() -> None:
    room = await room_of_three(cleanup_policy="compact")
    assert await ask(room, 1) == (ErrorCode.POLICY_VIOLATION, -1)
    await room.create(CONSUMER_OFFSETS_TOPIC)
    assert await ask(room, 0, topic=CONSUMER_OFFSETS_TOPIC) == (ErrorCode.INVALID_TOPIC_EXCEPTION, -1)
    assert await ask(room, 0, topic="absent") == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
    await room.close()


@virtual
async def test_a_start_that_is_not_durable_is_not_answered() -> None:
    room = await room_of_three()
    room.disk.fail("write", "log-start-offset-checkpoint.tmp", OSError(errno.ENOSPC, "No space left"))
    assert await ask(room, 2) == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
    room.disk.heal()
    assert await ask(room, 2) == (ErrorCode.NONE, 2)
    await room.close()


@virtual
async def test_a_failed_log_is_left_as_it_is() -> None:
    room = await room_of_three()
    room.disk.fail("sync", ".log", OSError(errno.EIO, "Input/output error"))
    await room.produce("t", b"d")
    room.disk.heal()
    assert await ask(room, 2) == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
    await room.close()
