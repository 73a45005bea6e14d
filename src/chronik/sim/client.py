"""A program outside the cluster: requests and answers as bytes, over a network that delays and loses them.

Requests of one client to one node arrive in their order, as on one connection, and are begun in that order.
Requests without a reply may have been carried out.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any, TypeVar

from chronik.sim.cluster import SimCluster
from chronik.sim.process import ProcessDied
from chronik.vocab.ids import NodeId, TopicId
from chronik.wire.schema import Message

R = TypeVar("R", bound=Message)

_DELAY_SECONDS = (0.0001, 0.003)


class NoReply(Exception):
    """The connection broke, no node listens, or it took too long."""


class ClientNetwork:
    """The network between all clients and all nodes; its faults are made here."""

    def __init__(self, cluster: SimCluster, random: Random) -> None:
        self.cluster = cluster
        self.random = random
        # Nodes that no client reaches.
        self.cuts: set[NodeId] = set()
        # How often a connection breaks after the request was carried out, and before the answer is there.
        self.loss = 0.0

    def delay(self) -> float:
        return self.random.uniform(*_DELAY_SECONDS)


class _Connection:
    """To one node. Requests on it are lost with it, and so are the answers."""

    def __init__(self) -> None:
        self.is_broken = False
        # Requests in flight, and the arrival time of the last one.
        self.requests: deque[Callable[[], None]] = deque()
        self.arrival = 0.0
        self.waiting: dict[asyncio.Future[Any], None] = {}

    def fail(self, reason: str) -> None:
        self.is_broken = True
        for reply in self.waiting:
            if not reply.done():
                reply.set_exception(NoReply(reason))


class SimClient:
    """One client process; it never crashes."""

    def __init__(self, network: ClientNetwork, name: str) -> None:
        self.name = name
        self.random = Random(network.random.randrange(1 << 60))
        self._network = network
        self._connections: dict[NodeId, _Connection] = {}

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """All nodes that it may bootstrap from."""
        return self._network.cluster.all_nodes

    def was_paused(self, node: NodeId, since: float) -> bool:
        """True if its process was stopped at any time since then. No client knows; a test must."""
        return self._network.cluster.paused_until.get(node, 0.0) > since

    def may_be_rotten(self, node: NodeId) -> bool:
        """True if its disk gives back other bits than it was given. No client knows; a test must."""
        return node in self._network.cluster.rotten

    def topic_id_known(self, node: NodeId, topic: str) -> TopicId | None:
        """The topic that has a name for all a node knows; None also for a node that is not there. No client
        knows; a test must.
        """
        found = self._network.cluster.nodes.get(node)
        if found is None or not found.is_open:
            return None
        known = found.broker.metadata.image.topics.get(topic)
        return None if known is None else known.topic_id

    async def ask(
        self, node: NodeId, message: Message, version: int, response_type: type[R], seconds: float
    ) -> R:
        """Raises NoReply, after at most `seconds`; the connection is given up then."""
        loop = asyncio.get_running_loop()
        connection = self._connections.get(node)
        if connection is None or connection.is_broken:
            connection = self._connections[node] = _Connection()
        reply: asyncio.Future[R] = loop.create_future()
        connection.waiting[reply] = None
        connection.arrival = max(loop.time() + self._network.delay(), connection.arrival)
        request = partial(self._arrive, connection, node, message, version, response_type, reply)
        connection.requests.append(request)
        # Timers of one time come in any order, requests do not.
        loop.call_at(connection.arrival, lambda: connection.requests.popleft()())
        try:
            async with asyncio.timeout(seconds):
                return await reply
        except TimeoutError:
            connection.fail(f"an earlier request to node {node} was not answered")
            raise NoReply(f"no answer from node {node}") from None
        finally:
            del connection.waiting[reply]

    def _arrive(
        self,
        connection: _Connection,
        node: NodeId,
        message: Message,
        version: int,
        kind: type[R],
        reply: "asyncio.Future[R]",
    ) -> None:
        if node in self._network.cuts or connection.is_broken:
            return
        found = self._network.cluster.nodes.get(node)
        if found is None or not found.is_open:
            connection.fail(f"node {node} is not there")
            return
        answering = found.ask(message, version, kind)
        task = asyncio.get_running_loop().create_task(self._serve(connection, node, answering, reply))
        self._network.cluster.background.add(task)
        task.add_done_callback(self._network.cluster.background.discard)

    async def _serve(
        self,
        connection: _Connection,
        node: NodeId,
        answering: Coroutine[Any, Any, R],
        reply: "asyncio.Future[R]",
    ) -> None:
        network = self._network
        try:
            response = await answering
        except ProcessDied:
            connection.fail(f"node {node} died")
            return
        if network.random.random() < network.loss:
            connection.fail(f"the connection to node {node} broke")
            return
        await asyncio.sleep(network.delay())
        if node not in network.cuts and not reply.done():
            reply.set_result(response)
