"""A node of a cluster that stops."""

import asyncio
from collections.abc import Sequence

import pytest

from chronik.broker.partition import Partition
from chronik.node.partitions import LocalPartitions
from chronik.sim.process import on_processes
from tests.support.cluster_scene import ClusterScene


@on_processes
async def test_what_a_stopping_node_still_leads_is_led_by_others_before_its_logs_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await ClusterScene(controlled_shutdown_enable="false").open()
    node = scene.leader()
    close = LocalPartitions._close

    async def slowly(partitions: LocalPartitions, some: Sequence[Partition]) -> object:
        if partitions is node.local._partitions:
            await asyncio.sleep(1.5)
        return await close(partitions, some)

    monkeypatch.setattr(LocalPartitions, "_close", slowly)
    closing = asyncio.ensure_future(node.close())
    await asyncio.sleep(0)
    del scene.room.nodes[node.node]
    # An election, and the retries of producers.
    assert await scene.acknowledged(2) < 1
    assert not closing.done()
    await closing
    await scene.room.open_node(node.node)
    await scene.check()
