"""Metadata while leaders are missing: what is waited for, and for how long."""

import asyncio

import pytest

from chronik.cluster.metadata.brokers import BrokerFenced
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NodeId
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from tests.unit.broker.cluster_stage import NODE, ClusterStage

VERSION = 9


async def leaders(it: ClusterStage) -> list[tuple[int, int]]:
    """Error code and leader of each partition of `t`."""
    message = MetadataRequest(topics=[MetadataRequestTopic(name="t")], allow_auto_topic_creation=False)
    response = await it.ask(message, VERSION, MetadataResponse)
    return [(partition.error_code, partition.leader_id) for partition in response.topics[0].partitions]


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual
async def test_a_new_leader_is_waited_for() -> None:
    it = ClusterStage()
    it.create("t")
    it.group("t").lead(1)
    it.group("t").follow(None, 1)
    asking = asyncio.create_task(leaders(it))
    await wait_until_idle()
    assert not asking.done()
    it.announce(2, 2, "t")
    assert await asking == [(ErrorCode.NONE, 2)]
    assert now() == 0


@virtual
async def test_not_for_long() -> None:
    it = ClusterStage()
    it.create("t")
    it.group("t").lead(1)
    it.group("t").follow(None, 1)
    assert await leaders(it) == [(ErrorCode.LEADER_NOT_AVAILABLE, -1)]
    assert now() == pytest.approx(0.5)


@virtual
async def test_not_when_there_is_no_majority() -> None:
    it = ClusterStage()
    it.create("t")
    it.group("t").lead(1)
    it.group("t").follow(None, 1)
    it.peers.nodes = frozenset({NODE})
    assert await leaders(it) == [(ErrorCode.LEADER_NOT_AVAILABLE, -1)]
    assert now() == 0


@virtual
async def test_a_leader_that_misses_heartbeats_is_waited_for_until_it_speaks() -> None:
    it = ClusterStage()
    it.create("t")
    it.announce(2, 1, "t")
    it.leadership.on_node_unheard(NodeId(2))
    asking = asyncio.create_task(leaders(it))
    await wait_until_idle()
    assert not asking.done()
    it.leadership.on_node_heard(NodeId(2))
    assert await asking == [(ErrorCode.NONE, 2)]
    assert now() == 0


@virtual
async def test_a_leader_that_misses_heartbeats_is_waited_for_until_another_is_elected() -> None:
    it = ClusterStage()
    it.create("t")
    it.announce(2, 1, "t")
    it.leadership.on_node_unheard(NodeId(2))
    asking = asyncio.create_task(leaders(it))
    await asyncio.sleep(0.9)
    it.leadership.on_node_lost(NodeId(2))
    it.peers.nodes -= {NodeId(2)}
    await asyncio.sleep(0.4)
    assert not asking.done()
    it.announce(3, 2, "t")
    assert await asking == [(ErrorCode.NONE, 3)]


@virtual
async def test_it_is_named_when_nothing_happens_for_an_election_timeout_and_an_election() -> None:
    it = ClusterStage()
    it.create("t")
    it.announce(2, 1, "t")
    it.leadership.on_node_unheard(NodeId(2))
    assert await leaders(it) == [(ErrorCode.NONE, 2)]
    assert now() == pytest.approx(1.5)


@virtual
async def test_it_is_named_at_once_when_no_majority_could_elect_another() -> None:
    it = ClusterStage()
    it.create("t")
    it.announce(2, 1, "t")
    for node in (NodeId(2), NodeId(3)):
        it.leadership.on_node_unheard(node)
    assert await leaders(it) == [(ErrorCode.NONE, 2)]
    assert now() == 0


async def named_brokers(it: ClusterStage) -> list[int]:
    message = MetadataRequest(topics=[MetadataRequestTopic(name="t")], allow_auto_topic_creation=False)
    response = await it.ask(message, VERSION, MetadataResponse)
    return sorted(broker.node_id for broker in response.brokers)


@virtual
async def test_a_node_that_is_cut_off_sends_clients_to_the_others() -> None:
    it = ClusterStage()
    it.create("t")
    it.group("t").lead(1)
    it.group("t").follow(None, 1)
    it.peers.nodes = frozenset({NODE})
    assert await named_brokers(it) == [2, 3]
    it.peers.nodes = frozenset({NODE, NodeId(2)})
    assert await named_brokers(it) == [1, 2, 3]


@virtual
async def test_a_node_that_is_cut_off_keeps_clients_of_what_it_leads() -> None:
    it = ClusterStage()
    it.create("t", replicas=(1,))
    it.group("t").lead(1)
    it.peers.nodes = frozenset({NODE})
    assert await named_brokers(it) == [1, 2, 3]


@virtual
async def test_whoever_is_named_as_leader_is_among_the_brokers() -> None:
    """Otherwise kafka-python tries, without end, to reach a node of which it has no address."""
    it = ClusterStage()
    it.create("t", partitions=2)
    for partition in (0, 1):
        it.group("t", partition).lead(1)
    it.group("t", 1).follow(None, 1)
    it.peers.nodes = frozenset({NODE})
    assert await named_brokers(it) == [2, 3]
    # Not LISTENER_NOT_FOUND, of which clients warn as of a mistake in the configuration.
    assert await leaders(it) == [(ErrorCode.LEADER_NOT_AVAILABLE, -1)] * 2


@virtual
async def test_not_for_a_group_of_one_that_resigned() -> None:
    it = ClusterStage()
    it.create("t", replicas=(1,))
    it.group("t").lead(1)
    it.group("t").follow(None, 1)
    assert await leaders(it) == [(ErrorCode.LEADER_NOT_AVAILABLE, -1)]
    assert now() == 0


@virtual
async def test_the_first_leader_of_a_new_partition_is_waited_for_longer() -> None:
    it = ClusterStage()
    it.create("t", partitions=2)
    it.group("t", 0).lead(1)
    asking = asyncio.create_task(leaders(it))
    await asyncio.sleep(3)
    assert not asking.done()
    it.announce(3, 1, "t", 1)
    assert await asking == [(ErrorCode.NONE, 1), (ErrorCode.NONE, 3)]


@virtual
async def test_the_first_leader_of_a_topic_that_is_deleted_meanwhile_is_not() -> None:
    it = ClusterStage()
    it.create("t", partitions=2)
    it.group("t", 0).lead(1)
    it.group("t", 0).follow(None, 1)
    asking = asyncio.create_task(leaders(it))
    await asyncio.sleep(0.1)
    it.delete("t")
    assert await asking == []
    assert now() < 1


@virtual
async def test_the_first_leader_of_a_partition_of_lost_nodes_is_not() -> None:
    it = ClusterStage()
    it.create("t", replicas=(2,))
    it.peers.nodes = frozenset({NODE, NodeId(3)})
    assert await leaders(it) == [(ErrorCode.LEADER_NOT_AVAILABLE, -1)]
    assert now() == 0


@virtual
async def test_a_leader_that_leaves_is_not_shown_while_another_is_on_its_way() -> None:
    it = ClusterStage()
    it.create("t")
    it.announce(3, 1, "t")
    it.apply([BrokerFenced(node=NodeId(3))])
    asking = asyncio.create_task(leaders(it))
    await wait_until_idle()
    assert not asking.done()
    it.announce(2, 2, "t")
    assert await asking == [(ErrorCode.NONE, 2)]
    assert now() == 0


@virtual
async def test_it_is_waited_for_no_longer_than_for_an_election() -> None:
    it = ClusterStage()
    it.create("t")
    it.announce(3, 1, "t")
    it.apply([BrokerFenced(node=NodeId(3))])
    assert await leaders(it) == [(ErrorCode.LISTENER_NOT_FOUND, -1)]
    assert now() == pytest.approx(0.5)
