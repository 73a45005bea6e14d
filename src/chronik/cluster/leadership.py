"""The leadership table: who leads each partition, and since which epoch.

It is the one truth Metadata, produce and fetch read. It is fed by those who lead, never by assignments.
Topics are named by id, so that nothing said about a deleted topic is ever taken for the one that has its name
now.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from chronik.vocab.ids import NO_NODE, LeaderEpoch, NodeId, TopicId
from chronik.vocab.invariant import invariant


class PartitionKey(NamedTuple):
    """A partition by its topic's id."""

    topic_id: TopicId
    partition: int


class Leader(NamedTuple):
    """The leader of one epoch. `node` is NO_NODE when that leader resigned and no other is known."""

    node: NodeId
    epoch: LeaderEpoch


LeaderCallback = Callable[[PartitionKey, Leader], None]

_NO_LEADERS: Mapping[int, Leader] = {}


class _Waiter:
    """Someone who waits until every partition of `missing` has a leader."""

    __slots__ = ("done", "missing")

    def __init__(self, missing: set[PartitionKey], done: asyncio.Future[None]) -> None:
        self.missing = missing
        self.done = done

    def on_settled(self, key: PartitionKey) -> None:
        self.missing.discard(key)
        if not self.missing:
            self.wake()

    def wake(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class LeadershipTable:
    """One per node, for the node's life.

    Made by the server; partitions announce into it, handlers read it.
    """

    def __init__(self) -> None:
        self._leaders: dict[TopicId, dict[int, Leader]] = {}
        # Invariant: a waiter is here under exactly the partitions of its `missing`.
        self._waiters: dict[PartitionKey, list[_Waiter]] = {}
        self._callbacks: list[LeaderCallback] = []

    def leader(self, topic_id: TopicId, partition: int) -> Leader | None:
        """The latest leader heard of; None when none ever led or the last one resigned."""
        leader = self._leaders.get(topic_id, _NO_LEADERS).get(partition)
        return leader if leader is not None and leader.node != NO_NODE else None

    def leaders(self, topic_id: TopicId) -> Mapping[int, Leader]:
        """All that is known of a topic, by partition, resignations (NO_NODE) included.

        Not to be kept: it changes.
        """
        return self._leaders.get(topic_id, _NO_LEADERS)

    def announce(self, topic_id: TopicId, partition: int, leader: Leader) -> bool:
        """Take in what a leader says. False: it was known, or is older than what is known.

        The highest epoch wins; within an epoch a resignation (NO_NODE) wins, for a leader does not return in
        it.
        """
        partitions = self._leaders.setdefault(topic_id, {})
        known = partitions.get(partition)
        if known is not None and not _supersedes(leader, known):
            return False
        partitions[partition] = leader
        key = PartitionKey(topic_id, partition)
        if leader.node != NO_NODE:
            for waiter in self._waiters.pop(key, ()):
                waiter.on_settled(key)
        for callback in self._callbacks:
            callback(key, leader)
        return True

    def forget(self, topic_id: TopicId) -> None:
        """The topic is deleted: nobody leads it, and waiting for it ends unfulfilled."""
        self._leaders.pop(topic_id, None)
        for key in [key for key in self._waiters if key.topic_id == topic_id]:
            for waiter in self._waiters[key]:
                waiter.wake()

    def subscribe(self, callback: LeaderCallback) -> Callable[[], None]:
        """Call `callback` after each change. Returns what ends the subscription."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def wait_for(self, partitions: Iterable[PartitionKey], deadline: float) -> Collection[PartitionKey]:
        """Wait until each of `partitions` has a leader. Returns those that have none when the wait ends.

        `deadline` is on the running loop's clock (`loop.time()`), in seconds. Also ends when one of their
        topics is deleted. Returns at once, without yielding, when nothing is missing or the deadline has
        passed.
        """
        missing = {key for key in partitions if self.leader(*key) is None}
        if not missing:
            return missing
        loop = asyncio.get_running_loop()
        if deadline <= loop.time():
            return missing
        waiter = _Waiter(missing, loop.create_future())
        timer = loop.call_at(deadline, waiter.wake)
        for key in missing:
            self._waiters.setdefault(key, []).append(waiter)
        try:
            await waiter.done
        finally:
            timer.cancel()
            self._drop(waiter)
        return waiter.missing

    def _drop(self, waiter: _Waiter) -> None:
        for key in waiter.missing:
            waiters = self._waiters[key]
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[key]


def _supersedes(new: Leader, known: Leader) -> bool:
    if new.epoch != known.epoch:
        return new.epoch > known.epoch
    invariant(
        NO_NODE in (new.node, known.node) or new.node == known.node,
        "nodes {} and {} both lead epoch {}",
        new.node,
        known.node,
        new.epoch,
    )
    return new.node == NO_NODE and known.node != NO_NODE
