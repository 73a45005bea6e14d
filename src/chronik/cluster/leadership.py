"""The leadership table: who leads each partition, and since which epoch.

It is the one truth Metadata, produce and fetch read. It is fed by those who lead, never by assignments. What
a lost node led is known and not shown. Topics are named by id, so that nothing said about a
deleted topic is ever taken for the one that has its name now.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
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


class Lagging(NamedTuple):
    """The replicas that are not in sync, as the leader of `epoch` says."""

    epoch: LeaderEpoch
    nodes: frozenset[NodeId]


ForgetCallback = Callable[[TopicId], None]
LaggingCallback = Callable[[PartitionKey, Leader, Lagging], None]

_NO_LEADERS: Mapping[int, Leader] = {}

# What a node says of a topic that it does not yet know to be deleted must not stay forever. It learns of it
# before so many others are deleted, or is lost.
_FORGOTTEN_MAX = 10_000


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
        # What those who lead have said.
        self._known: dict[TopicId, dict[int, Leader]] = {}
        # Invariant: _known, with NO_NODE for the nodes of _lost.
        self._shown: dict[TopicId, dict[int, Leader]] = {}
        self._lost: frozenset[NodeId] = frozenset()
        # Invariant: nobody is in both.
        self._unheard: frozenset[NodeId] = frozenset()
        # Without those of leaders that said nobody lags.
        self._lagging: dict[PartitionKey, Lagging] = {}
        # A dictionary for its order.
        self._forgotten: dict[TopicId, None] = {}
        # Invariant: a waiter is here under exactly the partitions of its `missing`.
        self._waiters: dict[PartitionKey, list[_Waiter]] = {}
        self._callbacks: list[LeaderCallback] = []
        self._lagging_callbacks: list[LaggingCallback] = []
        self._forget_callbacks: list[ForgetCallback] = []
        self._heard_callbacks: list[Callable[[], None]] = []

    # Reading.

    def leader(self, topic_id: TopicId, partition: int) -> Leader | None:
        """The latest leader heard of; None when none ever led, or the last one resigned or is lost."""
        leader = self._shown.get(topic_id, _NO_LEADERS).get(partition)
        return leader if leader is not None and leader.node != NO_NODE else None

    def leaders(self, topic_id: TopicId) -> Mapping[int, Leader]:
        """All that is known of a topic, by partition; NO_NODE for those that resigned or are lost.

        Not to be kept: it changes.
        """
        return self._shown.get(topic_id, _NO_LEADERS)

    def epochs(self, topic_id: TopicId) -> Mapping[int, LeaderEpoch]:
        """The latest epoch heard of for each partition of a topic, whoever led it."""
        return {partition: leader.epoch for partition, leader in self.leaders(topic_id).items()}

    def in_sync(self, topic_id: TopicId, partition: int, replicas: Sequence[NodeId]) -> Sequence[NodeId]:
        """Those of `replicas` that are connected and do not lag, as their present leader said last."""
        lagging = self._lagging_nodes(topic_id, partition)
        if not lagging and not self._lost:
            return replicas
        return [node for node in replicas if node not in lagging and node not in self._lost]

    @property
    def lost(self) -> frozenset[NodeId]:
        """Nodes that were connected and are not."""
        return self._lost

    @property
    def unheard(self) -> frozenset[NodeId]:
        """Nodes that are connected and have missed heartbeats: what they lead is shown, and in doubt."""
        return self._unheard

    def led_by(self, node: NodeId) -> dict[PartitionKey, LeaderEpoch]:
        """What a node leads, as it said last, whether it is lost or not. Looks at every partition."""
        return {
            PartitionKey(topic_id, partition): leader.epoch
            for topic_id, partitions in self._known.items()
            for partition, leader in partitions.items()
            if leader.node == node
        }

    def _lagging_nodes(self, topic_id: TopicId, partition: int) -> frozenset[NodeId]:
        lagging = self._lagging.get(PartitionKey(topic_id, partition))
        if lagging is None or lagging.epoch != self._known[topic_id][partition].epoch:
            return frozenset()
        return lagging.nodes

    # What those who lead say.

    def announce(self, topic_id: TopicId, partition: int, leader: Leader) -> bool:
        """Take in what a leader says. False: it was known, or is older than what is known.

        The highest epoch wins; within an epoch a resignation (NO_NODE) wins, for a leader does not return in
        it.
        """
        if topic_id in self._forgotten:
            return False
        partitions = self._known.setdefault(topic_id, {})
        known = partitions.get(partition)
        if known is not None and not _supersedes(leader, known):
            return False
        partitions[partition] = leader
        key = PartitionKey(topic_id, partition)
        if known is not None and known.epoch != leader.epoch:
            self._lagging.pop(key, None)
        self._show(key, leader)
        return True

    def announce_lagging(self, topic_id: TopicId, partition: int, leader: Leader, nodes: Set[NodeId]) -> bool:
        """Take in which replicas `leader` says are not in sync. False: known, or it does not lead now."""
        known = self._known.get(topic_id, _NO_LEADERS).get(partition)
        if known != leader or self._lagging_nodes(topic_id, partition) == nodes:
            return False
        key, lagging = PartitionKey(topic_id, partition), Lagging(leader.epoch, frozenset(nodes))
        if nodes:
            self._lagging[key] = lagging
        else:
            del self._lagging[key]
        for callback in self._lagging_callbacks:
            callback(key, leader, lagging)
        return True

    def forget(self, topic_id: TopicId) -> None:
        """The topic is deleted: nobody leads it, and waiting for it ends unfulfilled."""
        for partition in self._known.pop(topic_id, _NO_LEADERS):
            self._lagging.pop(PartitionKey(topic_id, partition), None)
        self._shown.pop(topic_id, None)
        self._forgotten[topic_id] = None
        if len(self._forgotten) > _FORGOTTEN_MAX:
            del self._forgotten[next(iter(self._forgotten))]
        for callback in self._forget_callbacks:
            callback(topic_id)
        for key in [key for key in self._waiters if key.topic_id == topic_id]:
            for waiter in self._waiters[key]:
                waiter.wake()

    # What the connections say.

    def on_node_lost(self, node: NodeId) -> None:
        """The node is not connected: what it led is not shown."""
        if node not in self._lost:
            self._lost |= {node}
            self._unheard -= {node}
            self._show_again(node)

    def on_node_found(self, node: NodeId) -> None:
        """The node is connected, and has said what it leads: it is shown unless others lead it since."""
        if node in self._lost:
            self._lost -= {node}
            self._show_again(node)

    def on_node_unheard(self, node: NodeId) -> None:
        """A node that is connected has missed heartbeats."""
        if node not in self._lost:
            self._unheard |= {node}

    def on_node_heard(self, node: NodeId) -> None:
        """It is in doubt no more."""
        self._unheard -= {node}
        for callback in list(self._heard_callbacks):
            callback()

    def _show_again(self, node: NodeId) -> None:
        for key, epoch in self.led_by(node).items():
            self._show(key, Leader(node, epoch))

    def _show(self, key: PartitionKey, known: Leader) -> None:
        shown = known if known.node not in self._lost else Leader(NO_NODE, known.epoch)
        partitions = self._shown.setdefault(key.topic_id, {})
        if partitions.get(key.partition) == shown:
            return
        partitions[key.partition] = shown
        if shown.node != NO_NODE:
            for waiter in self._waiters.pop(key, ()):
                waiter.on_settled(key)
        for callback in self._callbacks:
            callback(key, shown)

    # Waiting.

    def subscribe(self, callback: LeaderCallback) -> Callable[[], None]:
        """Call `callback` after each change of what is shown. Returns what ends the subscription."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def subscribe_lagging(self, callback: LaggingCallback) -> Callable[[], None]:
        """Call `callback` after each change of who lags. Returns what ends the subscription."""
        self._lagging_callbacks.append(callback)
        return lambda: self._lagging_callbacks.remove(callback)

    def subscribe_forgotten(self, callback: ForgetCallback) -> Callable[[], None]:
        """Call `callback` with each deleted topic. Returns what ends the subscription."""
        self._forget_callbacks.append(callback)
        return lambda: self._forget_callbacks.remove(callback)

    def subscribe_heard(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when a node is heard again. Returns what ends the subscription."""
        self._heard_callbacks.append(callback)
        return lambda: self._heard_callbacks.remove(callback)

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
