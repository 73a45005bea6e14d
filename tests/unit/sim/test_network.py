"""The simulated network's own promises: faults, and the same run from the same seed."""

import asyncio
from random import Random

import pytest

from chronik.raft.transport import FrameKind
from chronik.sim.network import DEFAULT_TIMINGS, Disorder, SimNetwork, SimTransport
from chronik.sim.virtual_time import virtual
from chronik.vocab.ids import NodeId
from tests.unit.server.peers.recorder import Recorder
from tests.unit.server.peers.tcp_stage import ONE, THREE, TWO

SILENCE = DEFAULT_TIMINGS.silence_ms / 1000
TICK = DEFAULT_TIMINGS.tick_seconds


class Cluster:
    """Three nodes, connected."""

    def __init__(self, seed: int = 5) -> None:
        self.network = SimNetwork(Random(seed))
        self.nodes: dict[NodeId, SimTransport] = {}
        self.told: dict[NodeId, Recorder] = {}

    async def start(self, *nodes: NodeId) -> None:
        for node in nodes:
            self.nodes[node], self.told[node] = self.network.join(node), Recorder()
            await self.nodes[node].start(self.told[node])
        await asyncio.sleep(1)

    def connected(self) -> dict[NodeId, set[NodeId]]:
        return {node: told.connected for node, told in self.told.items()}


async def cluster(seed: int = 5) -> Cluster:
    made = Cluster(seed)
    await made.start(ONE, TWO, THREE)
    assert made.connected() == {ONE: {TWO, THREE}, TWO: {ONE, THREE}, THREE: {ONE, TWO}}
    return made


@virtual
async def test_what_is_on_the_way_when_the_network_is_cut_comes_when_it_is_healed() -> None:
    it = await cluster()
    it.network.cut(ONE, TWO)
    for number in range(5):
        assert it.nodes[ONE].send(TWO, FrameKind.RAFT, [b"%d" % number])
    await asyncio.sleep(SILENCE / 2)
    assert not it.told[TWO].frames
    it.network.heal(ONE, TWO)
    await asyncio.sleep(0.1)
    assert it.told[TWO].payloads == [b"%d" % number for number in range(5)]
    assert it.told[TWO].downs == []


@virtual
async def test_silence_takes_both_down_and_what_was_on_the_way_is_lost() -> None:
    it = await cluster()
    cut_at = asyncio.get_running_loop().time()
    it.network.cut(ONE, TWO)
    it.nodes[ONE].send(TWO, FrameKind.RAFT, [b"lost"])
    for told, other in ((it.told[ONE], TWO), (it.told[TWO], ONE)):
        await told.until(lambda told, other=other: told.downs == [other])  # type: ignore[misc]
    passed = asyncio.get_running_loop().time() - cut_at
    assert SILENCE - 3 * TICK < passed < SILENCE + 2 * TICK
    assert it.connected()[THREE] == {ONE, TWO}
    it.network.heal(ONE, TWO)
    await asyncio.sleep(1)
    assert it.connected()[ONE] == {TWO, THREE}
    assert not it.told[TWO].frames


@virtual
async def test_a_cut_of_one_way_is_noticed_by_the_other_and_told() -> None:
    it = await cluster()
    it.network.cut(ONE, TWO, is_one_way=True)
    await it.told[TWO].until(lambda told: told.downs == [ONE])
    await it.told[ONE].until(lambda told: told.downs == [TWO])


@virtual
async def test_an_isolated_node_is_lost_to_all_and_all_to_it() -> None:
    it = await cluster()
    it.network.isolate(TWO)
    await asyncio.sleep(SILENCE + 1)
    assert it.connected() == {ONE: {THREE}, TWO: set(), THREE: {ONE}}
    it.network.heal_all()
    await asyncio.sleep(1)
    assert it.connected() == {ONE: {TWO, THREE}, TWO: {ONE, THREE}, THREE: {ONE, TWO}}


@virtual
async def test_a_crash_is_seen_at_once_and_a_lost_machine_after_a_silence() -> None:
    it = await cluster()
    it.network.crash(ONE)
    await asyncio.sleep(0.01)
    assert it.connected()[TWO] == {THREE}
    assert it.told[ONE].downs == [], "nobody is told after the end"
    it.network.crash(THREE, is_silent=True)
    await asyncio.sleep(SILENCE / 2)
    assert it.connected()[TWO] == {THREE}
    await asyncio.sleep(SILENCE)
    assert it.connected()[TWO] == set()


@pytest.mark.parametrize("node", [ONE, THREE])
def test_a_machine_that_is_back_early_says_that_its_connections_are_gone(node: NodeId) -> None:
    @virtual
    async def test() -> None:
        it = await cluster()
        it.network.crash(node, is_silent=True)
        await asyncio.sleep(SILENCE / 10)
        await it.start(node)
        assert it.told[TWO].ups[-1].incarnation == it.nodes[node].own.incarnation
        assert it.told[TWO].downs == [node]

    test()


@virtual
async def test_a_crash_loses_a_part_of_what_is_on_the_way() -> None:
    arrived = set()
    for seed in range(30):
        it = await cluster(seed)
        for number in range(5):
            it.nodes[ONE].send(TWO, FrameKind.RAFT, [b"%d" % number])
        it.network.crash(ONE)
        await asyncio.sleep(1)
        got = it.told[TWO].payloads
        assert got == [b"%d" % number for number in range(len(got))]
        arrived.add(len(got))
    assert arrived == {0, 1, 2, 3, 4, 5}


@virtual
async def test_a_bug_of_a_listener_does_not_hide() -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    it = await cluster()
    it.told[TWO].taking = fail
    it.nodes[ONE].send(TWO, FrameKind.RAFT, [b"x"])
    await it.told[TWO].until(lambda told: told.downs == [ONE])
    assert [type(error) for error in it.network.failures] == [ZeroDivisionError]


def history(seed: int) -> list[tuple[NodeId, list[str]]]:
    """Everything that is told in a life of cuts, crashes and chatter."""
    ends: list[tuple[NodeId, list[str]]] = []

    @virtual
    async def live() -> None:
        chance = Random(seed)
        it = await cluster(seed)
        for _ in range(200):
            a, b = chance.sample([ONE, TWO, THREE], 2)
            match chance.randrange(12):
                case 0:
                    it.network.cut(a, b, is_one_way=chance.random() < 0.3)
                case 1:
                    it.network.heal_all()
                case 2:
                    it.network.crash(a, is_silent=chance.random() < 0.5)
                    await asyncio.sleep(chance.random())
                    it.network.heal(a, b)
                    ends.append((a, it.told[a].events))
                    await it.start(a)
                case _:
                    it.nodes[a].send(b, FrameKind.RAFT, [b"x" * chance.randrange(100)])
            await asyncio.sleep(chance.choice([0, 0.001, 0.1, 0.5]))
        it.network.heal_all()
        await asyncio.sleep(3)
        assert it.connected() == {ONE: {TWO, THREE}, TWO: {ONE, THREE}, THREE: {ONE, TWO}}
        assert not it.network.failures
        ends.extend((node, told.events) for node, told in it.told.items())

    live()
    return ends


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_repeats_its_run(seed: int) -> None:
    once = history(seed)
    assert once == history(seed)
    assert once != history(seed + 100)


@virtual
async def test_a_paused_node_takes_what_came_when_it_goes_on() -> None:
    it = await cluster()
    it.network.pause(TWO, is_paused=True)
    assert it.nodes[ONE].send(TWO, FrameKind.RAFT, [b"a"])
    await asyncio.sleep(SILENCE / 2)
    assert not it.told[TWO].frames
    it.network.pause(TWO, is_paused=False)
    await asyncio.sleep(0.1)
    assert it.told[TWO].payloads == [b"a"]
    assert it.told[ONE].downs == it.told[TWO].downs == []


@virtual
async def test_who_pauses_for_long_is_lost_to_the_others_and_takes_nobody_for_lost_itself() -> None:
    it = await cluster()
    it.network.pause(TWO, is_paused=True)
    await asyncio.sleep(3 * SILENCE)
    assert it.told[ONE].downs == it.told[THREE].downs == [TWO]
    assert it.told[TWO].downs == []
    it.network.pause(TWO, is_paused=False)
    await asyncio.sleep(1)
    assert it.connected() == {ONE: {TWO, THREE}, TWO: {ONE, THREE}, THREE: {ONE, TWO}}


@virtual
async def test_a_reset_breaks_one_connection_which_comes_again() -> None:
    it = await cluster()
    it.network.reset(ONE, TWO)
    await asyncio.sleep(1)
    assert it.told[ONE].downs == [TWO]
    assert it.told[TWO].downs == [ONE]
    assert it.told[THREE].downs == []
    assert it.connected()[ONE] == {TWO, THREE}


@virtual
async def test_a_slow_link_is_slow_one_way_until_it_is_healed() -> None:
    it = await cluster()
    loop = asyncio.get_running_loop()

    async def seconds(source: NodeId, target: NodeId) -> float:
        began, count = loop.time(), len(it.told[target].frames)
        assert it.nodes[source].send(target, FrameKind.RAFT, [b"x"])
        while len(it.told[target].frames) == count:
            await asyncio.sleep(0.001)
        return loop.time() - began

    it.network.slow_down(ONE, TWO, 0.5)
    assert max([await seconds(ONE, TWO) for _ in range(10)]) > 0.1
    assert max([await seconds(TWO, ONE) for _ in range(10)]) < 0.01
    it.network.heal(ONE, TWO)
    await asyncio.sleep(1)
    assert max([await seconds(ONE, TWO) for _ in range(10)]) < 0.01


@virtual
async def test_in_disorder_messages_of_consensus_come_twice_and_others_once() -> None:
    it = await cluster()
    it.network.disorder = Disorder(twice=1.0, late_seconds_max=0.1)
    it.nodes[ONE].send(TWO, FrameKind.RAFT, [b"r"])
    it.nodes[ONE].send(TWO, FrameKind.GOSSIP, [b"g"])
    await asyncio.sleep(0.2)
    assert sorted(it.told[TWO].payloads) == [b"g", b"r", b"r"]


@virtual
async def test_what_is_late_comes_after_what_was_sent_later_also_to_who_is_paused_meanwhile() -> None:
    it = await cluster()
    it.network.disorder = Disorder(late=1.0, late_seconds_max=0.5)
    it.nodes[ONE].send(TWO, FrameKind.RAFT, [b"late"])
    await asyncio.sleep(0.01)
    it.network.disorder = None
    it.nodes[ONE].send(TWO, FrameKind.RAFT, [b"later"])
    await asyncio.sleep(0.01)
    assert it.told[TWO].payloads == [b"later"]
    it.network.pause(TWO, is_paused=True)
    await asyncio.sleep(0.5)
    assert it.told[TWO].payloads == [b"later"]
    it.network.pause(TWO, is_paused=False)
    await asyncio.sleep(0.2)
    assert it.told[TWO].payloads == [b"later", b"late"]


@virtual
async def test_what_is_late_is_lost_with_its_connection() -> None:
    it = await cluster()
    it.network.disorder = Disorder(late=1.0, late_seconds_max=0.5)
    it.nodes[ONE].send(TWO, FrameKind.RAFT, [b"late"])
    await asyncio.sleep(0.01)
    it.network.reset(ONE, TWO)
    await asyncio.sleep(2)
    assert it.told[TWO].payloads == []
    assert it.connected()[ONE] == {TWO, THREE}


@virtual
async def test_who_ends_a_turn_is_told() -> None:
    it = await cluster()
    turns: list[NodeId] = []
    it.network.on_turn = turns.append
    it.nodes[ONE].send(TWO, FrameKind.GOSSIP, [b"g"])
    await asyncio.sleep(0.1)
    assert turns == [TWO]
