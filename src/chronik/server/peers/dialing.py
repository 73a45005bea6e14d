"""Keeps trying to reach one peer while it is not connected."""

import asyncio
from collections.abc import Callable

from chronik.node.peer_timings import PeerTimings
from chronik.server.peers.connection import PeerConnection
from chronik.server.peers.network import Network
from chronik.server.peers.reports import Reports
from chronik.vocab.address import host_and_port
from chronik.vocab.ids import NodeId
from chronik.vocab.seams import Randomness

# A refusal lasts until an operator corrects it, so the other node's port need not be busy with it.
_REFUSED_FACTOR = 10


class Dialer:
    """One per peer with a lower node id, from the transport's start to its end."""

    def __init__(
        self,
        node: NodeId,
        address: tuple[str, int],
        *,
        make: Callable[[], PeerConnection],
        network: Network,
        timings: PeerTimings,
        random: Randomness,
        reports: Reports,
    ) -> None:
        self._node = node
        self._host, self._port = address
        self._make = make
        self._network = network
        self._timings = timings
        self._random = random
        self._reports = reports

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            factor = await self._attempt()
            # Not all nodes at one time.
            jitter = 0.75 + 0.5 * self._random.random()
            await asyncio.sleep(self._timings.redial_ms / 1000 * factor * jitter)

    async def _attempt(self) -> int:
        """Connect, and wait for the connection's end. How much longer than usual to wait before the next."""
        links: list[PeerConnection] = []

        def make() -> PeerConnection:
            links.append(self._make())
            return links[-1]

        try:
            # Each attempt resolves again, so that a recovered network is noticed at once.
            async with asyncio.timeout(self._timings.silence_ms / 1000):
                await self._network.connect(make, self._host, self._port)
        except OSError as error:
            self._unreachable(str(error) or type(error).__name__)
            return 1
        link = links[-1]
        await link.lost
        if link.hello is None and not link.is_refused:
            self._unreachable(link.close_reason)
        return _REFUSED_FACTOR if link.is_refused else 1

    def _unreachable(self, reason: str) -> None:
        self._reports.unreachable(self._node, host_and_port(self._host, self._port), reason)
