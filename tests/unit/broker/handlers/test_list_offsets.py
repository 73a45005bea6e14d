"""ListOffsets: the ends of a partition, and offsets by time."""

import errno

import pytest

from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import Offset
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from chronik.wire.messages.produce import ProduceResponse
from tests.support.broker_room import BrokerRoom, batch_of, produce_request

LIST_OFFSETS = SUPPORTED[ApiKey.LIST_OFFSETS]
NEWEST = LIST_OFFSETS.last
LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING_UPLOAD = range(-1, -7, -1)
T0 = 1_700_000_000_000


async def ask(
    room: BrokerRoom, timestamp: int, *, version: int = NEWEST, topic: str = "t", leader_epoch: int = -1
) -> ListOffsetsPartitionResponse:
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=0,
        topics=[
            ListOffsetsTopic(
                name=topic,
                partitions=[
                    ListOffsetsPartition(
                        partition_index=0, current_leader_epoch=leader_epoch, timestamp=timestamp
                    )
                ],
            )
        ],
    )
    response = await room.ask(request, version, ListOffsetsResponse)
    return response.topics[0].partitions[0]


async def offset(room: BrokerRoom, timestamp: int) -> tuple[int, int]:
    """(offset, timestamp) that are answered."""
    answer = await ask(room, timestamp)
    assert answer.error_code == ErrorCode.NONE
    return answer.offset, answer.timestamp


async def room_of_three() -> BrokerRoom:
    """Records at T0 + 10, T0 + 30 and T0 + 20; the first is deleted."""
    room = await BrokerRoom().open()
    await room.create("t")
    for ms in (10, 30, 20):
        batch = batch_of([b"v"], timestamp=T0 + ms)
        await room.ask(produce_request({("t", 0): batch}), 9, ProduceResponse)
    await room.partition("t").delete_records(Offset(1))
    return room


@pytest.mark.parametrize("version", range(LIST_OFFSETS.first, LIST_OFFSETS.last + 1))
@virtual
async def test_each_version_answers_the_ends(version: int) -> None:
    room = await room_of_three()
    for timestamp, expected in ((LATEST, 3), (EARLIEST, 1)):
        answer = await ask(room, timestamp, version=version)
        assert (answer.error_code, answer.offset, answer.timestamp) == (ErrorCode.NONE, expected, -1)
        assert answer.leader_epoch == (1 if version >= 4 else -1)
    await room.close()


@virtual
async def test_times_are_answered_with_the_first_record_that_is_so_new() -> None:
    room = await room_of_three()
    assert await offset(room, 0) == (1, T0 + 30)
    assert await offset(room, T0 + 11) == (1, T0 + 30)
    assert await offset(room, T0 + 30) == (1, T0 + 30)
    assert await offset(room, T0 + 31) == (-1, -1)
    await room.close()


@virtual
async def test_special_timestamps() -> None:
    room = await room_of_three()
    assert await offset(room, MAX_TIMESTAMP) == (1, T0 + 30)
    assert await offset(room, EARLIEST_LOCAL) == (1, -1)
    assert await offset(room, LATEST_TIERED) == (-1, -1)
    assert await offset(room, EARLIEST_PENDING_UPLOAD) == (-1, -1)
    assert (await ask(room, -99)).error_code == ErrorCode.UNSUPPORTED_VERSION
    await room.close()


@pytest.mark.parametrize(
    ("timestamp", "first_version"),
    [(MAX_TIMESTAMP, 7), (EARLIEST_LOCAL, 8), (LATEST_TIERED, 9), (EARLIEST_PENDING_UPLOAD, 11)],
)
@virtual
async def test_special_timestamps_have_a_first_version(timestamp: int, first_version: int) -> None:
    room = await room_of_three()
    answer = await ask(room, timestamp, version=first_version - 1)
    assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert (await ask(room, timestamp, version=first_version)).error_code == ErrorCode.NONE
    await room.close()


@virtual
async def test_an_empty_partition_has_ends_and_nothing_else() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    epoch = room.broker.replicas.replica("t", 0).leader_epoch
    for timestamp, expected in (
        (LATEST, (0, epoch)),
        (EARLIEST, (0, epoch)),
        (MAX_TIMESTAMP, (-1, -1)),
        (T0, (-1, -1)),
    ):
        answer = await ask(room, timestamp)
        assert (answer.error_code, answer.offset, answer.leader_epoch) == (ErrorCode.NONE, *expected)
    await room.close()


@virtual
async def test_errors_are_one_partitions() -> None:
    room = await room_of_three()
    assert (await ask(room, LATEST, topic="absent")).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert (await ask(room, LATEST, leader_epoch=5)).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    room.disk.fail("read", "t-0/00000000000000000000.log", OSError(errno.EIO, "Input/output error"))
    failed = await ask(room, T0)
    assert (failed.error_code, failed.offset) == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
    assert (await ask(room, LATEST)).error_code == ErrorCode.NONE
    await room.close()


@virtual
async def test_a_partition_named_twice_is_refused_once() -> None:
    room = await room_of_three()
    partitions = [ListOffsetsPartition(partition_index=0, timestamp=when) for when in (LATEST, EARLIEST)]
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name="t", partitions=partitions)])
    (topic,) = (await room.ask(request, LIST_OFFSETS.last, ListOffsetsResponse)).topics
    assert [(p.error_code, p.offset) for p in topic.partitions] == [(ErrorCode.INVALID_REQUEST, -1)]
    await room.close()
