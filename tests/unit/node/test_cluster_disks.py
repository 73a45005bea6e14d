"""Nodes that come back with an empty disk: they follow, are given everything, and vote again."""

import asyncio
import logging

import pytest

from chronik.sim.agreement import votes_everywhere
from chronik.sim.cluster import NODES, SimNode
from chronik.sim.process import ProcessDied, on_processes
from chronik.sim.process_disk import Change, Death, Operation
from chronik.vocab.ids import NodeId
from tests.support.cluster_scene import ClusterScene

pytestmark = pytest.mark.long

# Registration, two looks at the members for each group, and the log's way over: some seconds at most.
VOTES_AGAIN_SECONDS = 10.0


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, "chronik")


async def replace(scene: ClusterScene, node: NodeId) -> None:
    """Its machine burns, and another one takes its place."""
    scene.room.crash(node, is_power_lost=True)
    scene.room.replace_disk(node)
    await asyncio.sleep(1)
    await scene.room.open_node(node)


@on_processes
async def test_a_node_with_a_new_disk_votes_again_when_it_has_everything() -> None:
    scene = await ClusterScene().open()
    await replace(scene, NodeId(3))
    await scene.until(lambda: votes_everywhere(scene.room, NodeId(3)), VOTES_AGAIN_SECONDS)
    await scene.acknowledged(3)
    await scene.check()


@on_processes
async def test_the_disks_of_all_nodes_can_be_replaced_one_after_the_other() -> None:
    scene = await ClusterScene().open()
    for node in NODES:
        await replace(scene, node)
        await scene.until(lambda node=node: votes_everywhere(scene.room, node), VOTES_AGAIN_SECONDS)  # type: ignore[misc]
        await scene.acknowledged(2)
    await scene.check()


@pytest.mark.parametrize("seed", range(12))
@on_processes
async def test_a_new_disk_that_loses_power_while_it_is_filled_has_kept_the_name_of_the_metadata(
    seed: int,
) -> None:
    scene = await ClusterScene(seed).open()
    node = scene.room.nodes[NodeId(3)]
    scene.room.watch = lambda node, change: Death.AFTER if _is_a_partition(node, change) else None
    with pytest.raises(ProcessDied):
        await replace(scene, node.node)
    scene.room.watch = lambda node, change: None
    await scene.room.open_node(node.node)
    await scene.check()


def _is_a_partition(node: SimNode, operation: Operation) -> bool:
    is_segment = operation.path.startswith("t-") and operation.path.endswith(".log")
    return node.node == 3 and operation.change is Change.CREATE and is_segment


@pytest.mark.parametrize("crashed", [NodeId(1), NodeId(2)])
@on_processes
async def test_another_node_may_crash_as_soon_as_it_votes(crashed: NodeId) -> None:
    scene = await ClusterScene().open()
    await replace(scene, NodeId(3))
    await scene.until(lambda: votes_everywhere(scene.room, NodeId(3)), VOTES_AGAIN_SECONDS)
    scene.room.crash(crashed, is_power_lost=True)
    await scene.acknowledged(3)
    await scene.room.open_node(crashed)
    await scene.check()


@pytest.mark.parametrize("is_power_lost", [False, True])
@pytest.mark.parametrize("seed", range(6))
@on_processes
async def test_another_node_may_crash_before_it_votes(seed: int, is_power_lost: bool) -> None:
    scene = await ClusterScene(seed).open()
    await replace(scene, NodeId(3))
    await asyncio.sleep(scene.room.random.random())
    crashed = scene.room.random.choice(NODES[:2])
    scene.room.crash(crashed, is_power_lost=is_power_lost)
    await asyncio.sleep(scene.room.random.random() * 3)
    await scene.room.open_node(crashed)
    await scene.until(lambda: votes_everywhere(scene.room, NodeId(3)), VOTES_AGAIN_SECONDS)
    await scene.acknowledged(2)
    await scene.check()
