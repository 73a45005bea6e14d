"""Nodes agree on the directories with which their cluster began."""

import asyncio

import pytest

from chronik.node.bootstrap import QuorumBootstrap, knows_founders
from chronik.raft.core.types import Membership, founding_replicas
from chronik.sim.cluster import NODES, SimCluster, SimNode
from chronik.sim.process import on_processes
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.ids import NodeId

ONE, TWO, THREE = NODES
NAMES = {ONE: "one", TWO: "two", THREE: "three"}
FOUNDERS = Membership(voters=frozenset(NODES), replicas=founding_replicas(NAMES))


def bootstrap(node: NodeId) -> QuorumBootstrap:
    return QuorumBootstrap(node, NAMES[node], NODES)


def decided(node: NodeId = ONE) -> QuorumBootstrap:
    known = bootstrap(node)
    known.know(FOUNDERS)
    return known


@virtual
async def test_the_founder_settles_when_it_has_seen_all_others_new() -> None:
    one = bootstrap(ONE)
    one.on_peer(TWO, "two", b"")
    assert (one.is_decided, one.missing, one.said()) == (False, frozenset({THREE}), b"")
    one.on_peer(THREE, "three", b"")
    assert (one.is_decided, one.missing) == (True, frozenset())
    assert await one.membership() == FOUNDERS


@virtual
async def test_no_other_node_settles_by_what_it_has_seen() -> None:
    two = bootstrap(TWO)
    assert two.missing == {ONE, THREE}
    two.on_peer(ONE, "one", b"")
    two.on_peer(THREE, "three", b"")
    assert (two.is_decided, two.missing) == (False, frozenset({ONE}))
    two.hear(decided().said())
    assert await two.membership() == FOUNDERS


@virtual
async def test_a_handshake_tells_of_the_founders() -> None:
    for node in NODES:
        new = QuorumBootstrap(node, "replaced", NODES)
        new.on_peer(TWO if node != TWO else THREE, "whatever", decided().said())
        assert await new.membership() == FOUNDERS


@virtual
async def test_the_last_directory_that_was_seen_of_a_node_counts() -> None:
    one = bootstrap(ONE)
    one.on_peer(TWO, "lost", b"")
    one.on_peer(TWO, "two", b"")
    one.on_peer(THREE, "three", b"")
    assert await one.membership() == FOUNDERS


@virtual
async def test_what_is_settled_does_not_change() -> None:
    one = decided()
    said = one.said()
    one.on_peer(TWO, "another", b"")
    one.hear(b'{"1": "x", "2": "y", "3": "z"}')
    assert one.said() == said
    assert await one.membership() == FOUNDERS


@virtual
async def test_who_does_not_vote_is_not_counted() -> None:
    one = bootstrap(ONE)
    one.on_peer(TWO, "two", b"")
    one.on_peer(NodeId(9), "nine", b"")
    assert one.missing == {THREE}


@pytest.mark.parametrize(
    "said", [b"", b"x", b"[]", b'{"a": "b"}', b"{}", b"\xff", b'{"1": "' + b"x" * 70_000 + b'"}']
)
@virtual
async def test_what_makes_no_sense_is_as_if_not_said(said: bytes) -> None:
    two = bootstrap(TWO)
    two.hear(said)
    assert not two.is_decided


@virtual
async def test_whoever_waits_goes_on_when_it_is_settled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "chronik")
    two = bootstrap(TWO)
    waiting = asyncio.ensure_future(two.membership())
    await wait_until_idle()
    assert not waiting.done()
    assert [record.missing for record in caplog.records] == ["1, 3"]  # type: ignore[attr-defined]
    two.hear(decided().said())
    assert await waiting == FOUNDERS


@virtual
async def test_a_node_that_lost_what_it_knew_founds_nothing(caplog: pytest.LogCaptureFixture) -> None:
    one = QuorumBootstrap(ONE, "one", [ONE, TWO, THREE], is_new=False)
    two = bootstrap(TWO)
    waiting = asyncio.ensure_future(one.membership())
    for founder, peers in ((one, (TWO, THREE)), (two, (ONE, THREE))):
        for peer in peers:
            founder.on_peer(peer, str(peer), one.said() if peer == ONE else b"")
    await wait_until_idle()
    assert not one.is_decided
    assert not two.is_decided
    assert "lost what it knew" in caplog.text
    assert not knows_founders(one.said())
    assert one.said() != two.said()
    one.hear(decided().said())
    assert await waiting == FOUNDERS


@virtual
async def test_a_founder_counts_nobody_as_new_who_is_not() -> None:
    one = bootstrap(ONE)
    lost = QuorumBootstrap(TWO, "two", [ONE, TWO, THREE], is_new=False).said()
    one.on_peer(TWO, "two", b"")
    one.on_peer(TWO, "two", lost)
    one.on_peer(THREE, "three", b"")
    assert not one.is_decided
    assert one.missing == {TWO}


def founders_of(node: SimNode) -> bytes:
    runtime = node.local.runtime
    assert runtime is not None
    return runtime.bootstrap.said()


async def begin(room: SimCluster, node: NodeId) -> asyncio.Task[SimNode]:
    opening = asyncio.ensure_future(room.open_node(node))
    async with asyncio.timeout(10):
        while node not in room.nodes or not room.nodes[node].is_made:
            await asyncio.sleep(0.001)
    return opening


@on_processes
async def test_nodes_of_a_new_cluster_agree_while_the_disk_of_one_is_replaced() -> None:
    """Node 2 knows that 1 was new, and does not hear of how 1 began with the former disk of 3."""
    room = SimCluster()
    first, second = await begin(room, ONE), await begin(room, TWO)
    await asyncio.sleep(0.5)
    room.network.cut(TWO, THREE)
    third = await begin(room, THREE)
    await asyncio.sleep(0.5)
    room.crash(THREE, is_power_lost=True)
    room.replace_disk(THREE)
    await asyncio.gather(third, return_exceptions=True)
    room.network.cut(ONE, THREE)
    room.network.heal(TWO, THREE)
    third = await begin(room, THREE)
    await asyncio.sleep(5)
    room.network.heal_all()
    async with asyncio.timeout(30):
        await asyncio.gather(first, second, third)
    said = {founders_of(node) for node in room.nodes.values()}
    assert len(said) == 1
    await room.close()


@on_processes
async def test_a_node_that_does_not_reach_the_founder_hears_from_another() -> None:
    room = SimCluster()
    first, third = await begin(room, ONE), await begin(room, THREE)
    await asyncio.sleep(0.5)
    second = await begin(room, TWO)
    await asyncio.sleep(0.05)
    # It had seen the founder; whatever it was told is lost.
    room.network.cut(ONE, THREE)
    async with asyncio.timeout(30):
        await asyncio.gather(first, second)
        while not founders_of(room.nodes[THREE]):
            await asyncio.sleep(0.05)
    room.network.heal_all()
    async with asyncio.timeout(30):
        await third
    assert len({founders_of(node) for node in room.nodes.values()}) == 1
    await room.close()
