"""A node's progress while it is not ready."""

import asyncio
from collections.abc import Callable, Iterable

import pytest

from chronik.broker.drain import Drain
from chronik.broker.partition import Partition
from chronik.cluster.applied_metadata import AppliedMetadata
from chronik.cluster.metadata.topics import CreateTopic
from chronik.cluster.metadata_log import KeyValue
from chronik.node.partitions import LocalPartitions
from chronik.node.progress import nodes
from chronik.sim.cluster import NODES, SimCluster, SimNode
from chronik.sim.virtual_time import virtual
from chronik.vocab.ids import NodeId, Offset
from tests.support.broker_room import BrokerRoom

ONE, TWO, THREE = NODES
REACHED_SECONDS_MAX = 20


@pytest.mark.parametrize(("numbers", "text"), [([2], "node 2"), ([3, 2], "nodes 2, 3")])
def test_nodes_are_named_in_order(numbers: list[int], text: str) -> None:
    assert nodes([NodeId(number) for number in numbers]) == text


async def begin(room: SimCluster, node: NodeId) -> asyncio.Task[SimNode]:
    """Start a node without waiting for it to be ready."""
    opening = asyncio.ensure_future(room.open_node(node))
    while node not in room.nodes or not room.nodes[node].is_made:
        await asyncio.sleep(0)
    return opening


async def reach(node: SimNode, is_there: Callable[[str], bool]) -> str:
    """What it says when `is_there` says that this is it."""
    async with asyncio.timeout(REACHED_SECONDS_MAX):
        while not is_there(said := " ".join(node.local.progress)):
            await asyncio.sleep(0.0005)
    return said


@virtual
async def test_a_new_cluster_waits_for_all_its_nodes_by_name() -> None:
    room = SimCluster()
    first = await begin(room, ONE)
    assert room.nodes[ONE].local.progress == ["waiting for nodes 2, 3 to found the cluster"]
    second = await begin(room, TWO)
    said = await reach(room.nodes[ONE], lambda said: "node 3" in said)
    assert said == "waiting for node 3 to found the cluster"
    await asyncio.gather(first, second, room.open_node(THREE))
    assert [node.local.progress for node in room.nodes.values()] == [[], [], []]
    await room.close()


@virtual
async def test_a_node_that_finds_too_few_of_the_others_says_which_it_lacks() -> None:
    room = await SimCluster().open()
    for node in NODES:
        await room.stop(node)
    opening = await begin(room, ONE)
    said = await reach(room.nodes[ONE], bool)
    assert said == "no majority: nodes 2, 3 are not connected"
    await asyncio.gather(opening, room.open_node(TWO))
    assert room.nodes[ONE].local.progress == []
    await room.close()


@virtual
async def test_a_node_that_was_away_says_how_far_it_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    room = await SimCluster().open()
    await room.stop(THREE)
    leader = room.nodes[ONE]
    for number in range(5):
        await leader.do(leader.broker.metadata.submit(CreateTopic(name=f"t{number}", replication_factor=2)))
    known, said = leader.broker.metadata.applied_offset, set[str]()
    apply = AppliedMetadata._apply

    def watched(applied: AppliedMetadata, end: Offset, batch: Iterable[KeyValue]) -> None:
        said.update(room.nodes[THREE].local.progress)
        apply(applied, end, batch)

    opening = await begin(room, THREE)
    monkeypatch.setattr(AppliedMetadata, "_apply", watched)
    await opening
    told = [text.split()[-3:] for text in said if text.startswith("catching up with the")]
    assert len(told) > 5
    assert all(int(applied) < int(of) == known for applied, _, of in told)
    await room.close()


@virtual
async def test_partitions_are_counted_while_they_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    room = await BrokerRoom().open()
    await room.create("t", 3)
    said: list[list[str]] = []
    open_one = LocalPartitions.open

    def watched(partitions: LocalPartitions, *arguments: object) -> Partition:
        said.append(again.local.progress)
        return open_one(partitions, *arguments)  # type: ignore[arg-type]

    await room.close()
    monkeypatch.setattr(LocalPartitions, "open", watched)
    again = BrokerRoom(room.disk, room.clock)
    await again.open()
    assert said == [[f"opening partitions {count} of 3"] for count in range(3)]
    assert again.local.progress == []
    await again.close()


@virtual
async def test_a_stop_says_how_many_leaderships_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    room = await SimCluster().open()
    node = room.nodes[ONE]
    await node.do(node.broker.metadata.submit(CreateTopic(name="t")))
    await asyncio.sleep(1)
    said: list[list[str]] = []
    run = Drain.run

    async def watched(drain: Drain, deadline: float) -> list[Partition]:
        said.append(node.local.progress)
        left = await run(drain, deadline)
        said.append(node.local.progress)
        return left

    monkeypatch.setattr(Drain, "run", watched)
    led = len(node.broker.replicas.led())
    assert led == 1
    await node.drain()
    assert said == [["stopping: handing over 1 leadership"], []]
    await room.close()
