"""Which partitions are here, what is said of those that are not, and who leads."""

import asyncio
import errno
import logging

import pytest

from chronik.broker.replica_manager import ReplicaStatistics
from chronik.cluster.leadership import Leader
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId
from tests.support.broker_room import BrokerRoom

NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
BROKEN = OSError(errno.EIO, "Input/output error")
NOBODY = bytes(15) + b"\x09"


def leader(room: BrokerRoom, topic: str, index: int = 0) -> Leader | None:
    return room.broker.leadership.leader(room.broker.metadata.image.topics[topic].topic_id, index)


def refusal(room: BrokerRoom, topic: str, index: int = 0) -> ErrorCode:
    with pytest.raises(KafkaError) as refused:
        room.broker.replicas.replica(topic, index)
    return refused.value.code


def refusal_by_id(room: BrokerRoom, topic_id: bytes, index: int = 0) -> ErrorCode:
    with pytest.raises(KafkaError) as refused:
        room.broker.replicas.replica_by_id(topic_id, index)
    return refused.value.code


def hinder_opening(room: BrokerRoom, directory: str) -> None:
    """A directory that lacks its file gets it at once, unlike one that is not there yet."""
    room.disk.make_directory(directory)
    room.disk.fail("create", f"{directory}/partition.metadata.tmp", NO_SPACE)


@virtual
async def test_partitions_are_found_by_name_and_by_id() -> None:
    room = await BrokerRoom().open()
    await room.create("t", partitions=2)
    topic_id = room.broker.metadata.image.topics["t"].topic_id
    replicas = room.broker.replicas
    assert replicas.replica("t", 1) is replicas.replica_by_id(topic_id, 1) is replicas.find("t", 1)
    assert refusal(room, "t", 2) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert refusal(room, "t", -1) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert refusal(room, "absent") is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert refusal_by_id(room, topic_id, 2) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert refusal_by_id(room, NOBODY) is ErrorCode.UNKNOWN_TOPIC_ID
    assert replicas.known_leader(topic_id, "", 1) == leader(room, "t")
    assert replicas.known_leader(bytes(16), "t", 1) == leader(room, "t")
    await room.delete("t")
    assert refusal_by_id(room, topic_id) is ErrorCode.UNKNOWN_TOPIC_ID
    assert replicas.find("t", 0) is None
    assert replicas.known_leader(bytes(16), "t", 0) is None
    await room.close()


@virtual
async def test_a_log_that_cannot_be_made_is_offline_until_it_can() -> None:
    room = await BrokerRoom().open()
    hinder_opening(room, "t-0")
    await room.create("t", partitions=2)
    assert refusal(room, "t") is ErrorCode.KAFKA_STORAGE_ERROR
    assert leader(room, "t") is None
    assert leader(room, "t", 1) is not None
    assert room.broker.replicas.statistics() == ReplicaStatistics(partitions=1, offline=1, led=1)
    assert room.broker.replicas.retry_offline()
    room.disk.heal()
    assert not room.broker.replicas.retry_offline()
    assert leader(room, "t") == Leader(NodeId(1), LeaderEpoch(1))
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 0)
    await room.close()


@virtual
async def test_an_offline_partition_goes_with_its_topic() -> None:
    room = await BrokerRoom().open()
    hinder_opening(room, "t-0")
    await room.create("t")
    await room.delete("t")
    assert refusal(room, "t") is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert not room.broker.replicas.retry_offline()
    await room.close()


@virtual
async def test_whatever_is_wrong_with_one_log_the_metadata_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    room = await BrokerRoom().open()

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(room.local._partitions, "open", fail)
        await room.create("t")
    assert refusal(room, "t") is ErrorCode.KAFKA_STORAGE_ERROR
    await room.create("u")
    assert await room.produce("u", b"v") == (ErrorCode.NONE, 0)
    await room.close()


@virtual
async def test_a_failed_log_resigns_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    room = await BrokerRoom().open()
    await room.create("t", partitions=2)
    room.disk.fail("sync", "t-0/00000000000000000000.log", BROKEN)
    with caplog.at_level(logging.CRITICAL, "chronik"):
        await room.produce("t", b"v")
    assert [record.getMessage() for record in caplog.records] == [
        "partition stopped: its log failed; restart this node"
    ]
    assert leader(room, "t") is None
    assert leader(room, "t", 1) is not None
    room.disk.heal()
    again = await room.start_again()
    assert leader(again, "t") == Leader(NodeId(1), LeaderEpoch(2))
    await again.close()


@virtual
async def test_after_the_end_everybody_is_sent_away() -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    partition = room.partition("t")
    await room.close()
    with pytest.raises(KafkaError) as refused:
        partition.append(b"")
    assert refused.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert refusal(room, "t") is ErrorCode.NOT_LEADER_OR_FOLLOWER


@virtual
async def test_a_topic_that_comes_and_goes_in_one_change_leaves_nothing() -> None:
    room = await BrokerRoom().open()
    for _ in range(3):
        await room.create("t", partitions=3)
        await room.delete("t")
    await room.create("t")
    await room.produce("t", b"u")
    await wait_until_idle()
    assert [name for name in room.disk.list("") if name.startswith("t-")] == ["t-0"]
    assert await room.produce("t", b"v") == (ErrorCode.NONE, 1)
    await room.close()


@virtual
async def test_many_partitions_are_opened_a_few_at_a_time() -> None:
    room = await BrokerRoom().open()
    opened = []
    room.broker.leadership.subscribe(lambda key, leader: opened.append(key.partition))
    creation = asyncio.ensure_future(room.create("t", partitions=100))
    counts = set()
    while len(opened) < 100:
        counts.add(len(opened))
        await asyncio.sleep(0)
    await creation
    assert counts == {0, 16, 32, 48, 64, 80, 96}
    assert opened == list(range(100))
    await room.close()


@virtual
async def test_a_topic_deleted_while_it_is_opened_leaves_nothing() -> None:
    room = await BrokerRoom().open()
    await room.create("t", partitions=100)
    await room.delete("t")
    await wait_until_idle()
    assert room.broker.replicas.partitions() == []
    await room.create("t", partitions=1)
    assert leader(room, "t") is not None
    await room.close()
