"""A node's background tasks while it serves, and before it stops."""

import asyncio

import pytest

from chronik.broker.drain import Drain
from chronik.broker.partition import Partition
from chronik.cluster.metadata.topics import CreateTopic
from chronik.cluster.registration import Registration
from chronik.sim.cluster import NODES, SimCluster, SimNode
from chronik.sim.process import on_processes
from chronik.vocab.errors import ErrorCode, KafkaError

ONE, TWO, THREE = NODES


def controller(room: SimCluster) -> SimNode:
    (leader,) = [node for node in room.nodes.values() if node.local.metadata_partition.partition.is_leader]
    return leader


async def until(is_so: object) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # type: ignore[operator]
            await asyncio.sleep(0.01)


@on_processes
async def test_a_node_that_stops_leads_nothing_any_more_and_is_fenced() -> None:
    room = await SimCluster().open()
    node = controller(room)
    await node.do(node.broker.metadata.submit(CreateTopic(name="t", partitions=6)))
    await asyncio.sleep(1)
    assert node.broker.replicas.led()
    await node.drain()
    assert node.broker.replicas.led() == []
    assert not node.local.metadata_partition.partition.is_leader
    others = [other for other in room.nodes.values() if other is not node]
    await until(lambda: all(node.node in other.broker.metadata.image.fenced for other in others))
    await until(lambda: any(other.local.metadata_partition.can_decide for other in others))
    await room.close()


@on_processes
async def test_what_cannot_be_handed_over_is_said_and_left(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await SimCluster().open()
    node = controller(room)
    led = [node.local.metadata_partition.partition]

    async def not_noted(registration: Registration, deadline: float) -> None:
        raise KafkaError(ErrorCode.NOT_CONTROLLER, "nobody takes note")

    async def left(drain: Drain, deadline: float) -> list[Partition]:
        return led

    def refused(to: object) -> None:
        raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "not now")

    monkeypatch.setattr(Registration, "leave", not_noted)
    monkeypatch.setattr(Drain, "run", left)
    monkeypatch.setattr(led[0].group, "transfer", refused)
    await node.drain()
    for text in (
        "could not deregister before shutdown",
        "could not transfer all leaderships before shutdown; the rest is elected",
        "could not transfer the controller before shutdown",
    ):
        assert text in caplog.text
    await room.close()


@on_processes
async def test_a_controller_without_a_candidate_keeps_the_metadata() -> None:
    room = await SimCluster().open()
    node = controller(room)
    for other in NODES:
        if other != node.node:
            room.crash(other, is_power_lost=False)
    started = asyncio.get_running_loop().time()
    await node.drain()
    assert asyncio.get_running_loop().time() - started < 4
    await room.close()


@on_processes
async def test_a_lost_node_is_fenced_until_the_others_stop_looking() -> None:
    room = await SimCluster(broker_session_timeout_ms="1000").open()
    node = controller(room)
    lost = next(one for one in NODES if one != node.node)
    room.crash(lost, is_power_lost=True)
    await until(lambda: lost in node.broker.metadata.image.fenced)
    await room.open_node(lost)
    await until(lambda: lost not in node.broker.metadata.image.fenced)
    background = node.local._background
    assert background is not None
    for one in room.nodes.values():
        assert one.local._background is not None
        await one.do(one.local._background.stop())
        # Once is enough.
        await one.do(one.local._background.stop())
    room.crash(lost, is_power_lost=True)
    await asyncio.sleep(5)
    assert lost not in node.broker.metadata.image.fenced
    await room.close()
