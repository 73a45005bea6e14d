"""A replica of three that lacks records before its end: it takes a whole copy from a leader, or stays as it
is.
"""

import asyncio
import logging
from collections.abc import Callable

import pytest

from chronik.log.partition_log import PartitionLog
from chronik.log.reading import ColdRead
from chronik.raft.replicated import ReplicatedGroup
from chronik.sim.agreement import votes_everywhere
from chronik.sim.cluster import SimNode
from chronik.sim.disk import CrashDisk
from chronik.sim.process import on_processes
from chronik.vocab.errors import KafkaError
from tests.support.cluster_scene import ClusterScene

pytestmark = pytest.mark.long

# Registration, two looks at the members, and the log's way over: some seconds at most.
VOTES_AGAIN_SECONDS = 20.0
# Several election timeouts.
LEADERLESS_SECONDS = 8.0
SCENE = {"internal_segment_bytes": "1000"}
PARTITION = "t-0"


def segments(disk: CrashDisk) -> list[str]:
    return [path for path in disk.files() if path.startswith(f"{PARTITION}/") and path.endswith(".log")]


def lose_the_front(disk: CrashDisk) -> None:
    disk.lose(segments(disk)[0])


def lose_one_between(disk: CrashDisk) -> None:
    disk.lose(segments(disk)[1])


def cut_one_between(disk: CrashDisk) -> None:
    path = segments(disk)[1]
    disk.cut(path, len(disk.content(path)) // 2)


def damage_one_between(disk: CrashDisk) -> None:
    """Its last batch: what is closed is looked at no further in a start after a clean stop."""
    path = segments(disk)[1]
    disk.rot(path, len(disk.content(path)) - 1, 0xFF)


LOSSES = [lose_the_front, lose_one_between, cut_one_between]


async def segmented(scene: ClusterScene) -> None:
    """Until each replica has some segments."""
    await scene.until(lambda: all(len(segments(disk)) > 3 for disk in scene.room.disks.values()), 300.0)


def read_all(log: PartitionLog) -> None:
    for offset in range(log.end_offset):
        read = log.read(offset, 1 << 20, log.end_offset)
        _ = read.load() if isinstance(read, ColdRead) else read


def is_set_aside(disk: CrashDisk) -> bool:
    return any(name.endswith("-replaced") for name in disk.list(""))


def group(node: SimNode) -> ReplicatedGroup:
    found = node.partition("t", 0).group
    assert isinstance(found, ReplicatedGroup)
    return found


@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("lose", LOSSES)
@on_processes
async def test_it_takes_a_whole_copy_and_votes_again(
    lose: Callable[[CrashDisk], None], is_clean: bool, caplog: pytest.LogCaptureFixture
) -> None:
    scene = await ClusterScene().open(**SCENE)
    await segmented(scene)
    node = next(one.node for one in scene.room.nodes.values() if not one.partition("t", 0).is_leader)
    if is_clean:
        await scene.room.stop(node)
    else:
        scene.room.crash(node, is_power_lost=False)
    disk = scene.room.disks[node]
    lose(disk)
    caplog.clear()
    opened = await scene.room.open_node(node)
    said = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert [text for text in said if text.startswith("replica lost records inside its log")], said
    await scene.until(lambda: votes_everywhere(scene.room, node), VOTES_AGAIN_SECONDS)
    await scene.until(lambda: opened.local.storage.damaged == [], VOTES_AGAIN_SECONDS)
    # What it had is removed when it has all.
    await scene.until(lambda: not is_set_aside(disk), VOTES_AGAIN_SECONDS)
    assert opened.partition("t", 0).log.start_offset == 0
    assert opened.local.storage.warnings() == []
    await scene.acknowledged(3)
    await scene.check()


@on_processes
async def test_a_leader_whose_read_finds_damage_gives_way_and_is_replaced() -> None:
    scene = await ClusterScene().open(**SCENE)
    await segmented(scene)
    node = scene.leader()
    damage_one_between(scene.room.disks[node.node])
    log = node.partition("t", 0).log
    with pytest.raises(KafkaError):
        read_all(log)
    assert node.local.storage.damaged
    await scene.until(lambda: group(node).losses == 1, VOTES_AGAIN_SECONDS)
    await scene.until(lambda: votes_everywhere(scene.room, node.node), VOTES_AGAIN_SECONDS)
    await scene.until(lambda: not is_set_aside(scene.room.disks[node.node]), VOTES_AGAIN_SECONDS)
    assert node.local.storage.damaged == []
    await scene.acknowledged(3)
    await scene.check()


@on_processes
async def test_a_leader_with_damage_leads_on_while_the_others_are_no_majority() -> None:
    scene = await ClusterScene().open(**SCENE)
    await segmented(scene)
    node = scene.leader()
    away = next(one for one in scene.room.all_nodes if one != node.node)
    scene.room.crash(away, is_power_lost=False)
    await scene.acknowledged(2)
    damage_one_between(scene.room.disks[node.node])
    log = node.partition("t", 0).log
    with pytest.raises(KafkaError):
        read_all(log)
    await asyncio.sleep(LEADERLESS_SECONDS)
    assert node.partition("t", 0).is_leader
    await scene.room.open_node(away)
    await scene.until(lambda: group(node).losses == 1, VOTES_AGAIN_SECONDS)
    await scene.until(lambda: votes_everywhere(scene.room, node.node), VOTES_AGAIN_SECONDS)
    await scene.check()


@pytest.mark.parametrize("lose", LOSSES)
@on_processes
async def test_nobody_leads_while_all_lack_records_and_nothing_is_removed(
    lose: Callable[[CrashDisk], None],
) -> None:
    """Each lacks others. With the files of one brought back, all are whole again."""
    scene = await ClusterScene().open(**SCENE)
    await segmented(scene)
    nodes = list(scene.room.all_nodes)
    for node in nodes:
        await scene.room.stop(node)
    kept = {}
    for node, disk in scene.room.disks.items():
        paths = segments(disk)
        path = paths[min(node - 1, len(paths) - 2)]
        kept[node] = path, disk.content(path)
        disk.lose(path)
    before = {
        node: {path: disk.content(path) for path in segments(disk)} for node, disk in scene.room.disks.items()
    }
    await scene.room.open()
    await asyncio.sleep(LEADERLESS_SECONDS)
    for node, opened in scene.room.nodes.items():
        assert not opened.partition("t", 0).is_leader
        assert not group(opened).has_vote
        assert group(opened).losses == 0
        assert opened.local.storage.warnings() == ["damaged or missing records: t-0"]
        after = {path: opened.disk.content(path) for path in segments(opened.disk)}
        assert before[node].items() <= after.items()
    # An operator brings back the file of two of them.
    for node in nodes[:2]:
        await scene.room.stop(node)
        path, content = kept[node]
        file = scene.room.disks[node].open(path, create=True)
        file.append([content])
        file.sync()
        scene.room.disks[node].sync_directory(PARTITION)
        file.close()
        await scene.room.open_node(node)
    await scene.until(lambda: all(votes_everywhere(scene.room, node) for node in nodes), VOTES_AGAIN_SECONDS)
    assert [group(scene.room.nodes[node]).losses for node in nodes] == [0, 0, 1]
    await scene.acknowledged(3)
    await scene.check()


@on_processes
async def test_it_is_no_leader_who_would_raise_the_log_start_of_others() -> None:
    """The one with the front missing has the longest log that is there."""
    scene = await ClusterScene().open(**SCENE)
    await segmented(scene)
    leader = scene.leader()
    lost, away = [node for node in scene.room.all_nodes if node != leader.node]
    scene.room.crash(away, is_power_lost=False)
    await scene.acknowledged(3)
    await scene.room.stop(lost)
    lose_the_front(scene.room.disks[lost])
    scene.room.crash(leader.node, is_power_lost=False)
    await asyncio.gather(*(scene.room.open_node(node) for node in (lost, away)))
    await asyncio.sleep(LEADERLESS_SECONDS)
    for opened in scene.room.nodes.values():
        assert not opened.partition("t", 0).is_leader
    assert scene.room.nodes[away].partition("t", 0).log.start_offset == 0
    await scene.room.open_node(leader.node)
    await scene.until(lambda: votes_everywhere(scene.room, lost), VOTES_AGAIN_SECONDS)
    assert [one.partition("t", 0).log.start_offset for one in scene.room.nodes.values()] == [0, 0, 0]
    await scene.check()


@on_processes
async def test_a_stop_before_it_was_replaced_forgets_nothing() -> None:
    """With the front of its log gone, it stops and starts while there is no leader."""
    scene = await ClusterScene().open(**SCENE)
    await segmented(scene)
    nodes = list(scene.room.all_nodes)
    for node in nodes:
        await scene.room.stop(node)
    lost = nodes[0]
    lose_the_front(scene.room.disks[lost])
    for node in nodes[1:]:
        lose_one_between(scene.room.disks[node])
    for _ in range(2):
        await scene.room.open()
        await asyncio.sleep(LEADERLESS_SECONDS)
        for opened in scene.room.nodes.values():
            assert group(opened).is_suspended
        for node in nodes:
            await scene.room.stop(node)
