"""The other nodes as the rooms above consensus see them: who is there, and a question with an answer."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId

# The sender, and the request's bytes; the answer's bytes. A KafkaError it raises reaches the caller as such.
CallHandler = Callable[[NodeId, bytes], Awaitable[bytes]]


class NotAsked(KafkaError):
    """A call that did not leave this node: it was surely not carried out."""


class Peers(Protocol):
    """One per node, for the node's life."""

    @property
    def node(self) -> NodeId:
        """This node."""
        ...

    def live(self) -> frozenset[NodeId]:
        """Returns this node and all it is connected to. For registered nodes see `ClusterImage.brokers`."""
        ...

    async def call(self, node: NodeId, method: str, request: bytes, deadline: float) -> bytes:
        """Calls `node`, which may be this one, and waits for its answer until `deadline` on the loop's clock.

        Raises the KafkaError that the handler raised. If no handler was called: NotAsked, with
        NETWORK_EXCEPTION when the node is not connected, UNSUPPORTED_VERSION when it does not know the
        method, because its release is another, THROTTLING_QUOTA_EXCEEDED when it has too many calls to
        answer. If the call may have been carried out: NETWORK_EXCEPTION when the node is lost before it
        answers, REQUEST_TIMED_OUT.
        """
        ...

    def serve(self, method: str, handler: CallHandler) -> None:
        """Answer calls of this name from now on."""
        ...


class NoPeers:
    """`Peers` of a node that is its cluster."""

    def __init__(self, node: NodeId) -> None:
        self._node = node
        self._handlers: dict[str, CallHandler] = {}

    @property
    def node(self) -> NodeId:
        return self._node

    def live(self) -> frozenset[NodeId]:
        return frozenset({self._node})

    async def call(self, node: NodeId, method: str, request: bytes, deadline: float) -> bytes:
        if node != self._node:
            raise NotAsked(ErrorCode.NETWORK_EXCEPTION, f"node {node} is not connected")
        return await self._handlers[method](node, request)

    def serve(self, method: str, handler: CallHandler) -> None:
        self._handlers[method] = handler
