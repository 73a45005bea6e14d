"""A partition of three replicas: what its leadership's coming and going means to all who wait."""

import asyncio

import pytest

from chronik.broker.gateway import PartitionGateway
from chronik.broker.partition import Partition
from chronik.cluster.leadership import Leader
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_NODE, LeaderEpoch, NodeId
from tests.support.broker_room import batch_of
from tests.unit.broker.cluster_stage import NODE, ClusterStage


class Waiter:
    """Writes down what it is told."""

    def __init__(self, name: str, told: list[str]) -> None:
        self._name = name
        self._told = told

    def on_committed(self, partition: PartitionGateway) -> None:
        self._told.append(f"{self._name} committed")

    def on_commit_failed(self, partition: PartitionGateway, code: ErrorCode) -> None:
        self._told.append(f"{self._name} {code.name}")

    def on_progress(self) -> None:
        self._told.append(f"{self._name} progress")


def stage() -> ClusterStage:
    it = ClusterStage()
    it.create("t")
    return it


def append(partition: Partition, name: str, told: list[str]) -> None:
    appended = partition.append(batch_of([b"v"]))
    assert partition.wait_committed(appended.end_offset, Waiter(name, told))


# Announcements.


@virtual
async def test_nothing_is_announced_before_the_group_leads() -> None:
    it = stage()
    assert it.leadership.leaders(it.partition("t").topic_id) == {}
    assert it.replicas.led() == []
    it.group("t").lead(1, is_own_term_committed=False)
    assert it.leader("t") == Leader(NODE, LeaderEpoch(1))
    assert it.replicas.led() == [it.partition("t")]
    assert it.replicas.statistics().led == 1


@virtual
async def test_who_led_and_no_longer_does_resigns_the_epoch_it_led() -> None:
    it = stage()
    it.group("t").lead(4)
    it.group("t").follow(None, 5)
    topic_id = it.partition("t").topic_id
    assert it.leadership.leaders(topic_id) == {0: Leader(NO_NODE, LeaderEpoch(4))}
    assert it.replicas.led() == []


@virtual
async def test_who_leads_again_says_so() -> None:
    it = stage()
    heard: list[Leader] = []
    it.leadership.subscribe(lambda key, leader: heard.append(leader))
    for epoch in (1, 1, 3):
        it.group("t").lead(epoch)
    assert heard == [Leader(NODE, LeaderEpoch(epoch)) for epoch in (1, 3)]


@virtual
async def test_a_follower_that_hears_of_leaders_announces_nothing() -> None:
    it = stage()
    it.group("t").follow(2, 3)
    assert it.leader("t") is None
    it.announce(2, 3, "t")
    it.group("t").follow(3, 4)
    assert it.leader("t") == Leader(NodeId(2), LeaderEpoch(3))


@virtual
async def test_a_follower_whose_log_fails_takes_no_leadership_from_others() -> None:
    it = stage()
    it.announce(2, 3, "t")
    it.group("t").follow(2, 3)
    it.partition("t").on_failure(OSError("broken"))
    assert it.leader("t") == Leader(NodeId(2), LeaderEpoch(3))


@virtual
async def test_partitions_elsewhere_are_known_but_not_here() -> None:
    it = ClusterStage()
    it.create("t", replicas=(2, 3))
    with pytest.raises(KafkaError) as refused:
        it.replicas.replica("t", 0)
    assert refused.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
    it.announce(3, 1, "t")
    assert it.replicas.known_leader(bytes(16), "t", 0) == Leader(NodeId(3), LeaderEpoch(1))


@virtual
async def test_a_replica_that_cannot_be_opened_does_not_speak_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = ClusterStage()

    def fail(*_: object) -> Partition:
        raise OSError("full")

    monkeypatch.setattr(it.factory, "open", fail)
    it.create("t")
    it.create("alone", replicas=(1,))
    assert it.leadership.leaders(it.image.topics["t"].topic_id) == {}
    assert it.leadership.leaders(it.image.topics["alone"].topic_id) != {}


# Those who wait.


@virtual
async def test_who_waits_for_a_commit_outlives_the_leaders_term() -> None:
    it = stage()
    told: list[str] = []
    it.group("t").lead(1)
    append(it.partition("t"), "produce", told)
    it.group("t").follow(2, 2)
    assert told == []
    it.group("t").commit()
    assert told == ["produce committed"]


@virtual
async def test_truncation_is_told_to_those_above_it_alone() -> None:
    it = stage()
    told: list[str] = []
    it.group("t").lead(1)
    for name in ("a", "b", "c"):
        append(it.partition("t"), name, told)
    it.group("t").follow(2, 2)
    it.group("t").truncate(1)
    assert told == ["b NOT_LEADER_OR_FOLLOWER", "c NOT_LEADER_OR_FOLLOWER"]
    it.group("t").commit(1)
    assert told[2:] == ["a committed"]


@virtual
async def test_fetches_look_again_when_leadership_moves() -> None:
    it = stage()
    told: list[str] = []
    it.group("t").lead(1)
    it.partition("t").add_fetch_waiter(Waiter("fetch", told))
    it.group("t").follow(2, 2)
    assert told == ["fetch progress"]


@virtual
async def test_settlement_is_waited_for() -> None:
    it = stage()
    it.group("t").lead(1, is_own_term_committed=False)
    partition = it.partition("t")
    assert not partition.is_own_term_committed
    waits = [asyncio.create_task(partition.wait_own_term(None)) for _ in range(2)]
    await wait_until_idle()
    assert not any(wait.done() for wait in waits)
    it.group("t").wait_until_idle()
    await asyncio.gather(*waits)
    assert partition.is_own_term_committed
    await partition.wait_own_term(0.0)


@virtual
async def test_who_waits_for_settlement_learns_that_another_leads() -> None:
    it = stage()
    it.group("t").lead(1, is_own_term_committed=False)
    wait = asyncio.create_task(it.partition("t").wait_own_term(None))
    await wait_until_idle()
    it.group("t").follow(2, 2)
    with pytest.raises(KafkaError) as refused:
        await wait
    assert refused.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER


@virtual
async def test_settlement_may_take_too_long() -> None:
    it = stage()
    it.group("t").lead(1, is_own_term_committed=False)
    with pytest.raises(KafkaError) as refused:
        await it.partition("t").wait_own_term(2.0)
    assert refused.value.code is ErrorCode.REQUEST_TIMED_OUT
    assert asyncio.get_running_loop().time() == pytest.approx(2.0)


@virtual
async def test_who_waits_for_settlement_learns_of_the_end() -> None:
    it = stage()
    it.group("t").lead(1, is_own_term_committed=False)
    wait = asyncio.create_task(it.partition("t").wait_own_term(None))
    await wait_until_idle()
    it.partition("t").close(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    with pytest.raises(KafkaError) as refused:
        await wait
    assert refused.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


# LogMaintenance.


@virtual
async def test_followers_keep_up_as_well() -> None:
    it = ClusterStage()
    it.create("t", retention_bytes="0")
    it.group("t").lead(1)
    it.partition("t").append(batch_of([b"v"]))
    it.partition("t").log.roll()
    it.group("t").sync_soon()
    it.group("t").commit()
    it.group("t").follow(2, 2)
    assert await it.replicas.run_maintenance(it.partition("t")) == 1
    assert it.partition("t").log.start_offset == 1
