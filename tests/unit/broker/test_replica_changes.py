"""A partition's replicas change, as the broker of node 1 sees it."""

import asyncio

import pytest

from chronik.cluster.leadership import Leader
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_NODE, LeaderEpoch, TopicPartition
from tests.unit.broker.cluster_stage import NODES, ClusterStage

NAME = TopicPartition("t", 0)


class Waiter:
    def __init__(self) -> None:
        self.codes: list[ErrorCode] = []
        self.looks = 0

    def on_commit(self, code: ErrorCode) -> None:
        self.codes.append(code)

    def on_progress(self) -> None:
        self.looks += 1


def stage(*replicas: int) -> ClusterStage:
    it = ClusterStage()
    it.create("t", replicas=replicas or NODES)
    return it


@virtual
async def test_a_replica_that_is_removed_sends_everybody_elsewhere() -> None:
    it = stage()
    it.group("t").lead(3)
    partition, fetch = it.partition("t"), Waiter()
    partition.add_fetch_waiter(fetch)
    it.change("t", 1, (2, 0), (3, 0))
    await asyncio.sleep(0)
    assert it.factory.removed == [partition]
    assert fetch.looks > 0
    for answered in (partition.check_leader, partition.check_reader, lambda: it.partition("t")):
        with pytest.raises(KafkaError) as refused:
            answered()
        assert refused.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    # What it led is led by nobody until another speaks.
    assert it.leader("t") is None
    assert it.leadership.leaders(partition.topic_id) == {0: Leader(NO_NODE, LeaderEpoch(3))}
    assert it.replicas.led() == []


@virtual
async def test_a_node_that_gets_a_replica_makes_it() -> None:
    it = stage(2)
    it.change("t", 1, (2, 0), (1, 1))
    assert it.partition("t").revision == 1
    assert it.partition("t").replicas == (2, 1)


@virtual
async def test_one_that_was_removed_is_made_again_when_its_name_is_free() -> None:
    it = stage()
    before = it.partition("t")
    it.factory.may_remove.clear()
    it.change("t", 2, (2, 0), (3, 0), (1, 2))
    await asyncio.sleep(0.1)
    assert it.replicas.find("t", 0) is None
    it.factory.may_remove.set()
    await asyncio.sleep(0.1)
    assert it.partition("t") is not before
    assert it.partition("t").revision == 2


@virtual
async def test_one_that_is_removed_again_before_it_is_made_is_not() -> None:
    it = stage()
    it.factory.may_remove.clear()
    it.change("t", 2, (2, 0), (3, 0), (1, 2))
    it.change("t", 3, (2, 0), (3, 0))
    it.factory.may_remove.set()
    await asyncio.sleep(0.1)
    assert it.replicas.find("t", 0) is None
    assert it.replicas.statistics().partitions == 0


@virtual
async def test_one_that_could_not_be_opened_is_removed_too() -> None:
    it = ClusterStage()
    it.factory.failure = OSError("broken")
    it.create("t")
    assert it.replicas.statistics().offline == 1
    it.change("t", 1, (2, 0), (3, 0))
    assert it.factory.removed_unopened == [NAME]
    assert it.replicas.statistics().offline == 0
    assert not it.replicas.retry_offline()


@virtual
async def test_it_waits_for_metadata_that_is_behind(caplog: pytest.LogCaptureFixture) -> None:
    it = stage()
    partition = it.partition("t")
    partition.revision = 7
    it.change("t", 6, (2, 0), (3, 0))
    assert it.partition("t") is partition
    assert "metadata is behind this replica" in caplog.text


@virtual
async def test_no_more_than_shall_be_there_can_be_asked_for() -> None:
    it = ClusterStage()
    it.create("t", min_insync_replicas="2")
    partition = it.partition("t")
    assert partition.in_sync_min == 2
    it.change("t", 1, (1, 0), (2, 0), (3, 0), target=(1,))
    assert (partition.in_sync_min, partition.replicas) == (1, (1, 2, 3))
    it.change("t", 2, (1, 0))
    assert (partition.in_sync_min, partition.replicas) == (1, (1,))
    it.change("t", 3, (1, 0), (2, 3))
    assert partition.in_sync_min == 2
    assert it.factory.removed == []
