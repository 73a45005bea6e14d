"""Three replicas of which one lost files while its node was down: nothing that was acknowledged is lost."""

import asyncio

import pytest

from chronik.raft.core.types import Membership, ReplicaId, founding_replicas
from chronik.sim.disk import CrashDisk
from chronik.sim.virtual_time import virtual
from chronik.vocab.ids import NodeId
from tests.unit.raft.trio import NODES, ReplicaNode, Trio

NAMED = Membership(
    voters=frozenset(NODES), replicas=founding_replicas({node: f"directory-{node}" for node in NODES})
)
# Several elections, and looks at whose files are which.
SECONDS = 3.0


async def commit(leader: ReplicaNode, *values: str) -> None:
    end_offset = max(leader.propose(value) for value in values)
    async with asyncio.timeout(10):
        while leader.group.high_watermark < end_offset:
            await asyncio.sleep(0.005)


async def until_voter(trio: Trio, node: NodeId) -> None:
    """The leader counts it, under the name that its files have now; until then it has no vote."""
    async with asyncio.timeout(20):
        while True:
            leader = trio.leader()
            settled = None if leader is None else leader.group._core.committed_membership
            name = ReplicaId(node, trio.nodes[node].group.directory)
            if settled is not None and node in settled.voters and name in settled.replicas:
                return
            if leader is not None and node not in leader.group.voters:
                assert not trio.nodes[node].group.has_vote
            await asyncio.sleep(0.05)


def lose_directory(disk: CrashDisk) -> None:
    disk.lose("t-0")


def lose_segment(disk: CrashDisk) -> None:
    disk.lose("t-0/00000000000000000000.log")


def lose_the_last_batch(disk: CrashDisk) -> None:
    path = "t-0/00000000000000000000.log"
    disk.cut(path, len(disk.content(path)) - 1)


def damage_the_last_batch(disk: CrashDisk) -> None:
    path = "t-0/00000000000000000000.log"
    disk.rot(path, len(disk.content(path)) - 1, 0xFF)


LOSSES = [lose_directory, lose_segment, lose_the_last_batch, damage_the_last_batch]


@pytest.mark.parametrize("lose", LOSSES)
@virtual
async def test_it_elects_nobody_who_lacks_what_it_acknowledged(lose: object) -> None:
    """One follower is away, the other acknowledges and loses files, and the leader dies."""
    trio = await Trio(founders=NAMED).start()
    leader = await trio.writable_leader()
    lost, away = [node for node in NODES if node != leader.node]
    await commit(leader, "first")
    await trio.until_equal(["first"])
    await trio.crash(away)
    await commit(leader, *(f"second {number}" for number in range(5)))
    expected = leader.values()
    # The store is told of the log's end once a second.
    await asyncio.sleep(1.1)
    await trio.crash(lost, power=False)
    lose(trio.disks[lost])  # type: ignore[operator]
    await trio.crash(leader.node)
    for node in (lost, away):
        await trio.start_node(node)
    await asyncio.sleep(SECONDS)
    assert trio.leader() is None
    assert trio.nodes[lost].group.losses == 1
    await trio.start_node(leader.node)
    await trio.until_equal(expected)
    await until_voter(trio, lost)
    # It votes again, with all that it lacked.
    await trio.crash((await trio.writable_leader()).node)
    again = await trio.writable_leader()
    await commit(again, "third")
    assert again.values() == [*expected, "third"]
    await trio.start_rest()
    await trio.until_equal([*expected, "third"])


@virtual
async def test_it_counts_for_no_commit_before_it_has_caught_up() -> None:
    trio = await Trio(founders=NAMED).start()
    leader = await trio.writable_leader()
    lost, away = [node for node in NODES if node != leader.node]
    await commit(leader, "first")
    await trio.crash(away)
    await commit(leader, "second")
    await trio.crash(lost, power=False)
    trio.disks[lost].lose("t-0")
    replica = await trio.start_node(lost)
    end_offset = leader.propose("third")
    await asyncio.sleep(SECONDS)
    # It has it, and that is no majority.
    assert replica.values() == ["first", "second", "third"]
    assert leader.group.high_watermark < end_offset
    await trio.start_node(away)
    await trio.until_equal(["first", "second", "third"])
    await until_voter(trio, lost)


@virtual
async def test_each_loss_makes_it_another_replica() -> None:
    trio = await Trio(founders=NAMED).start()
    leader = await trio.writable_leader()
    lost = next(node for node in NODES if node != leader.node)
    values: list[str] = []
    for losses in (1, 2):
        values.append(f"before loss {losses}")
        await commit(await trio.writable_leader(), values[-1])
        await trio.until_equal(values)
        await trio.crash(lost, power=False)
        trio.disks[lost].lose("t-0")
        replica = await trio.start_node(lost)
        assert replica.group.directory == f"directory-{lost}+{losses}"
        assert not replica.group.has_vote
        await until_voter(trio, lost)
        assert replica.group.has_vote
    # After a restart it is still the one that the others know.
    await trio.crash(lost)
    replica = await trio.start_node(lost)
    await until_voter(trio, lost)
    assert replica.group.losses == 2
