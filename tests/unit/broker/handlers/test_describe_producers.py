"""DescribeProducers: who wrote to a partition with a producer id."""

import errno

from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    TopicRequest,
)
from chronik.wire.messages.produce import ProduceResponse
from tests.support.broker_room import BrokerRoom, batch_of, produce_request

T0 = 1_700_000_000_000


async def ask(room: BrokerRoom, topic: str = "t") -> PartitionResponse:
    request = DescribeProducersRequest(topics=[TopicRequest(name=topic, partition_indexes=[0])])
    response = await room.ask(request, 0, DescribeProducersResponse)
    return response.topics[0].partitions[0]


@virtual
async def test_producers_are_described_by_their_last_batch() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    for producer, sequence in ((5, 0), (5, 2), (6, 0)):
        sequenced = {"producer_id": producer, "producer_epoch": 1, "base_sequence": sequence}
        batch = batch_of([b"a", b"b"], timestamp=T0 + sequence, **sequenced)
        await room.ask(produce_request({("t", 0): batch}), 9, ProduceResponse)
    await room.produce("t", b"anonymous")
    answer = await ask(room)
    assert answer.error_code == ErrorCode.NONE
    described = {
        state.producer_id: (state.producer_epoch, state.last_sequence, state.last_timestamp)
        for state in answer.active_producers
    }
    assert described == {5: (1, 3, T0 + 2), 6: (1, 1, T0)}
    assert {state.current_txn_start_offset for state in answer.active_producers} == {-1}
    await room.close()


@virtual
async def test_errors() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    assert (await ask(room)).active_producers == []
    assert (await ask(room, "absent")).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    room.disk.fail("sync", ".log", OSError(errno.EIO, "Input/output error"))
    await room.produce("t", b"a")
    assert (await ask(room)).error_code == ErrorCode.KAFKA_STORAGE_ERROR
    await room.close()
