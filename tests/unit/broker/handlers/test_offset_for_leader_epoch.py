"""OffsetForLeaderEpoch: where epochs end, also those in which nothing was written."""

import pytest

from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from tests.support.broker_room import BrokerRoom

VERSIONS = SUPPORTED[ApiKey.OFFSET_FOR_LEADER_EPOCH]


async def ask(
    room: BrokerRoom, epoch: int, *, version: int = VERSIONS.last, topic: str = "t", current: int = -1
) -> EpochEndOffset:
    wanted = OffsetForLeaderPartition(partition=0, current_leader_epoch=current, leader_epoch=epoch)
    request = OffsetForLeaderEpochRequest(
        replica_id=-1, topics=[OffsetForLeaderTopic(topic=topic, partitions=[wanted])]
    )
    response = await room.ask(request, version, OffsetForLeaderEpochResponse)
    return response.topics[0].partitions[0]


async def end(room: BrokerRoom, epoch: int) -> tuple[int, int]:
    answer = await ask(room, epoch)
    assert answer.error_code == ErrorCode.NONE
    return answer.leader_epoch, answer.end_offset


async def room_of_epochs(*written: bool) -> BrokerRoom:
    """A life for each, with two records in those that say so. The first is epoch 1."""
    room = await BrokerRoom().open()
    await room.create("t")
    for number, writes in enumerate(written):
        if number:
            room = await room.start_again()
        if writes:
            await room.produce("t", b"a", b"b")
    return room


@pytest.mark.parametrize("version", range(VERSIONS.first, VERSIONS.last + 1))
@virtual
async def test_each_version_answers(version: int) -> None:
    room = await room_of_epochs(True, True)
    answer = await ask(room, 1, version=version)
    assert (answer.error_code, answer.leader_epoch, answer.end_offset) == (ErrorCode.NONE, 1, 2)
    await room.close()


@virtual
async def test_epochs_end_where_the_next_begins_and_the_last_at_the_end() -> None:
    room = await room_of_epochs(True, False, True)
    assert await end(room, 1) == (1, 2)
    assert await end(room, 2) == (1, 2)
    assert await end(room, 3) == (3, 4)
    assert await end(room, 4) == (-1, -1)
    await room.close()


@virtual
async def test_an_epoch_without_records_begins_at_the_end_of_the_log() -> None:
    room = await room_of_epochs(True, False, False)
    assert await end(room, 1) == (1, 2)
    assert await end(room, 2) == (1, 2)
    assert await end(room, 3) == (3, 2)
    assert await end(room, 4) == (-1, -1)
    await room.close()


@virtual
async def test_an_empty_log_is_no_truncated_one() -> None:
    room = await room_of_epochs(False, False)
    assert await end(room, 1) == (1, 0)
    assert await end(room, 2) == (2, 0)
    await room.close()


@virtual
async def test_errors() -> None:
    room = await room_of_epochs(True, True)
    assert (await ask(room, 1, topic="absent")).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert (await ask(room, 1, current=1)).error_code == ErrorCode.FENCED_LEADER_EPOCH
    assert (await ask(room, 1, current=3)).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert (await ask(room, 1, current=2)).error_code == ErrorCode.NONE
    await room.close()
