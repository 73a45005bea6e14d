"""Replicated groups over simulated disks and network."""

import asyncio
from collections.abc import Callable

import pytest

from chronik.raft.core.types import Membership, founding_replicas
from chronik.raft.persistence import FlushPolicy
from chronik.raft.transport import PeerInfo
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId
from tests.unit.raft.trio import GROUP, NAMED_FOUNDERS, NODES, ReplicaNode, Trio

ONE, TWO, THREE = NODES


@virtual
async def test_the_designated_first_leader_leads_term_1_without_an_election() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    assert (leader.node, leader.group.leader_epoch, leader.group.elections) == (ONE, 1, 0)


@virtual
async def test_a_proposal_is_on_every_node_and_committed_there() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    end_offset = leader.propose("a")
    await trio.until_equal(["a"])
    async with asyncio.timeout(5):
        while any(node.told.high_watermark < end_offset for node in trio.nodes.values()):
            await asyncio.sleep(0.01)


@virtual
async def test_proposals_of_one_turn_keep_their_order() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    for number in range(100):
        leader.propose(str(number))
    await trio.until_equal([str(number) for number in range(100)])


@virtual
async def test_a_follower_refuses_proposals() -> None:
    trio = await Trio().start()
    await trio.writable_leader()
    with pytest.raises(KafkaError) as caught:
        trio.nodes[TWO].propose("a")
    assert caught.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER


@virtual
async def test_what_was_committed_survives_the_power_loss_of_the_leader() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    end_offset = leader.propose("a")
    while leader.told.high_watermark < end_offset:
        await asyncio.sleep(0.001)
    await trio.crash(leader.node)
    second = await trio.writable_leader()
    assert second.values(second.told.high_watermark) == ["a"]
    second.propose("b")
    await trio.until_equal(["a", "b"])
    await trio.start_node(leader.node)
    await trio.until_equal(["a", "b"])


@virtual
async def test_a_lost_leader_is_replaced_soon_after_its_connections_close() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    started = asyncio.get_running_loop().time()
    await trio.crash(leader.node)
    await trio.writable_leader()
    assert asyncio.get_running_loop().time() - started < 0.3


@virtual
async def test_leadership_is_handed_over_on_request() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    leader.propose("a")
    leader.group.transfer(THREE)
    async with asyncio.timeout(1):
        while not trio.nodes[THREE].group.is_leader:
            await asyncio.sleep(0.001)
    await trio.until_equal(["a"])


@virtual
async def test_an_uncommitted_suffix_is_truncated_and_its_partition_told() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    trio.network.isolate(leader.node)
    leader.propose("lost")
    async with asyncio.timeout(10):
        while not any(node.group.is_leader for node in trio.nodes.values() if node is not leader):
            await asyncio.sleep(0.01)
    (other,) = [node for node in trio.nodes.values() if node.group.is_leader and node is not leader]
    other.propose("kept")
    trio.network.heal_all()
    await trio.until_equal(["kept"])
    assert leader.told.truncations == [0]
    assert not leader.group.is_leader


@virtual
async def test_quiet_groups_elect_nobody_and_are_not_ticked() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    leader.propose("a")
    await asyncio.sleep(60)
    assert {node.group.leader_epoch for node in trio.nodes.values()} == {1}
    assert all(node.host.statistics().active == 0 for node in trio.nodes.values())


@virtual
async def test_a_follower_on_another_disk_is_not_in_sync_until_it_votes_with_it() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    other = THREE
    named = {node: f"directory-{node}" for node in NODES}
    await change_members(leader, Membership(voters=frozenset(NODES), replicas=founding_replicas(named)))
    assert leader.group.lagging() == frozenset()
    leader.host.on_peer_up(PeerInfo(other, "another", 1))
    assert leader.group.lagging() == {other}
    replicas = founding_replicas({**named, other: "another"})
    voters = frozenset(NODES) - {other}
    await change_members(leader, Membership(voters=voters, learners=frozenset({other}), replicas=replicas))
    # It has the whole log, and a majority does not count it yet.
    assert {replica.end_offset for replica in leader.group.replicas()} == {leader.log.end_offset}
    assert leader.group.lagging() == {other}
    await change_members(leader, Membership(voters=frozenset(NODES), replicas=replicas))
    assert leader.group.lagging() == frozenset()


async def change_members(leader: ReplicaNode, membership: Membership) -> None:
    assert leader.group.propose_membership(membership)
    # Replicated, committed and quiet again.
    await asyncio.sleep(2)
    assert leader.group.is_quiesced
    assert leader.group.membership == membership


@virtual
async def test_write_caching_commits_without_a_sync() -> None:
    trio = Trio()
    for node in NODES:
        await trio.start_node(node)
    for replica in trio.nodes.values():
        replica.group.set_write_caching(FlushPolicy(bytes_max=1 << 30, interval_ms=60_000))
    leader = await trio.writable_leader()
    await asyncio.sleep(1)
    syncs = leader.group._setting.syncer.statistics().rounds
    end_offset = leader.propose("a")
    async with asyncio.timeout(1):
        while leader.told.high_watermark < end_offset:
            await asyncio.sleep(0.001)
    assert leader.group._setting.syncer.statistics().rounds == syncs


@pytest.mark.parametrize("seed", range(40))
def test_nothing_acknowledged_is_lost_under_random_faults(seed: int) -> None:
    random_faults(lambda: Trio(seed))


@pytest.mark.parametrize("seed", range(20))
def test_nothing_acknowledged_is_lost_with_write_caching_while_machines_have_power(seed: int) -> None:
    random_faults(lambda: Trio(seed, caching=FlushPolicy(bytes_max=500, interval_ms=50)), is_power_lost=0)


@pytest.mark.parametrize("seed", range(40))
def test_nothing_acknowledged_is_lost_when_disks_are_replaced(seed: int) -> None:
    random_faults(lambda: Trio(seed, founders=NAMED_FOUNDERS), replaced=0.6)


def random_faults(make: Callable[[], Trio], *, is_power_lost: float = 0.7, replaced: float = 0) -> None:
    """Whatever is acknowledged while nodes crash and are cut off is there in the end, in order and once.

    `replaced` crashes come with the loss of the disk, if the last one that was replaced votes.
    """

    @virtual
    async def run() -> None:
        trio = await make().start()
        random, acked = trio.random, list[str]()
        for number in range(60):
            await asyncio.sleep(random.random() * 0.2)
            match random.randrange(10):
                case 0 if len(trio.nodes) == 3:
                    is_disk_lost = random.random() < replaced and not trio.has_replaced
                    node = random.choice(NODES)
                    await trio.crash(node, power=random.random() < is_power_lost)
                    if is_disk_lost:
                        trio.replace_disk(node)
                case 1 | 2 if len(trio.nodes) < 3:
                    await trio.start_rest()
                case 3:
                    trio.network.isolate(NodeId(random.choice(NODES)))
                case 4:
                    trio.network.heal_all()
                case _:
                    leader = trio.leader()
                    if leader is not None:
                        await _try(trio, leader.node, str(number), acked)
            if replaced and random.random() < 0.1:
                # Long enough for a replaced disk to be filled, and its node to vote again.
                await asyncio.sleep(random.random() * 3)
        trio.network.heal_all()
        await trio.start_rest()
        await trio.writable_leader()
        async with asyncio.timeout(20):
            while trio.has_replaced:
                await asyncio.sleep(0.05)
        (await trio.writable_leader()).propose("last")
        await asyncio.sleep(3)
        values = (await trio.writable_leader()).values()
        assert [value for value in values if value in set(acked)] == acked
        assert len(set(values)) == len(values)
        assert all(node.told.failure is None for node in trio.nodes.values())
        await trio.until_equal(values)

    run()


async def _try(trio: Trio, node: NodeId, value: str, acked: list[str]) -> None:
    replica = trio.nodes[node]
    try:
        end_offset = replica.propose(value)
    except KafkaError:
        return
    epoch = replica.group.leader_epoch
    for _ in range(200):
        await asyncio.sleep(0.001)
        if trio.nodes.get(node) is not replica or replica.group.leader_epoch != epoch:
            return
        if replica.told.high_watermark >= end_offset:
            acked.append(value)
            return


@virtual
async def test_markers_before_the_log_start_are_forgotten() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    leader.propose("a")
    await trio.until_equal(["a"])
    await asyncio.sleep(1)
    leader.log.roll()
    leader.propose("b")
    await asyncio.sleep(1)
    leader.log.advance_start(1)
    await leader.log.tidy()
    leader.group.on_tidied()
    state = leader.store.get(GROUP)
    assert state is not None
    assert (len(state.markers), state.markers.base.offset) == (0, 1)
    await trio.crash(TWO)
    leader.propose("c")
    await trio.start_node(TWO)
    await asyncio.sleep(1)
    # The follower took over the log start, too.
    assert trio.nodes[TWO].values() == ["b", "c"]


@virtual
async def test_whoever_resigns_is_replaced_while_it_is_still_connected() -> None:
    trio = await Trio().start()
    leader = await trio.writable_leader()
    leader.propose("a")
    await trio.until_equal(["a"])
    leader.group.resign()
    async with asyncio.timeout(0.2):
        while trio.leader() in (None, leader):
            await asyncio.sleep(0.001)
    leader.group.close()
    leader.host.remove(leader.group)
    leader.group.resign()
    second = await trio.writable_leader()
    assert second.values(second.told.high_watermark) == ["a"]
