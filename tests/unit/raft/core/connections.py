"""A group whose nodes are connected in pairs, as `raft.transport` promises.

A connection keeps order and loses nothing while it lives. When it breaks, what was on the way is lost, and
each end is told some time later; only then can there be another. Nodes that are quiet are not ticked.
"""

from collections import deque
from collections.abc import Iterable
from itertools import combinations

from chronik.raft.core.messages import Message
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.types import Membership
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.group import Group

Pair = frozenset[NodeId]


class ConnectedGroup(Group):
    """Everybody is connected to everybody in the beginning."""

    def __init__(
        self,
        first: Membership,
        *,
        seed: int = 1,
        options: RaftOptions | None = None,
        extra: Iterable[int] = (),
    ) -> None:
        super().__init__(first, seed=seed, options=options, extra=extra)
        self.pairs: list[Pair] = [frozenset(pair) for pair in combinations(self.shells, 2)]
        self.connected: set[Pair] = set(self.pairs)
        # By pair: the ends that do not know yet that the connection broke.
        self.untold: dict[Pair, set[NodeId]] = {}
        # By sender and receiver.
        self.queues: dict[tuple[NodeId, NodeId], deque[Message]] = {}
        self.incarnations = dict.fromkeys(self.shells, 0)
        # The incarnation that the first last saw of the second.
        self._seen = {(a, b): 0 for pair in self.pairs for a in pair for b in pair}

    def is_connected(self, a: int, b: int) -> bool:
        return frozenset({a, b}) in self.connected

    def break_pair(self, pair: Pair) -> None:
        if pair in self.connected:
            self.connected.remove(pair)
            self.untold[pair] = {node for node in pair if self.shells[node].is_up}
            for a, b in (tuple(pair), tuple(pair)[::-1]):
                self.queues.pop((a, b), None)

    def tell_lost(self, pair: Pair, node: NodeId) -> None:
        """One end learns it, if it does not know."""
        if node in self.untold.get(pair, ()):
            self.untold[pair].remove(node)
            (peer,) = pair - {node}
            self.lose_peer(node, peer)

    def may_connect(self, pair: Pair) -> bool:
        """True if both ends are up, and know that they are not connected."""
        is_up = all(self.shells[node].is_up for node in pair)
        return pair not in self.connected and not self.untold.get(pair) and is_up

    def connect(self, pair: Pair) -> None:
        self.connected.add(pair)
        for node in sorted(pair):
            (peer,) = pair - {node}
            is_restarted = self._seen[node, peer] != self.incarnations[peer]
            self._seen[node, peer] = self.incarnations[peer]
            self.find_peer(node, peer, is_restarted=is_restarted)

    def take_down(self, node: NodeId) -> None:
        """Break its connections; the caller crashes it."""
        for pair in self.pairs:
            if node in pair:
                self.break_pair(pair)
                self.untold.get(pair, set()).discard(node)

    def bring_up(self, node: NodeId, *, is_checkpoint_kept: bool = False) -> None:
        self.incarnations[node] += 1
        self.shells[node].restart(is_checkpoint_kept=is_checkpoint_kept)
        for peer in self.shells.keys() - {node}:
            self._seen[node, peer] = self.incarnations[peer]
            self.lose_peer(node, peer)

    def tick_if_needed(self, node: NodeId) -> None:
        if self.shells[node].is_up and not self.core(node).is_quiesced:
            self.tick(node)

    def deliver_from(self, link: tuple[NodeId, NodeId], *, is_run: bool = True) -> None:
        """The oldest message of a direction."""
        queue = self.queues.get(link)
        if queue:
            self.step(queue.popleft(), is_run=is_run)

    def wait_until_idle(self) -> None:
        for _ in range(200):
            self.sync()
            links = [link for link, queue in self.queues.items() if queue]
            if not links:
                return
            for link in links:
                self.deliver_from(link)
        raise AssertionError("the group does not come to rest")

    def connect_all(self) -> None:
        """Everybody up, told and connected."""
        for pair in self.pairs:
            for node in sorted(pair):
                self.tell_lost(pair, node)
            if self.may_connect(pair):
                self.connect(pair)

    def collect(self, node: int) -> None:
        for message in self[node].outbox:
            if self.is_connected(message.source, message.target):
                self.queues.setdefault((message.source, message.target), deque()).append(message)
        self[node].outbox.clear()
