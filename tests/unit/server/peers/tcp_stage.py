"""Real transports on loopback, in one loop."""

import asyncio
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from chronik.node.peer_timings import PeerTimings
from chronik.raft.transport import PeerInfo
from chronik.server.peers.transport import PeerTransport
from chronik.vocab.ids import NodeId
from tests.unit.server.peers.recorder import Recorder

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)

# Long against what a busy machine does to a loop, so that only those tests see silence that want it.
PATIENT = PeerTimings(silence_ms=10_000, heartbeat_ms=20, redial_ms=10)


def bound_socket(port: int = 0) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


class TcpStage:
    """Nodes 1 to 3; an async context that ends them. A node that was ended may be started again."""

    def __init__(self, timings: PeerTimings = PATIENT) -> None:
        self._timings = timings
        self._sockets = {node: bound_socket() for node in (ONE, TWO, THREE)}
        self.addresses: dict[NodeId, tuple[str, int]] = {
            node: sock.getsockname() for node, sock in self._sockets.items()
        }
        self._running: list[PeerTransport] = []
        self._incarnation = 0

    async def start(
        self,
        node: NodeId,
        *,
        directory_id: str | None = None,
        extra: Callable[[], bytes] = bytes,
        cluster_id: str = "cluster",
        **changes: Any,
    ) -> tuple[PeerTransport, Recorder]:
        """`changes` replaces arguments of `PeerTransport`."""
        self._incarnation += 1
        arguments: dict[str, Any] = {
            "own": PeerInfo(node, directory_id or f"directory-{node}", self._incarnation),
            "others": {other: address for other, address in self.addresses.items() if other != node},
            "timings": self._timings,
            **changes,
        }
        if "address" not in arguments:
            arguments["address"] = self._sockets.pop(node, None) or bound_socket(self.addresses[node][1])
        transport = PeerTransport(cluster_id=cluster_id, extra=extra, **arguments)
        recorder = Recorder()
        await transport.start(recorder)
        self._running.append(transport)
        return transport, recorder

    async def end(self, transport: PeerTransport) -> None:
        self._running.remove(transport)
        await transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(transport.close() for transport in self._running))
        for sock in self._sockets.values():
            sock.close()
