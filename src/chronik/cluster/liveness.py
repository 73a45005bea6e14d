"""Fencing: the controller fences brokers that are not connected to it for too long.

The timer runs on every node, and every node counts the time that others are away, so that a new controller
does not start from zero. A fenced broker ends its fencing itself, by `registration`.
"""

import asyncio
import logging
from collections.abc import Callable

from chronik.cluster.metadata.brokers import BrokerRegistered, FenceBroker
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.peers import Peers
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NodeId

_log = logging.getLogger(__name__)

# How many times in a session the timer looks: a broker is fenced after 1 to 1.1 sessions.
LOOKS_PER_SESSION = 10


class Liveness:
    """One per node of a cluster, for its life: created, started and stopped by the server."""

    def __init__(
        self, metadata: MetadataService, peers: Peers, session_timeout_ms: Callable[[], int]
    ) -> None:
        """`session_timeout_ms`: broker.session.timeout.ms."""
        self._metadata = metadata
        self._peers = peers
        self._session_timeout_ms = session_timeout_ms
        # On the loop's clock, in seconds.
        self._away_since: dict[NodeId, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._fencing: dict[NodeId, asyncio.Task[None]] = {}

    def start(self) -> None:
        self._look()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._fencing.values():
            task.cancel()

    def on_peer_up(self, node: NodeId) -> None:
        self._away_since.pop(node, None)

    def on_peer_down(self, node: NodeId) -> None:
        self._away_since[node] = asyncio.get_running_loop().time()

    def _look(self) -> None:
        loop, session = asyncio.get_running_loop(), self._session_timeout_ms() / 1000
        self._timer = loop.call_later(session / LOOKS_PER_SESSION, self._look)
        image, live = self._metadata.image, self._peers.live()
        for node, broker in image.brokers.items():
            if node in live or node in image.fenced:
                self._away_since.pop(node, None)
                continue
            since = self._away_since.setdefault(node, loop.time())
            is_lost = loop.time() - since >= session
            if is_lost and self._metadata.is_controller and node not in self._fencing:
                self._fence(broker)

    def _fence(self, broker: BrokerRegistered) -> None:
        task = asyncio.get_running_loop().create_task(self._submit(broker), name="fence-broker")
        self._fencing[broker.node] = task
        task.add_done_callback(lambda _: self._fencing.pop(broker.node, None))

    async def _submit(self, broker: BrokerRegistered) -> None:
        try:
            delta = await self._metadata.submit(FenceBroker(node=broker.node, epoch=broker.epoch))
        except KafkaError as error:
            # The next look tries again, if it is still so.
            _log.warning(
                "could not fence broker; the next check tries again",
                extra={"broker": broker.node, "error": str(error)},
            )
            return
        if delta.brokers_fenced:
            _log.warning("broker fenced: its session expired", extra={"broker": broker.node})
