"""The leadership table as plays: who is believed, who is told, how long anybody waits."""

import asyncio

import pytest

from chronik.cluster.leadership import Leader, LeadershipTable, PartitionKey
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
