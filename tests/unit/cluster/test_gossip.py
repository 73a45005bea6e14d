"""Gossip between nodes, as plays over a network in memory."""

import asyncio
import random
import struct
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.cluster import gossip
from chronik.cluster.gossip import RETRY_SECONDS, Gossip
from chronik.cluster.gossip_codec import (
    NOT_SERVING,
    Flags,
    GossipFrame,
    LaggingReplicas,
    Leadership,
    decode_gossip,
    encode_gossip,
)
from chronik.cluster.leadership import Leader, LeadershipTable, PartitionKey
from chronik.raft.transport import Buffer, FrameKind, MalformedFrame, PeerInfo
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.ids import NO_NODE, LeaderEpoch, NodeId, Offset, TopicId

ONE, TWO, THREE = NODES = (NodeId(1), NodeId(2), NodeId(3))
A, B = TopicId(b"a" * 16), TopicId(b"b" * 16)


def leader(node: int, epoch: int) -> Leader:
    return Leader(NodeId(node), LeaderEpoch(epoch))


class Wire:
    """One node's `Transport`: frames go into the loop and out at the other end."""

    def __init__(self, network: "Network", node: NodeId) -> None:
        self._network = network
        self._node = node
        self.frames = 0
        self.is_full = False

    def send(self, node: NodeId, kind: FrameKind, buffers: Sequence[Buffer]) -> bool:
        assert kind is FrameKind.GOSSIP
        if self.is_full or node not in self._network.connected[self._node]:
            return False
        self.frames += 1
        payload = memoryview(b"".join(buffers))
        asyncio.get_running_loop().call_soon(
            self._network.deliver,
            self._node,
            node,
            payload,
            self._network.cuts[frozenset((self._node, node))],
        )
        return True

    def peers(self) -> Sequence[PeerInfo]:
        return ()


class Network:
    """Three nodes, not connected at first."""

    def __init__(self) -> None:
        self.connected: dict[NodeId, set[NodeId]] = {node: set() for node in NODES}
        # How many there were: what is on the way when a connection is cut is lost.
        self.cuts: Counter[frozenset[NodeId]] = Counter()
        self.tables = {node: LeadershipTable() for node in NODES}
        self.wires = {node: Wire(self, node) for node in NODES}
        self.gossips = {node: Gossip(self.wires[node], self.tables[node], node) for node in NODES}

    def deliver(self, sender: NodeId, node: NodeId, payload: memoryview, cuts: int) -> None:
        if self.cuts[frozenset((sender, node))] == cuts:
            self.gossips[node].on_frame(sender, payload)

    def connect(self, one: NodeId, other: NodeId) -> None:
        for node, peer in ((one, other), (other, one)):
            self.connected[node].add(peer)
            self.gossips[node].on_peer_up(peer)

    def cut(self, one: NodeId, other: NodeId) -> None:
        self.cuts[frozenset((one, other))] += 1
        for node, peer in ((one, other), (other, one)):
            self.connected[node].discard(peer)
            self.gossips[node].on_peer_down(peer)

    async def connect_all(self) -> None:
        for one, other in ((ONE, TWO), (ONE, THREE), (TWO, THREE)):
            self.connect(one, other)
        await wait_until_idle()

    def restart(self, node: NodeId) -> None:
        self.tables[node] = LeadershipTable()
        self.gossips[node] = Gossip(self.wires[node], self.tables[node], node)

    def seen(self, partition: int = 0) -> list[Leader | None]:
        return [self.tables[node].leader(A, partition) for node in NODES]


@virtual
async def test_a_leadership_is_known_everywhere_and_so_is_its_end() -> None:
    network = Network()
    await network.connect_all()
    network.tables[TWO].announce(A, 0, leader(2, 1))
    await wait_until_idle()
    assert network.seen() == [leader(2, 1)] * 3
    network.tables[TWO].announce(A, 0, Leader(NO_NODE, LeaderEpoch(1)))
    await wait_until_idle()
    assert network.seen() == [None] * 3
    assert network.tables[ONE].leaders(A)[0] == Leader(NO_NODE, LeaderEpoch(1))


@virtual
async def test_all_changes_of_a_turn_are_one_frame_and_what_others_lead_is_not_passed_on() -> None:
    network = Network()
    await network.connect_all()
    before = {node: wire.frames for node, wire in network.wires.items()}
    for partition in range(100):
        network.tables[TWO].announce(A, partition, leader(2, 1))
    network.gossips[TWO].on_applied(Offset(7))
    network.gossips[TWO].on_lagging(A, 5, {ONE})
    await wait_until_idle()
    assert {node: wire.frames - before[node] for node, wire in network.wires.items()} == {
        ONE: 0,
        TWO: 2,
        THREE: 0,
    }
    assert network.seen(99) == [leader(2, 1)] * 3
    assert network.gossips[ONE].applied == {TWO: 7}
    assert network.tables[THREE].in_sync(A, 5, [ONE, TWO]) == [TWO]


@virtual
async def test_who_comes_later_hears_everything() -> None:
    network = Network()
    network.connect(ONE, TWO)
    network.tables[ONE].announce(A, 0, leader(1, 3))
    network.tables[ONE].announce(A, 1, leader(1, 3))
    network.gossips[ONE].on_lagging(A, 1, {TWO, THREE})
    network.gossips[ONE].on_applied(Offset(9))
    await wait_until_idle()
    network.connect(THREE, ONE)
    await wait_until_idle()
    table = network.tables[THREE]
    assert table.leaders(A) == {0: leader(1, 3), 1: leader(1, 3)}
    assert table.in_sync(A, 0, NODES) == NODES
    assert table.in_sync(A, 1, NODES) == [ONE]
    assert network.gossips[THREE].applied == {ONE: 9}


@virtual
async def test_what_a_lost_node_led_is_shown_again_when_it_is_back_and_says_so() -> None:
    network = Network()
    await network.connect_all()
    for partition in range(3):
        network.tables[ONE].announce(A, partition, leader(1, 1))
    await wait_until_idle()
    network.cut(ONE, TWO)
    network.cut(ONE, THREE)
    assert network.seen() == [leader(1, 1), None, None]
    assert network.tables[TWO].lost == {ONE}
    # Meanwhile: one has another leader, one was given up, and one is as it was.
    network.tables[TWO].announce(A, 1, leader(2, 2))
    network.tables[ONE].announce(A, 2, Leader(NO_NODE, LeaderEpoch(1)))
    await wait_until_idle()
    network.connect(ONE, TWO)
    network.connect(ONE, THREE)
    assert network.seen()[1] is None
    await wait_until_idle()
    for node in (TWO, THREE):
        table = network.tables[node]
        assert table.leader(A, 0) == leader(1, 1)
        assert table.leader(A, 1) == leader(2, 2)
        assert table.leader(A, 2) is None
    assert network.tables[ONE].leader(A, 1) == leader(2, 2)


@virtual
async def test_a_node_that_starts_again_leads_nothing_of_what_it_led() -> None:
    network = Network()
    await network.connect_all()
    network.tables[ONE].announce(A, 0, leader(1, 1))
    network.tables[ONE].announce(B, 0, leader(1, 1))
    network.gossips[ONE].on_applied(Offset(5))
    await wait_until_idle()
    network.cut(ONE, TWO)
    network.restart(ONE)
    network.tables[ONE].announce(B, 0, leader(1, 4))
    network.connect(ONE, TWO)
    await wait_until_idle()
    assert network.tables[TWO].leader(A, 0) is None
    assert network.tables[TWO].leader(B, 0) == leader(1, 4)
    assert network.gossips[TWO].applied == {}


@virtual
async def test_who_lags_counts_for_the_epoch_of_its_leader() -> None:
    network = Network()
    await network.connect_all()
    # Said before the leadership is: the group knows it first.
    network.gossips[ONE].on_lagging(A, 0, {THREE})
    network.tables[ONE].announce(A, 0, leader(1, 1))
    await wait_until_idle()
    assert [network.tables[node].in_sync(A, 0, NODES) for node in NODES] == [[ONE, TWO]] * 3
    network.gossips[ONE].on_lagging(A, 0, set())
    await wait_until_idle()
    assert network.tables[TWO].in_sync(A, 0, NODES) == NODES
    network.gossips[ONE].on_lagging(A, 0, {TWO, THREE})
    await wait_until_idle()
    network.tables[TWO].announce(A, 0, leader(2, 2))
    await wait_until_idle()
    assert network.tables[ONE].in_sync(A, 0, NODES) == NODES
    network.gossips[TWO].on_lagging(A, 0, {ONE})
    await wait_until_idle()
    assert network.tables[THREE].in_sync(A, 0, NODES) == [TWO, THREE]
    network.tables[ONE].announce(A, 0, leader(1, 3))
    await wait_until_idle()
    assert network.tables[THREE].in_sync(A, 0, NODES) == NODES


@virtual
async def test_lagging_that_ended_while_a_peer_was_away_is_ended_for_it_too() -> None:
    network = Network()
    await network.connect_all()
    network.tables[ONE].announce(A, 0, leader(1, 1))
    network.gossips[ONE].on_lagging(A, 0, {THREE})
    await wait_until_idle()
    network.cut(ONE, TWO)
    network.gossips[ONE].on_lagging(A, 0, set())
    await wait_until_idle()
    network.connect(ONE, TWO)
    await wait_until_idle()
    assert network.tables[TWO].in_sync(A, 0, NODES) == NODES


@virtual
async def test_a_frame_that_could_not_be_queued_is_made_up_for() -> None:
    network = Network()
    await network.connect_all()
    network.tables[ONE].announce(A, 0, leader(1, 1))
    await wait_until_idle()
    network.wires[ONE].is_full = True
    network.tables[ONE].announce(A, 0, Leader(NO_NODE, LeaderEpoch(1)))
    network.tables[ONE].announce(A, 1, leader(1, 1))
    await wait_until_idle()
    network.tables[ONE].announce(A, 2, leader(1, 1))
    await asyncio.sleep(2.5 * RETRY_SECONDS)
    assert network.seen(1) == [leader(1, 1), None, None]
    network.wires[ONE].is_full = False
    await asyncio.sleep(RETRY_SECONDS)
    assert network.seen(0) == [None] * 3
    assert network.seen(1) == network.seen(2) == [leader(1, 1)] * 3
    frames = network.wires[ONE].frames
    await asyncio.sleep(10)
    assert network.wires[ONE].frames == frames


@virtual
async def test_more_than_a_frame_holds_goes_in_parts() -> None:
    network = Network()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gossip, "LEADERSHIPS_PER_FRAME_MAX", 10)
        for partition in range(35):
            network.tables[ONE].announce(A, partition, leader(1, 1))
        network.gossips[ONE].on_lagging(A, 0, {TWO})
        network.connect(ONE, TWO)
        await wait_until_idle()
        assert network.wires[ONE].frames == 4
        assert len(network.tables[TWO].leaders(A)) == 35
        assert network.tables[TWO].in_sync(A, 0, [ONE, TWO]) == [ONE]
        network.cut(ONE, TWO)
        network.tables[ONE].announce(A, 3, Leader(NO_NODE, LeaderEpoch(1)))
        network.connect(ONE, TWO)
        await wait_until_idle()
    assert [network.tables[TWO].leader(A, partition) is None for partition in range(35)].index(True) == 3
    assert network.tables[TWO].leader(A, 34) == leader(1, 1)


@virtual
async def test_deleted_topics_are_not_said() -> None:
    network = Network()
    network.tables[ONE].announce(A, 0, leader(1, 1))
    network.tables[ONE].announce(B, 0, leader(1, 1))
    network.gossips[ONE].on_lagging(A, 0, {TWO})
    network.tables[ONE].forget(A)
    network.connect(ONE, TWO)
    await wait_until_idle()
    assert network.tables[TWO].leaders(A) == {}
    assert network.tables[TWO].leader(B, 0) == leader(1, 1)
    # One that hears of a deleted topic afterwards keeps nothing of it.
    network.tables[TWO].forget(B)
    network.tables[ONE].announce(B, 0, leader(1, 2))
    await wait_until_idle()
    assert network.tables[TWO].leaders(B) == {}


@virtual
async def test_waiting_until_all_who_serve_have_applied() -> None:
    network = Network()
    await network.connect_all()
    waits = network.gossips[ONE].wait_applied
    loop = asyncio.get_running_loop()
    far = loop.time() + 30
    # Nobody serves: nobody is waited for.
    assert await waits(Offset(5), far)
    for node, offset in ((TWO, 4), (THREE, 2)):
        network.gossips[node].on_applied(Offset(offset))
    await wait_until_idle()
    assert await waits(Offset(2), far)
    five, four = asyncio.create_task(waits(Offset(5), far)), asyncio.create_task(waits(Offset(4), far))
    await wait_until_idle()
    network.gossips[TWO].on_applied(Offset(5))
    await wait_until_idle()
    assert not four.done()
    network.gossips[THREE].on_applied(Offset(4))
    await wait_until_idle()
    assert await four
    assert not five.done()
    # One that is lost meanwhile holds nobody.
    network.cut(ONE, THREE)
    assert await five
    # One that is back is waited for, also before it has said anything.
    network.connect(ONE, THREE)
    assert not await waits(Offset(5), loop.time())
    assert not await waits(Offset(5), loop.time() + 1)


@virtual
async def test_a_node_alone_waits_for_nobody_and_says_nothing() -> None:
    network = Network()
    network.tables[ONE].announce(A, 0, leader(1, 1))
    network.gossips[ONE].on_applied(Offset(3))
    with pytest.raises(StopIteration):
        network.gossips[ONE].wait_applied(Offset(9), 0).send(None)
    await wait_until_idle()
    assert network.wires[ONE].frames == 0


def test_a_node_agrees_with_the_others_after_any_history() -> None:
    for seed in range(30):
        _play_history(random.Random(seed))


def _play_history(draw: random.Random) -> None:
    """Leaders come and go in growing epochs, connections too; in the end all see the same."""

    @virtual
    async def play() -> None:
        network = Network()
        epoch, epochs = 0, dict.fromkeys(range(3), 0)
        for _ in range(60):
            node, other = draw.sample(NODES, 2)
            partition = draw.randrange(3)
            known = network.tables[node].led_by(node).get(PartitionKey(A, partition))
            match draw.randrange(6):
                case 0 if other not in network.connected[node]:
                    network.connect(node, other)
                case 1 if other in network.connected[node]:
                    network.cut(node, other)
                case 2 if known is not None:
                    network.tables[node].announce(A, partition, Leader(NO_NODE, known))
                case 3 if known is not None:
                    network.gossips[node].on_lagging(A, partition, set(draw.sample(NODES, 1)))
                case 4:
                    await wait_until_idle()
                case _:
                    epoch = epochs[partition] = epoch + 1
                    network.tables[node].announce(A, partition, leader(node, epoch))
        for one, other in ((ONE, TWO), (ONE, THREE), (TWO, THREE)):
            if other not in network.connected[one]:
                network.connect(one, other)
        # As their groups do when they hear of a later term.
        for node in NODES:
            for key, own in network.tables[node].led_by(node).items():
                if own < epochs[key.partition]:
                    network.tables[node].announce(*key, Leader(NO_NODE, own))
        await wait_until_idle()
        for partition in range(3):
            assert len(set(network.seen(partition))) == 1, network.seen(partition)
            in_sync = [list(network.tables[node].in_sync(A, partition, NODES)) for node in NODES]
            # What the last leader said of a partition that has none may be known to some only.
            assert network.seen(partition)[0] is None or in_sync[0] == in_sync[1] == in_sync[2]

    play()


keys = st.builds(PartitionKey, st.binary(min_size=16, max_size=16).map(TopicId), st.integers(0, 2**31 - 1))
epochs = st.integers(0, 2**31 - 1).map(LeaderEpoch)
frames = st.builds(
    GossipFrame,
    st.sampled_from([Flags.NONE, Flags.WHOLE, Flags.WHOLE | Flags.BEGIN | Flags.END]),
    st.integers(-1, 2**63 - 1).map(Offset),
    st.lists(st.builds(Leadership, keys, epochs, st.booleans()), max_size=5),
    st.lists(
        st.builds(LaggingReplicas, keys, epochs, st.frozensets(st.integers(0, 2**31 - 1).map(NodeId))),
        max_size=5,
    ),
)


@given(frames)
def test_what_is_encoded_is_decoded(frame: GossipFrame) -> None:
    assert decode_gossip(memoryview(encode_gossip(frame))) == frame


@given(frames, st.data())
def test_what_is_cut_or_has_bytes_left_over_is_malformed(frame: GossipFrame, data: st.DataObject) -> None:
    whole = encode_gossip(frame)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for nonsense in (cut, whole + b"x"):
        with pytest.raises(MalformedFrame):
            decode_gossip(memoryview(nonsense))


@given(st.binary(max_size=200))
def test_nonsense_is_malformed_or_means_something(data: bytes) -> None:
    try:
        decode_gossip(memoryview(data))
    except MalformedFrame:
        return
    assert data[0] == 1


@pytest.mark.parametrize(
    "frame",
    [
        GossipFrame(Flags.END, NOT_SERVING, (), ()),
        GossipFrame(Flags.NONE, Offset(-2), (), ()),
        GossipFrame(
            Flags.NONE, NOT_SERVING, [Leadership(PartitionKey(A, -1), LeaderEpoch(0), is_led=True)], ()
        ),
        GossipFrame(
            Flags.NONE,
            NOT_SERVING,
            (),
            [LaggingReplicas(PartitionKey(A, 0), LeaderEpoch(-1), frozenset())],
        ),
    ],
)
def test_numbers_that_mean_nothing_are_malformed(frame: GossipFrame) -> None:
    with pytest.raises(MalformedFrame):
        decode_gossip(memoryview(encode_gossip(frame)))


def test_another_version_and_counts_beyond_the_frame_are_malformed() -> None:
    frame = bytearray(encode_gossip(GossipFrame(Flags.NONE, NOT_SERVING, (), ())))
    with pytest.raises(MalformedFrame, match="version 2"):
        decode_gossip(memoryview(b"\x02" + frame[1:]))
    struct.pack_into(">I", frame, 10, 2**32 - 1)
    with pytest.raises(MalformedFrame):
        decode_gossip(memoryview(frame))


def test_three_thousand_leaderships_are_one_small_frame() -> None:
    led = [Leadership(PartitionKey(A, partition), LeaderEpoch(1), is_led=True) for partition in range(3_000)]
    assert len(encode_gossip(GossipFrame(Flags.WHOLE, NOT_SERVING, led, ()))) < 80_000
    assert len(led) < gossip.LEADERSHIPS_PER_FRAME_MAX
