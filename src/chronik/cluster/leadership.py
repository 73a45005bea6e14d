"""The leadership table: the leader of each partition, and its epoch.

It is the only source for Metadata, produce and fetch. Leaders feed it, assignments never do. Leaderships of a
lost node are kept and hidden. Topics are named by id, so that no statement about a deleted topic is ever
applied to the one that has its name now.
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
    """The out-of-sync replicas, as reported by the leader of `epoch`."""

    epoch: LeaderEpoch
    nodes: frozenset[NodeId]


ForgetCallback = Callable[[TopicId], None]
LaggingCallback = Callable[[PartitionKey, Leader, Lagging], None]

_NO_LEADERS: Mapping[int, Leader] = {}

# Reports of a node about a topic whose deletion it has not applied yet must not stay forever. The node
# applies it before this many others are deleted, or is lost.
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

    Created by the server; partitions announce into it, handlers read it.
    """

    def __init__(self) -> None:
        # As announced by the leaders.
        self._known: dict[TopicId, dict[int, Leader]] = {}
        # Invariant: _known, with NO_NODE for the nodes of _lost.
        self._shown: dict[TopicId, dict[int, Leader]] = {}
        self._lost: frozenset[NodeId] = frozenset()
        # Invariant: no node is in both.
        self._unheard: frozenset[NodeId] = frozenset()
        # Without those of leaders that reported no lagging replicas.
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
        """Returns the latest known leader; None when there never was one, or the last one resigned or is
        lost.
        """
        leader = self._shown.get(topic_id, _NO_LEADERS).get(partition)
        return leader if leader is not None and leader.node != NO_NODE else None

    def leaders(self, topic_id: TopicId) -> Mapping[int, Leader]:
        """Returns everything known of a topic, by partition; NO_NODE where the leader resigned or is lost.

        Not to be kept: it changes.
        """
        return self._shown.get(topic_id, _NO_LEADERS)

    def epochs(self, topic_id: TopicId) -> Mapping[int, LeaderEpoch]:
        """Returns the latest known epoch of each partition of a topic, whichever node led it."""
        return {partition: leader.epoch for partition, leader in self.leaders(topic_id).items()}

    def in_sync(self, topic_id: TopicId, partition: int, replicas: Sequence[NodeId]) -> Sequence[NodeId]:
        """Returns those of `replicas` that are connected and do not lag, by their present leader's last
        report.
        """
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
        """Connected nodes that have missed heartbeats: their leaderships are shown, and in doubt."""
        return self._unheard

    def led_by(self, node: NodeId) -> dict[PartitionKey, LeaderEpoch]:
        """Returns the leaderships that a node reported last, lost or not. Scans every partition."""
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

    # Reports of leaders.

    def announce(self, topic_id: TopicId, partition: int, leader: Leader) -> bool:
        """Applies a leader's report. Returns False if it is known or outdated.

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
        """Applies `leader`'s report of out-of-sync replicas. Returns False if it is known, or the node
        does not lead now.
        """
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
        """The topic is deleted: it has no leaders, and waits for it end without one."""
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

    # Reports of the connections.

    def on_node_lost(self, node: NodeId) -> None:
        """The node is not connected: its leaderships are hidden."""
        if node not in self._lost:
            self._lost |= {node}
            self._unheard -= {node}
            self._show_again(node)

    def on_node_found(self, node: NodeId) -> None:
        """The node is connected, and has sent its leaderships: they are shown unless others lead since."""
        if node in self._lost:
            self._lost -= {node}
            self._show_again(node)

    def on_node_unheard(self, node: NodeId) -> None:
        """A node that is connected has missed heartbeats."""
        if node not in self._lost:
            self._unheard |= {node}

    def on_node_heard(self, node: NodeId) -> None:
        """The node's leaderships are no longer in doubt."""
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
        """Calls `callback` after each change of what is shown. Returns a function that ends the
        subscription.
        """
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
        """Calls `callback` when a silent node sends again. Returns a function that ends the subscription."""
        self._heard_callbacks.append(callback)
        return lambda: self._heard_callbacks.remove(callback)

    async def wait_for(self, partitions: Iterable[PartitionKey], deadline: float) -> Collection[PartitionKey]:
        """Waits until each of `partitions` has a leader. Returns those that have none when the wait ends.

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
