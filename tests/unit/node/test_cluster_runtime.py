"""A node's place among the others: what reaches whom, and its beginning and end."""

import asyncio

import pytest

from chronik.cluster.metadata.topics import CreateTopic
from chronik.node.metadata_partition import METADATA_GROUP
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM
from chronik.raft.group import GroupId
from chronik.raft.markers import MarkerBase
from chronik.raft.state_store import STATE_FILE
from chronik.raft.transport import FrameKind, MalformedFrame
from chronik.sim.agreement import runtime_of
from chronik.sim.cluster import NODES, SimCluster
from chronik.sim.process import on_processes
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, Offset, TopicId
from tests.unit.raft.lone import FOUNDERS

ONE, TWO, THREE = NODES
BROKEN = OSError("broken")


async def until(is_so: object) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # type: ignore[operator]
            await asyncio.sleep(0.01)


@on_processes
async def test_frames_go_to_whom_they_are_for() -> None:
    room = await SimCluster().open()
    runtime = runtime_of(room.nodes[ONE])
    for kind in FrameKind:
        with pytest.raises(MalformedFrame):
            runtime.on_frame(TWO, kind, memoryview(b"\xff"))
    await room.close()


@on_processes
async def test_a_node_that_is_gone_is_told_of_to_all_who_count_on_it() -> None:
    room = await SimCluster().open()
    node = room.nodes[ONE]
    runtime = runtime_of(node)

    async def wait_for_ever(source: NodeId, request: bytes) -> bytes:
        await asyncio.sleep(1000)
        return b""

    runtime_of(room.nodes[THREE]).calls.serve("t", wait_for_ever)
    call = asyncio.ensure_future(node.do(runtime.calls.call(THREE, "t", b"", 1e9)))
    await asyncio.sleep(0.1)
    room.crash(THREE, is_power_lost=False)
    with pytest.raises(KafkaError) as lost:
        await call
    assert lost.value.code is ErrorCode.NETWORK_EXCEPTION
    assert not runtime.host.is_up(THREE)
    assert runtime.calls.live() == {ONE, TWO}
    await room.close()


@on_processes
async def test_lagging_replicas_are_told_to_all_nodes() -> None:
    room = await SimCluster().open()
    node = room.nodes[ONE]
    await node.do(node.broker.metadata.submit(CreateTopic(name="t", partitions=1)))
    await asyncio.sleep(1)
    leader = next(one for one in room.nodes.values() if one.partition("t").is_leader)
    lost = next(one for one in NODES if one != leader.node)
    room.crash(lost, is_power_lost=False)
    await until(lambda: leader.partition("t").in_sync() == [one for one in NODES if one != lost])
    await room.open_node(lost)
    await until(lambda: sorted(leader.partition("t").in_sync()) == list(NODES))
    await room.close()


@on_processes
async def test_groups_that_were_deleted_while_the_node_was_away_are_forgotten() -> None:
    room = await SimCluster().open()
    await room.stop(THREE)
    node = await room.open_node(THREE)
    store = runtime_of(node).member.store
    gone = GroupId(TopicId(b"g" * 16), 0)
    store.create(gone, MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, FOUNDERS, BEFORE_FIRST))
    runtime_of(node).forget_unknown([])
    assert set(store.groups()) == {METADATA_GROUP}
    await room.close()


@on_processes
async def test_only_the_first_voter_hastens() -> None:
    room = await SimCluster().open()
    asked: list[NodeId] = []
    for node in room.nodes.values():
        runtime = runtime_of(node)
        group = runtime.host.group(METADATA_GROUP)
        assert group is not None
        group.campaign_soon = lambda node=node: asked.append(node.node)  # type: ignore[method-assign,misc]
        runtime.shorten_election()
    assert asked == [ONE]
    runtime = runtime_of(room.nodes[ONE])
    group = runtime.host.group(METADATA_GROUP)
    assert group is not None
    runtime.host.remove(group)
    runtime.shorten_election()
    assert asked == [ONE]
    await room.close()


@on_processes
async def test_a_whole_cluster_that_starts_again_has_a_controller_at_once() -> None:
    room = await SimCluster().open()
    for node in NODES:
        room.crash(node, is_power_lost=False)
    started = asyncio.get_running_loop().time()
    await room.open()
    # Less than the least election timeout.
    assert asyncio.get_running_loop().time() - started < 0.9
    await room.close()


@on_processes
async def test_it_ends_uncleanly_when_votes_cannot_be_made_durable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = await SimCluster().open()
    node = room.nodes[THREE]
    runtime = runtime_of(node)
    for suffix in (STATE_FILE, f"{STATE_FILE}.tmp"):
        node.disk.fail("sync", suffix, BROKEN)
    gone = GroupId(TopicId(b"g" * 16), 0)
    runtime.member.store.create(gone, MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, FOUNDERS, BEFORE_FIRST))
    assert not await node.do(runtime.close())
    assert "could not close raft-state cleanly" in caplog.text
    del room.nodes[THREE]
    await room.close()


@on_processes
async def test_a_new_node_that_is_lost_before_it_is_told_is_told_in_its_next_handshake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "chronik")
    room = await SimCluster().open()
    node = room.nodes[ONE]
    runtime = runtime_of(node)
    room.crash(THREE, is_power_lost=False)
    await until(lambda: not runtime.host.is_up(THREE))

    async def tell() -> None:
        runtime._newcomers.add(THREE)
        runtime._tell_founders()

    await node.do(tell())
    await until(lambda: "could not send the founding voters to a new node" in caplog.text)
    room.replace_disk(THREE)
    await room.open_node(THREE)
    assert len({runtime_of(node).bootstrap.said() for node in room.nodes.values()}) == 1
    await room.close()
