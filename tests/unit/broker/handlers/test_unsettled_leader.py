"""What a new leader says of offsets before it knows what its predecessor acknowledged (KIP-207)."""

import pytest

from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from chronik.wire.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from tests.support.broker_room import batch_of
from tests.unit.broker.cluster_stage import ClusterStage

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL = -1, -2, -3, -4
FIRST_WITH_OFFSET_NOT_AVAILABLE = 5


def stage() -> ClusterStage:
    """Two records, of which this node knows one to be committed; it leads epoch 2, unsettled."""
    it = ClusterStage()
    it.create("t")
    it.group("t").lead(1)
    for _ in range(2):
        it.partition("t").append(batch_of([b"v"]))
    it.group("t").commit(1)
    it.group("t").lead(2, is_own_term_committed=False)
    return it


async def list_offset(it: ClusterStage, timestamp: int, version: int = 8) -> ListOffsetsPartitionResponse:
    wanted = ListOffsetsPartition(partition_index=0, current_leader_epoch=-1, timestamp=timestamp)
    message = ListOffsetsRequest(topics=[ListOffsetsTopic(name="t", partitions=[wanted])])
    response = await it.ask(message, version, ListOffsetsResponse)
    return response.topics[0].partitions[0]


@pytest.mark.parametrize("timestamp", [LATEST, MAX_TIMESTAMP, 0])
@virtual
async def test_no_offset_is_told_that_may_be_too_low(timestamp: int) -> None:
    it = stage()
    answer = await list_offset(it, timestamp)
    assert (answer.error_code, answer.offset) == (ErrorCode.OFFSET_NOT_AVAILABLE, -1)
    it.group("t").wait_until_idle()
    assert (await list_offset(it, timestamp)).error_code == ErrorCode.NONE


@pytest.mark.parametrize("timestamp", [EARLIEST, EARLIEST_LOCAL])
@virtual
async def test_where_the_log_begins_is_known(timestamp: int) -> None:
    answer = await list_offset(stage(), timestamp)
    assert (answer.error_code, answer.offset) == (ErrorCode.NONE, 0)


@virtual
async def test_older_clients_are_told_what_they_know() -> None:
    answer = await list_offset(stage(), LATEST, FIRST_WITH_OFFSET_NOT_AVAILABLE - 1)
    assert answer.error_code == ErrorCode.LEADER_NOT_AVAILABLE


@virtual
async def test_followers_tell_no_offsets() -> None:
    it = stage()
    it.group("t").follow(2, 3)
    assert (await list_offset(it, EARLIEST)).error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER


@pytest.mark.parametrize(("is_own_term_committed", "end_offset"), [(False, 2), (True, 1)])
@virtual
async def test_it_does_not_look_as_if_it_had_lost_something(
    is_own_term_committed: bool, end_offset: int
) -> None:
    it = stage()
    if is_own_term_committed:
        it.group("t").wait_until_idle()
    wanted = OffsetForLeaderPartition(partition=0, current_leader_epoch=2, leader_epoch=2)
    message = OffsetForLeaderEpochRequest(topics=[OffsetForLeaderTopic(topic="t", partitions=[wanted])])
    response = await it.ask(message, 4, OffsetForLeaderEpochResponse)
    answer = response.topics[0].partitions[0]
    assert (answer.error_code, answer.leader_epoch, answer.end_offset) == (ErrorCode.NONE, 2, end_offset)
