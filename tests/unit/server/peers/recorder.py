"""A transport's listener that keeps what it was told, and lets a test wait for it."""

import asyncio
from collections.abc import Callable

from chronik.raft.transport import FrameKind, PeerInfo
from chronik.vocab.ids import NodeId

# Against a test that waits forever. Nothing it waits for takes a second.
SECONDS_MAX = 20.0


class Recorder:
    """Made by a test in its loop."""

    def __init__(self) -> None:
        self.ups: list[PeerInfo] = []
        self.downs: list[NodeId] = []
        self.frames: list[tuple[NodeId, FrameKind, memoryview]] = []
        # "up 2", "frame 2", "down 2", "turn", in their order.
        self.events: list[str] = []
        # Called with each frame, and may raise.
        self.taking: Callable[[NodeId, FrameKind, memoryview], None] | None = None
        self._changed = asyncio.Event()

    def on_peer_up(self, peer: PeerInfo) -> None:
        self.ups.append(peer)
        self._note(f"up {peer.node}")

    def on_peer_down(self, node: NodeId) -> None:
        self.downs.append(node)
        self._note(f"down {node}")

    def on_peer_unheard(self, node: NodeId) -> None:
        self._note(f"unheard {node}")

    def on_peer_heard(self, node: NodeId) -> None:
        self._note(f"heard {node}")

    def on_frame(self, node: NodeId, kind: FrameKind, payload: memoryview) -> None:
        self.frames.append((node, kind, payload))
        self._note(f"frame {node}")
        if self.taking is not None:
            self.taking(node, kind, payload)

    def on_turn_end(self) -> None:
        self._note("turn")

    @property
    def connected(self) -> set[NodeId]:
        """Who is up, as it was told."""
        up: set[NodeId] = set()
        for event in self.events:
            what, _, node = event.partition(" ")
            if what == "up":
                assert NodeId(int(node)) not in up, f"{node} came up twice"
                up.add(NodeId(int(node)))
            elif what == "down":
                up.remove(NodeId(int(node)))
        return up

    @property
    def payloads(self) -> list[bytes]:
        return [bytes(payload) for _, _, payload in self.frames]

    async def until(self, condition: Callable[["Recorder"], bool]) -> None:
        """Wait until something that was told makes it true."""
        async with asyncio.timeout(SECONDS_MAX):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def until_connected(self, *nodes: int) -> None:
        await self.until(lambda told: told.connected == set(nodes))

    def _note(self, event: str) -> None:
        self.events.append(event)
        self._changed.set()
