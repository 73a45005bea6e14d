"""Coordinators on a whole node, over a real log."""

import errno
import logging

import pytest

from chronik.broker.coordinator.host import CoordinatorState
from chronik.broker.coordinator.log import ProducerStamp
from chronik.broker.groups.commands import Commit, FetchOffsets, OffsetToCommit
from chronik.broker.groups.record_format import encode_offset_key
from chronik.broker.internal_log import InternalLog
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, LeaderEpoch, TopicPartition
from tests.support.broker_room import BrokerRoom

from .test_runtime import EPOCH, P, code
from .toy import Add, AddInTransaction, End, Read, Toys

LOG = "t-0/00000000000000000000.log"
T0 = TopicPartition("t", 0)


def internal_log(room: BrokerRoom, topic: str) -> InternalLog:
    replicas = room.broker.replicas
    return InternalLog(lambda index: replicas.replica(topic, index), replicas.load, room.clock)


async def toys_on(room: BrokerRoom, epoch: LeaderEpoch) -> Toys:
    toys = Toys(internal_log(room, "t"))
    toys.runtime.on_leader(0, epoch)
    await toys.runtime.run(0, Read("a"))
    return toys


@virtual
async def test_state_and_open_transactions_outlive_a_crash() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    toys = await toys_on(room, EPOCH)
    await toys.runtime.run(0, Add("a", 3))
    await toys.runtime.run(0, AddInTransaction("a", P, 5))
    await toys.runtime.run(0, AddInTransaction("a", ProducerStamp(8, 0), 7))
    await toys.runtime.run(0, End(ProducerStamp(8, 0)))
    await toys.runtime.run(0, AddInTransaction("b", ProducerStamp(9, 0)))
    await toys.runtime.run(0, End(ProducerStamp(9, 0), is_commit=False))
    await toys.runtime.close()
    room = await room.start_again()
    again = await toys_on(room, LeaderEpoch(2))
    assert again.made[0].durable == toys.made[0].durable == ({"a": 10}, {7: (2, {"a": 5})})
    await again.runtime.run(0, End(P))
    assert await again.runtime.run(0, Read("a")) == 15
    await again.runtime.close()
    await room.close()


@virtual
async def test_what_a_full_disk_refuses_is_taken_back() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    toys = await toys_on(room, EPOCH)
    await toys.runtime.run(0, Add("a"))
    room.disk.fail("write", LOG, OSError(errno.ENOSPC, "No space left on device"))
    assert await code(toys.runtime.run(0, Add("a"))) is ErrorCode.NOT_COORDINATOR
    # Reads go on.
    assert await toys.runtime.run(0, Read("a")) == 1
    room.disk.heal()
    assert await toys.runtime.run(0, Add("a")) == 2
    await toys.runtime.close()
    await room.close()


@virtual
async def test_a_node_that_was_downgraded_forgets_nothing_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = await BrokerRoom(offsets_topic_num_partitions="1").open()
    await room.create("t")
    commit = Commit("g", offsets=(OffsetToCommit(partition=T0, offset=5),))
    await room.broker.groups.run(commit)
    log = internal_log(room, CONSUMER_OFFSETS_TOPIC)
    # A consumer group of KIP-848.
    await log.append(0, [(b"\x00\x03\x00\x01h", b"\x00\x00\x00\x00\x00\x01")])
    with caplog.at_level(logging.ERROR):
        room = await room.restart()
        groups = room.broker.groups
        assert await code(groups.run(FetchOffsets("g"))) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    (said,) = (record for record in caplog.records if "coordinator" in record.message)
    assert "a later release wrote records this one does not know (key version 3 in" in said.message
    assert await code(groups.run(commit)) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert (await groups.list_groups()).error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert groups.runtime.states() == {CoordinatorState.FAILED: 1}
    assert room.local.warnings() == ["coordinators stopped loading: __consumer_offsets-0"]
    # The later release finds everything there was.
    log = internal_log(room, CONSUMER_OFFSETS_TOPIC)
    keys = [key for batch in [batch async for batch in log.read(0)] for key, _ in batch.records]
    assert keys == [encode_offset_key("g", T0), b"\x00\x03\x00\x01h"]
    await room.close()
