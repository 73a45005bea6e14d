"""FindCoordinator and DescribeCluster where other nodes coordinate, leave, or are lost."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from chronik.broker.groups.service import GroupService
from chronik.cluster.metadata.brokers import BrokerFenced
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, NodeId
from chronik.wire.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from chronik.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from tests.unit.broker.cluster_stage import ClusterStage

PARTITION = 1


def stage() -> ClusterStage:
    """Every group lives in partition 1."""

    async def partition_for(group_id: str) -> int:
        return PARTITION

    it = ClusterStage()
    it.create(CONSUMER_OFFSETS_TOPIC, 2)
    it.broker.groups = cast(GroupService, SimpleNamespace(partition_for=partition_for))
    return it


async def coordinator(it: ClusterStage) -> tuple[int, int, str, int]:
    message = FindCoordinatorRequest(key_type=0, coordinator_keys=["g"])
    (found,) = (await it.ask(message, 4, FindCoordinatorResponse)).coordinators
    return found.error_code, found.node_id, found.host, found.port


def announce(it: ClusterStage, node: int, epoch: int) -> None:
    it.announce(node, epoch, CONSUMER_OFFSETS_TOPIC, PARTITION)


@virtual
async def test_it_is_whoever_leads_the_partition() -> None:
    it = stage()
    announce(it, 3, 1)
    assert await coordinator(it) == (ErrorCode.NONE, 3, "host-3", 9094)
    announce(it, 2, 2)
    assert await coordinator(it) == (ErrorCode.NONE, 2, "host-2", 9093)


@virtual
async def test_an_election_is_waited_for() -> None:
    it = stage()
    asking = asyncio.create_task(coordinator(it))
    await wait_until_idle()
    assert not asking.done()
    announce(it, 2, 1)
    assert await asking == (ErrorCode.NONE, 2, "host-2", 9093)


@virtual
async def test_who_misses_heartbeats_is_not_named_before_it_speaks() -> None:
    it = stage()
    announce(it, 3, 1)
    it.leadership.on_node_unheard(NodeId(3))
    asking = asyncio.create_task(coordinator(it))
    await wait_until_idle()
    assert not asking.done()
    it.leadership.on_node_heard(NodeId(3))
    assert await asking == (ErrorCode.NONE, 3, "host-3", 9094)


@virtual
async def test_who_leaves_is_not_named_while_another_is_on_its_way() -> None:
    it = stage()
    announce(it, 3, 1)
    it.apply([BrokerFenced(node=NodeId(3))])
    asking = asyncio.create_task(coordinator(it))
    await wait_until_idle()
    assert not asking.done()
    announce(it, 2, 2)
    assert await asking == (ErrorCode.NONE, 2, "host-2", 9093)


@pytest.mark.parametrize("leader", [None, 3])
@virtual
async def test_nobody_may_be_found(leader: int | None) -> None:
    it = stage()
    if leader is not None:
        announce(it, leader, 1)
        it.apply([BrokerFenced(node=NodeId(leader))])
    assert (await coordinator(it))[0] == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert asyncio.get_running_loop().time() == pytest.approx(0.5)


@pytest.mark.parametrize(("version", "asks", "fenced"), [(2, True, [3]), (2, False, []), (1, False, [])])
@virtual
async def test_fenced_brokers_are_told_to_those_who_ask(version: int, asks: bool, fenced: list[int]) -> None:
    it = ClusterStage()
    it.apply([BrokerFenced(node=NodeId(3))])
    message = DescribeClusterRequest(include_fenced_brokers=asks)
    brokers = (await it.ask(message, version, DescribeClusterResponse)).brokers
    assert [broker.broker_id for broker in brokers if not broker.is_fenced] == [1, 2]
    assert [broker.broker_id for broker in brokers if broker.is_fenced] == fenced
