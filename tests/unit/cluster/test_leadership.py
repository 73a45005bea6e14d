"""The leadership table as plays: which reports count, which are passed on, how long waits last."""

import asyncio

import pytest

from chronik.cluster import leadership
from chronik.cluster.leadership import Lagging, Leader, LeadershipTable, PartitionKey
from chronik.vocab.ids import NO_NODE, LeaderEpoch, NodeId, TopicId
from chronik.vocab.invariant import InvariantViolation

A, B = TopicId(b"a" * 16), TopicId(b"b" * 16)


def leader(node: int, epoch: int) -> Leader:
    return Leader(NodeId(node), LeaderEpoch(epoch))


def resigned(epoch: int) -> Leader:
    return Leader(NO_NODE, LeaderEpoch(epoch))


def test_the_highest_epoch_wins() -> None:
    table = LeadershipTable()
    assert table.leader(A, 0) is None
    assert table.announce(A, 0, leader(1, 2))
    assert not table.announce(A, 0, leader(2, 1))
    assert not table.announce(A, 0, leader(1, 2))
    assert table.leader(A, 0) == leader(1, 2)
    assert table.announce(A, 0, leader(2, 3))
    assert table.leader(A, 0) == leader(2, 3)
    assert table.leaders(A) == {0: leader(2, 3)}
    assert table.leaders(B) == {}


def test_a_leader_that_resigned_does_not_come_back_in_its_epoch() -> None:
    table = LeadershipTable()
    table.announce(A, 0, leader(1, 2))
    assert table.announce(A, 0, resigned(2))
    assert table.leader(A, 0) is None
    assert table.leaders(A) == {0: resigned(2)}
    assert not table.announce(A, 0, leader(1, 2))
    assert not table.announce(A, 0, resigned(2))
    assert table.announce(A, 0, leader(1, 3))


def test_two_leaders_of_one_epoch_stop_loudly() -> None:
    table = LeadershipTable()
    table.announce(A, 0, leader(1, 2))
    with pytest.raises(InvariantViolation, match="nodes 2 and 1 both lead epoch 2"):
        table.announce(A, 0, leader(2, 2))


def test_only_news_is_told() -> None:
    table = LeadershipTable()
    heard: list[tuple[PartitionKey, Leader]] = []
    unsubscribe = table.subscribe(lambda key, new: heard.append((key, new)))
    table.announce(A, 1, leader(1, 1))
    table.announce(A, 1, leader(1, 1))
    table.announce(A, 1, resigned(1))
    unsubscribe()
    table.announce(A, 1, leader(1, 2))
    assert heard == [(PartitionKey(A, 1), leader(1, 1)), (PartitionKey(A, 1), resigned(1))]


def test_a_forgotten_topic_has_no_leaders() -> None:
    table = LeadershipTable()
    table.announce(A, 0, leader(1, 5))
    table.announce(B, 0, leader(1, 1))
    table.forget(A)
    assert table.leader(A, 0) is None
    assert table.leader(B, 0) == leader(1, 1)
    table.forget(A)


def test_waiting_for_what_is_there_does_not_yield() -> None:
    table = LeadershipTable()
    table.announce(A, 0, leader(1, 1))
    with pytest.raises(StopIteration):
        table.wait_for([PartitionKey(A, 0)], deadline=0).send(None)


def test_who_waits_is_woken_by_the_last_leader() -> None:
    async def play() -> None:
        table = LeadershipTable()
        keys = [PartitionKey(A, 0), PartitionKey(A, 1), PartitionKey(B, 0)]
        first = asyncio.create_task(table.wait_for(keys, _far()))
        second = asyncio.create_task(table.wait_for(keys[:2], _far()))
        await asyncio.sleep(0)
        table.announce(A, 0, leader(1, 1))
        table.announce(A, 1, resigned(1))
        await asyncio.sleep(0)
        assert not first.done()
        assert not second.done()
        table.announce(A, 1, leader(1, 2))
        assert not await second
        assert not first.done()
        table.announce(B, 0, leader(1, 1))
        assert not await first
        assert not table._waiters

    asyncio.run(play())


def test_the_wait_ends_at_the_deadline_with_what_is_missing() -> None:
    async def play() -> None:
        table = LeadershipTable()
        loop = asyncio.get_running_loop()
        waiting = asyncio.create_task(
            table.wait_for([PartitionKey(A, 0), PartitionKey(A, 1)], loop.time() + 0.01)
        )
        await asyncio.sleep(0)
        table.announce(A, 0, leader(1, 1))
        assert await waiting == {PartitionKey(A, 1)}
        assert not table._waiters
        assert await table.wait_for([PartitionKey(A, 1)], loop.time() - 1) == {PartitionKey(A, 1)}

    asyncio.run(play())


def test_waiting_for_a_topic_ends_when_it_is_forgotten() -> None:
    async def play() -> None:
        table = LeadershipTable()
        waiting = asyncio.create_task(table.wait_for([PartitionKey(A, 0)], _far()))
        other = asyncio.create_task(table.wait_for([PartitionKey(B, 0)], _far()))
        await asyncio.sleep(0)
        table.forget(A)
        assert await waiting == {PartitionKey(A, 0)}
        assert not other.done()
        other.cancel()
        await asyncio.wait([other])
        assert not table._waiters

    asyncio.run(play())


def _far() -> float:
    return asyncio.get_running_loop().time() + 30


def test_what_a_lost_node_leads_is_not_shown_until_it_is_found() -> None:
    table = LeadershipTable()
    heard: list[tuple[PartitionKey, Leader]] = []
    table.subscribe(lambda key, new: heard.append((key, new)))
    table.announce(A, 0, leader(1, 2))
    table.announce(A, 1, leader(2, 2))
    table.on_node_lost(NodeId(1))
    table.on_node_lost(NodeId(1))
    assert table.leader(A, 0) is None
    assert table.leaders(A) == {0: resigned(2), 1: leader(2, 2)}
    assert table.led_by(NodeId(1)) == {PartitionKey(A, 0): 2}
    table.on_node_found(NodeId(1))
    table.on_node_found(NodeId(1))
    assert table.leader(A, 0) == leader(1, 2)
    assert [new for key, new in heard if key.partition == 0] == [leader(1, 2), resigned(2), leader(1, 2)]


def test_a_found_node_does_not_lead_what_others_lead_since_or_it_gave_up() -> None:
    table = LeadershipTable()
    for partition in range(3):
        table.announce(A, partition, leader(1, 2))
    table.on_node_lost(NodeId(1))
    table.announce(A, 0, leader(2, 3))
    table.announce(A, 1, resigned(2))
    # Said by one who heard it before it was lost.
    table.announce(A, 2, leader(1, 4))
    assert table.leaders(A) == {0: leader(2, 3), 1: resigned(2), 2: resigned(4)}
    table.on_node_found(NodeId(1))
    assert table.leaders(A) == {0: leader(2, 3), 1: resigned(2), 2: leader(1, 4)}


def test_a_lost_node_ends_no_wait_until_it_is_found() -> None:
    async def play() -> None:
        table = LeadershipTable()
        table.on_node_lost(NodeId(1))
        waiting = asyncio.create_task(table.wait_for([PartitionKey(A, 0)], _far()))
        await asyncio.sleep(0)
        table.announce(A, 0, leader(1, 1))
        await asyncio.sleep(0)
        assert not waiting.done()
        table.on_node_found(NodeId(1))
        assert not await waiting

    asyncio.run(play())


def test_what_a_node_leads_that_misses_heartbeats_is_shown() -> None:
    table = LeadershipTable()
    heard: list[bool] = []
    unsubscribe = table.subscribe_heard(lambda: heard.append(True))
    table.announce(A, 0, leader(1, 2))
    table.on_node_unheard(NodeId(1))
    assert table.unheard == {1}
    assert table.leader(A, 0) == leader(1, 2)
    table.on_node_heard(NodeId(1))
    assert not table.unheard
    assert len(heard) == 1
    unsubscribe()
    table.on_node_unheard(NodeId(1))
    table.on_node_lost(NodeId(1))
    table.on_node_unheard(NodeId(1))
    assert not table.unheard, "who is lost is not in doubt"
    assert len(heard) == 1


def test_replicas_are_in_sync_unless_they_lag_or_are_lost() -> None:
    table = LeadershipTable()
    replicas = [NodeId(1), NodeId(2), NodeId(3)]
    heard: list[tuple[PartitionKey, Leader, Lagging]] = []
    unsubscribe = table.subscribe_lagging(lambda *news: heard.append(news))
    assert table.in_sync(A, 0, replicas) == replicas
    assert not table.announce_lagging(A, 0, leader(1, 1), {NodeId(2)})
    table.announce(A, 0, leader(1, 1))
    assert table.announce_lagging(A, 0, leader(1, 1), {NodeId(2)})
    assert not table.announce_lagging(A, 0, leader(1, 1), {NodeId(2)})
    assert not table.announce_lagging(A, 0, leader(2, 1), {NodeId(3)})
    assert table.in_sync(A, 0, replicas) == [1, 3]
    table.on_node_lost(NodeId(3))
    assert table.lost == {3}
    assert table.in_sync(A, 0, replicas) == [1]
    assert table.in_sync(A, 1, replicas) == [1, 2]
    assert table.announce_lagging(A, 0, leader(1, 1), frozenset())
    assert table.in_sync(A, 0, replicas) == [1, 2]
    unsubscribe()
    table.announce_lagging(A, 0, leader(1, 1), {NodeId(1)})
    table.announce(A, 0, leader(2, 2))
    table.on_node_found(NodeId(3))
    assert table.in_sync(A, 0, replicas) == replicas
    table.announce_lagging(A, 0, leader(2, 2), {NodeId(1)})
    table.forget(A)
    assert table.in_sync(A, 0, replicas) == replicas
    assert not table._lagging
    assert heard == [
        (PartitionKey(A, 0), leader(1, 1), Lagging(LeaderEpoch(1), frozenset({NodeId(2)}))),
        (PartitionKey(A, 0), leader(1, 1), Lagging(LeaderEpoch(1), frozenset())),
    ]


def test_what_is_said_of_deleted_topics_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "_FORGOTTEN_MAX", 1)
    table = LeadershipTable()
    forgotten: list[TopicId] = []
    unsubscribe = table.subscribe_forgotten(forgotten.append)
    table.announce(A, 0, leader(1, 1))
    table.forget(A)
    unsubscribe()
    assert not table.announce(A, 0, leader(1, 2))
    assert table.leaders(A) == {}
    table.forget(B)
    assert forgotten == [A]
    assert list(table._forgotten) == [B]
