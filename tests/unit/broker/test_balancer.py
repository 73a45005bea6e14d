"""Who is given leaderships back, when, and how fast."""

import asyncio

import pytest

from chronik.broker.balancer import Balancer
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.ids import NodeId
from tests.support.broker_room import batch_of
from tests.unit.broker.cluster_stage import NODE, NODES, ClusterStage

TWO, THREE = NodeId(2), NodeId(3)


def stage(**settings: str) -> ClusterStage:
    """Led by node 1, though node 2 led first."""
    it = ClusterStage(**settings)
    it.create("t", 1, first_leader=2)
    it.group("t", 0).lead(3)
    return it


def balancer(it: ClusterStage) -> Balancer:
    return Balancer(
        replicas=it.replicas,
        transfers=it.broker.transfers,
        peers=it.peers,
        image=lambda: it.image,
        settings=it.settings,
    )


async def steady(it: ClusterStage) -> Balancer:
    """One that has seen all nodes before."""
    made = balancer(it)
    assert await made.run_once() == 0
    return made


@virtual
async def test_who_led_first_leads_again() -> None:
    it = stage()
    assert await (await steady(it)).run_once() == 1
    assert it.group("t").transfers == [TWO]


@virtual
async def test_what_is_well_stays() -> None:
    it = ClusterStage()
    it.create("t", 2, first_leader=1)
    it.group("t", 0).lead(3)
    it.group("t", 1).follow(3, 3)
    assert await (await steady(it)).run_once() == 0
    assert it.group("t", 0).transfers == it.group("t", 1).transfers == []


@virtual
async def test_who_has_just_come_has_to_wait() -> None:
    it = stage()
    it.peers.nodes = frozenset({NODE, THREE})
    made = await steady(it)
    it.peers.nodes = frozenset(NODES)
    assert await made.run_once() == 0
    assert await made.run_once() == 1


@pytest.mark.parametrize("why", ["lost", "lags", "lacks records"])
@virtual
async def test_who_does_not_keep_up_has_to_wait(why: str) -> None:
    it = stage()
    it.partition("t").append(batch_of([b"v"]))
    it.group("t").commit()
    made = await steady(it) if why == "lost" else balancer(it)
    if why == "lost":
        it.peers.nodes -= {TWO}
    elif why == "lags":
        it.group("t").lags = frozenset({TWO})
    else:
        it.group("t").ends[TWO] = 0
    await made.run_once()
    assert await made.run_once() == 0
    assert it.group("t").transfers == []


@virtual
async def test_it_can_be_switched_off() -> None:
    it = stage(auto_leader_rebalance_enable="false")
    assert await (await steady(it)).run_once() == 0


@virtual
async def test_it_is_done_gradually() -> None:
    it = ClusterStage()
    it.create("t", 120, first_leader=2)
    # So many are opened one after the other.
    await wait_until_idle()
    for index in range(120):
        it.group("t", index).lead(3)
    made = await steady(it)
    running = asyncio.create_task(made.run_once())
    await asyncio.sleep(1.01)
    begun = sum(len(it.group("t", index).transfers) for index in range(120))
    assert 45 <= begun <= 55
    assert await running == 120


@virtual
async def test_what_comes_to_nothing_is_not_tried_at_once() -> None:
    it = stage()
    made = await steady(it)
    assert await made.run_once() == 1
    assert await made.run_once() == 0
    await asyncio.sleep(60)
    assert await made.run_once() == 1


@virtual
async def test_it_is_tried_at_once_after_leadership_moved() -> None:
    it = stage()
    made = await steady(it)
    assert await made.run_once() == 1
    it.group("t").follow(2, 4)
    await made.run_once()
    it.group("t").lead(5)
    assert await made.run_once() == 1


@virtual
async def test_it_looks_every_so_often_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    it = stage(leader_imbalance_check_interval_seconds="7")
    made = balancer(it)
    made.start()
    await asyncio.sleep(15)
    assert it.group("t").transfers == [TWO]
    await made.stop()
    await asyncio.sleep(100)
    assert it.group("t").transfers == [TWO]


@virtual
async def test_one_bad_look_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    it = stage(leader_imbalance_check_interval_seconds="7")
    made = balancer(it)
    with monkeypatch.context() as patched:
        patched.setattr(it.peers, "live", lambda: None)
        made.start()
        await asyncio.sleep(8)
    await asyncio.sleep(14)
    assert it.group("t").transfers == [TWO]
    await made.stop()


@virtual
async def test_it_may_be_stopped_before_it_was_started() -> None:
    await balancer(stage()).stop()
