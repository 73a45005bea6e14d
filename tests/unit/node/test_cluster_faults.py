"""A disk that fails on one of three nodes: that node steps aside, the others go on."""

import errno
import logging

import pytest

from chronik.cluster.metadata.topics import DeleteTopic
from chronik.node.data_directory import has_clean_mark
from chronik.raft.state_store import STATE_FILE
from chronik.sim.cluster import SimNode
from chronik.sim.process import on_processes
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import TopicId
from tests.support.cluster_scene import ClusterScene

FULL = OSError(errno.ENOSPC, "no space left on device")
BROKEN = OSError(errno.EIO, "input/output error")

# Elections and the retries of producers, one after the other.
GO_ON_SECONDS = 5.0


def fail(node: SimNode, operation: str, *suffixes: str, error: OSError) -> None:
    for suffix in suffixes:
        node.disk.fail(operation, suffix, error)


# The journal keeps the path that it was made with.
STATE = (STATE_FILE, f"{STATE_FILE}.tmp")


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, "chronik")


@on_processes
async def test_a_leader_whose_disk_is_full_hands_over_and_follows_when_there_is_room() -> None:
    scene = await ClusterScene().open()
    node = scene.leader()
    fail(node, "write", ".log", error=FULL)
    assert await scene.acknowledged(5, GO_ON_SECONDS) < GO_ON_SECONDS
    await scene.until(lambda: scene.led_by(node) == [])
    node.disk.heal()
    await scene.check()


@on_processes
async def test_a_follower_whose_disk_is_full_is_no_hindrance_and_catches_up() -> None:
    scene = await ClusterScene().open()
    leaders = {scene.leader(index).node for index in range(3)} | {scene.controller().node}
    node = next((node for node in scene.room.nodes.values() if node.node not in leaders), scene.leader(2))
    fail(node, "write", ".log", error=FULL)
    await scene.acknowledged(5, GO_ON_SECONDS)
    node.disk.heal()
    await scene.check()


@pytest.mark.parametrize("error", [FULL, BROKEN])
@on_processes
async def test_a_node_whose_fsync_failed_is_replaced_and_back_after_a_restart(error: OSError) -> None:
    scene = await ClusterScene().open()
    node = scene.leader()
    fail(node, "sync", ".log", error=error)
    await scene.acknowledged(5, GO_ON_SECONDS)
    assert scene.led_by(node) == []
    node.disk.heal()
    await scene.restart(node.node)
    await scene.check()


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("error", [FULL, BROKEN])
@on_processes
async def test_a_node_that_cannot_keep_its_votes_leads_nothing_until_it_starts_again(
    operation: str, error: OSError
) -> None:
    scene = await ClusterScene().open()
    node = scene.leader()
    fail(node, operation, *STATE, error=error)
    # Something has to be written there.
    other = next(other for other in scene.room.nodes.values() if other is not node)
    runtime = node.local.runtime
    assert runtime is not None
    for group in runtime.host.groups():
        if group.is_leader:
            group.transfer(other.node)
    await scene.acknowledged(5, GO_ON_SECONDS)
    await scene.until(lambda: scene.led_by(node) == [])
    node.disk.heal()
    await scene.restart(node.node)
    await scene.check()


@on_processes
async def test_a_controller_whose_disk_is_full_leaves_the_metadata_to_another() -> None:
    scene = await ClusterScene().open()
    node = scene.controller()
    fail(node, "write", ".log", error=FULL)
    await scene.acknowledged(3, GO_ON_SECONDS)
    await scene.create("more", GO_ON_SECONDS)
    assert scene.controller() is not node
    node.disk.heal()
    await scene.check()


@pytest.mark.parametrize("operation", ["write", "sync"])
@on_processes
async def test_topics_are_created_without_waiting_for_a_node_that_cannot_follow(operation: str) -> None:
    scene = await ClusterScene().open()
    controller = scene.controller()
    stalled, asked = [node for node in scene.room.nodes.values() if node is not controller]
    fail(stalled, operation, ".log", error=FULL)
    assert await scene.create_by_request(asked, "new", timeout_ms=3000) is ErrorCode.NONE
    stalled.disk.heal()
    if operation == "sync":
        await scene.restart(stalled.node)
    await scene.until(lambda: "new" in scene.room.nodes[stalled.node].broker.metadata.image.topics)
    runtime = asked.local.runtime
    assert runtime is not None
    await scene.until(lambda: stalled.node in runtime.gossip.applied)
    await scene.check()


@pytest.mark.parametrize("operation", ["create", "rename", "truncate"])
@on_processes
async def test_a_node_that_cannot_roll_steps_aside(operation: str) -> None:
    scene = await ClusterScene().open(internal_segment_bytes="1000")
    node = scene.leader()
    fail(node, operation, "", error=FULL)
    await scene.acknowledged(12, 3 * GO_ON_SECONDS)
    node.disk.heal()
    await scene.restart(node.node)
    await scene.check()


@on_processes
async def test_a_node_whose_store_finds_no_room_stops_in_order_and_its_next_start_recovers() -> None:
    scene = await ClusterScene().open()
    node = scene.leader()
    fail(node, "write", *STATE, error=FULL)
    await scene.room.stop(node.node)
    assert not has_clean_mark(node.disk)
    node.disk.heal()
    await scene.room.open_node(node.node)
    await scene.check()


@on_processes
async def test_a_node_that_cannot_forget_deleted_replicas_starts_and_forgets_them_at_the_next_start() -> None:
    scene = await ClusterScene().open()
    await scene.create("gone", GO_ON_SECONDS)
    node = next(one for one in scene.room.nodes.values() if one is not scene.controller())
    others = [one for one in scene.room.nodes.values() if one is not node]
    await scene.until(lambda: "gone" in node.broker.metadata.image.topics)
    gone = node.broker.metadata.image.topics["gone"].topic_id
    await scene.room.stop(node.node)
    await others[0].do(others[0].broker.metadata.submit(DeleteTopic(topic_id=gone)))

    def known() -> set[TopicId]:
        runtime = scene.room.nodes[node.node].local.runtime
        assert runtime is not None
        return {group.topic_id for group in runtime.member.store.groups()}

    fail(node, "write", *STATE, error=FULL)
    await scene.room.open_node(node.node)
    assert gone in known()
    node.disk.heal()
    await scene.restart(node.node)
    assert gone not in known()
    await scene.check()
