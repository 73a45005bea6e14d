"""What a node that stops does about what it leads."""

import asyncio

import pytest

from chronik.broker.partition import Partition
from chronik.cluster.metadata.brokers import BrokerFenced
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.ids import NodeId
from tests.support.broker_room import batch_of
from tests.unit.broker.cluster_stage import NODE, ClusterStage

TWO, THREE = NodeId(2), NodeId(3)
DEADLINE = 10.0


def stage(partitions: int = 1) -> ClusterStage:
    it = ClusterStage()
    it.create("t", partitions)
    for index in range(partitions):
        it.group("t", index).lead(1)
    return it


def drain(it: ClusterStage) -> asyncio.Task[list[Partition]]:
    return asyncio.create_task(it.broker.transfers.drain_all(DEADLINE))


def take(it: ClusterStage, index: int = 0, epoch: int = 2) -> None:
    """The transfer_target leads, and says so."""
    transfer_target = it.group("t", index).transfers[-1]
    it.group("t", index).follow(transfer_target, epoch)
    it.announce(transfer_target, epoch, "t", index)


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual
async def test_a_node_that_leads_nothing_is_done() -> None:
    it = ClusterStage()
    it.create("t")
    assert await drain(it) == []
    assert now() == 0


@virtual
async def test_it_is_done_when_others_are_known_to_lead() -> None:
    it = stage()
    running = drain(it)
    await wait_until_idle()
    assert len(it.group("t").transfers) == 1
    it.group("t").follow(None, 2)
    await wait_until_idle()
    assert not running.done()
    it.announce(3, 2, "t")
    assert await running == []
    assert now() == 0


@virtual
async def test_the_others_get_equal_shares() -> None:
    it = stage(6)
    it.create("theirs", 2, replicas=(2, 3))
    for index in range(2):
        it.announce(2, 1, "theirs", index)
    running = drain(it)
    await wait_until_idle()
    heirs = [it.group("t", index).transfers for index in range(6)]
    assert sorted(transfer_target for (transfer_target,) in heirs) == [TWO, TWO, THREE, THREE, THREE, THREE]
    for index in range(6):
        take(it, index)
    assert await running == []


@pytest.mark.parametrize("why", ["lost", "lags", "lacks records"])
@virtual
async def test_only_who_keeps_up_gets_any(why: str) -> None:
    it = stage()
    it.partition("t").append(batch_of([b"v"]))
    it.group("t").commit()
    if why == "lost":
        it.peers.nodes -= {TWO}
    elif why == "lags":
        it.group("t").lags = frozenset({TWO})
    else:
        it.group("t").ends[TWO] = 0
    running = drain(it)
    await wait_until_idle()
    assert it.group("t").transfers == [THREE]
    running.cancel()


@virtual
async def test_without_others_it_does_not_wait() -> None:
    it = stage()
    it.create("alone", replicas=(1,))
    it.group("alone").lead(1)
    it.peers.nodes = frozenset({NODE})
    assert await drain(it) == [it.partition("t")]
    assert now() == 0


@virtual
async def test_it_waits_for_those_that_catch_up() -> None:
    it = stage()
    it.group("t").lags = frozenset({TWO, THREE})
    running = drain(it)
    await asyncio.sleep(1)
    assert it.group("t").transfers == []
    it.group("t").lags = frozenset({TWO})
    await asyncio.sleep(0.1)
    assert it.group("t").transfers == [THREE]
    take(it)
    assert await running == []


@virtual
async def test_a_transfer_that_comes_to_nothing_is_begun_again_elsewhere() -> None:
    it = stage()
    running = drain(it)
    await asyncio.sleep(0.7)
    assert set(it.group("t").transfers) == {TWO, THREE}
    take(it)
    assert await running == []


@virtual
async def test_what_comes_back_is_handed_over_again() -> None:
    it = stage(2)
    running = drain(it)
    await wait_until_idle()
    take(it, 0)
    await asyncio.sleep(0.1)
    it.group("t", 0).lead(3)
    await asyncio.sleep(0.1)
    assert len(it.group("t", 0).transfers) == 2
    take(it, 0, 4)
    take(it, 1)
    assert await running == []


@virtual
async def test_there_is_an_end_to_it() -> None:
    it = stage(2)
    running = drain(it)
    await wait_until_idle()
    take(it, 1)
    assert await running == [it.partition("t", 0)]
    assert now() == pytest.approx(DEADLINE)


@virtual
async def test_what_is_deleted_meanwhile_is_no_concern() -> None:
    it = stage()
    running = drain(it)
    await wait_until_idle()
    it.delete("t")
    assert await running == []
    assert now() < 1


@virtual
async def test_nothing_is_given_to_nodes_that_stop_as_well() -> None:
    it = stage()
    it.apply([BrokerFenced(node=TWO), BrokerFenced(node=THREE)])
    assert await drain(it) == [it.replicas.replica("t", 0)]
    assert it.group("t").transfers == []
    assert now() == 0
