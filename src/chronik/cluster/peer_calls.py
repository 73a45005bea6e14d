"""Questions to other nodes and their answers, over the connections between nodes.

A call is lost with its connection: its handler may have run, and its answer is not sent over a later one,
where the same number may mean another call.
"""

import asyncio
import logging
import struct
from typing import NamedTuple

from chronik.cluster.peers import CallHandler, NotAsked
from chronik.raft.transport import Buffer, FrameKind, MalformedFrame, Transport
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId

_log = logging.getLogger(__name__)

# Unanswered calls to one peer. Metadata commands and registrations are few and small; this many at once mean
# that the peer does not answer, and more would only wait longer.
CALLS_OUT_MAX = 1024

# Of one peer, being answered. As above; a peer of this release never has more.
CALLS_IN_MAX = 1024

# A client that reaches the port may call any name.
_UNKNOWN_LOGGED_MAX = 100

# Call id, bytes of the method's name; the name and the request follow.
_CALL = struct.Struct(">QB")
# Call id, error code, whether there is a message; the answer or the message follows.
_ANSWER = struct.Struct(">Qh?")


class _Waiting(NamedTuple):
    answer: asyncio.Future[bytes]
    node: NodeId


class Call(NamedTuple):
    """The payload of a CALL frame."""

    call_id: int
    method: str
    request: bytes


def encode_call(call: Call) -> list[Buffer]:
    """The buffers of its frame."""
    name = call.method.encode()
    return [_CALL.pack(call.call_id, len(name)) + name, call.request]


def decode_call(payload: memoryview) -> Call:
    """Raises MalformedFrame."""
    try:
        call_id, name_size = _CALL.unpack_from(payload)
        end = _CALL.size + name_size
        if end > len(payload):
            raise MalformedFrame("a call's name beyond its frame")
        return Call(call_id, bytes(payload[_CALL.size : end]).decode(), bytes(payload[end:]))
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedFrame("a broken call") from error


def encode_answer(call_id: int, answer: bytes | KafkaError) -> list[Buffer]:
    """The buffers of an ANSWER frame."""
    if not isinstance(answer, KafkaError):
        return [_ANSWER.pack(call_id, ErrorCode.NONE, False), answer]
    head = _ANSWER.pack(call_id, answer.code, answer.message is not None)
    return [head, (answer.message or "").encode()]


def decode_answer(payload: memoryview) -> tuple[int, bytes | KafkaError]:
    """Returns the call's id, and the answer or the handler's error. Raises MalformedFrame."""
    try:
        call_id, code, has_message = _ANSWER.unpack_from(payload)
        content = bytes(payload[_ANSWER.size :])
        if code == ErrorCode.NONE:
            return call_id, content
        return call_id, _error(code, content.decode() if has_message else None)
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedFrame("a broken answer") from error


class PeerCalls:
    """`cluster.peers.Peers` over a transport. The node's router gives it what concerns it."""

    def __init__(self, node: NodeId, transport: Transport) -> None:
        self._node = node
        self._transport = transport
        self._handlers: dict[str, CallHandler] = {}
        self._next_id = 0
        self._waiting: dict[int, _Waiting] = {}
        self._out: dict[NodeId, int] = {}
        # Kept here because the loop keeps tasks only weakly. Those of a connection are forgotten with it; the
        # handlers run on, and count against the peer until they end.
        self._tasks: set[asyncio.Task[None]] = set()
        self._in: dict[NodeId, int] = {}
        # How often a peer was lost: an answer belongs to one connection.
        self._losses: dict[NodeId, int] = {}
        # Logged already.
        self._unknown: set[tuple[NodeId, str]] = set()

    @property
    def node(self) -> NodeId:
        return self._node

    def live(self) -> frozenset[NodeId]:
        return frozenset({self._node, *(peer.node for peer in self._transport.peers())})

    def serve(self, method: str, handler: CallHandler) -> None:
        self._handlers[method] = handler

    async def call(self, node: NodeId, method: str, request: bytes, deadline: float) -> bytes:
        """See `Peers.call`. Beyond `CALLS_OUT_MAX` calls to one peer at once: NETWORK_EXCEPTION, unsent."""
        try:
            async with asyncio.timeout_at(deadline):
                if node == self._node:
                    return await self._carry_out(node, method, request)
                return await self._ask(node, method, request)
        except TimeoutError as error:
            raise KafkaError(
                ErrorCode.REQUEST_TIMED_OUT, f"node {node} did not answer {method} in time"
            ) from error

    def close(self) -> None:
        """The node ends: handlers are cancelled, and calls fail as if their node were lost."""
        for task in self._tasks:
            task.cancel()
        for node in {waiting.node for waiting in self._waiting.values()}:
            self.on_peer_down(node)

    # The router's side.

    def on_peer_down(self, node: NodeId) -> None:
        """Its calls fail."""
        self._losses[node] = self._losses.get(node, 0) + 1
        for waiting in self._waiting.values():
            if waiting.node == node and not waiting.answer.done():
                # Each its own: a traceback grows where an exception is raised.
                waiting.answer.set_exception(
                    KafkaError(ErrorCode.NETWORK_EXCEPTION, f"node {node} was lost before it answered")
                )

    def on_frame(self, node: NodeId, kind: FrameKind, payload: memoryview) -> None:
        """CALL and ANSWER. Raises MalformedFrame."""
        if kind is FrameKind.CALL:
            self._on_call(node, decode_call(payload))
        else:
            self._on_answer(node, *decode_answer(payload))

    # Asking.

    async def _ask(self, node: NodeId, method: str, request: bytes) -> bytes:
        in_flight = self._out.get(node, 0)
        if in_flight >= CALLS_OUT_MAX:
            raise NotAsked(ErrorCode.NETWORK_EXCEPTION, f"{in_flight} calls wait for node {node} already")
        self._next_id = call_id = self._next_id + 1
        buffers = encode_call(Call(call_id, method, request))
        if not self._transport.send(node, FrameKind.CALL, buffers):
            raise NotAsked(ErrorCode.NETWORK_EXCEPTION, f"node {node} is not connected")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = _Waiting(answer, node)
        self._out[node] = in_flight + 1
        try:
            return await answer
        finally:
            del self._waiting[call_id]
            self._out[node] -= 1

    def _on_answer(self, node: NodeId, call_id: int, answer: bytes | KafkaError) -> None:
        waiting = self._waiting.get(call_id)
        if waiting is None or waiting.node != node or waiting.answer.done():
            # It came too late.
            return
        if isinstance(answer, KafkaError):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)

    # Answering.

    def _on_call(self, node: NodeId, call: Call) -> None:
        if self._in.get(node, 0) >= CALLS_IN_MAX:
            refusal = KafkaError(
                ErrorCode.THROTTLING_QUOTA_EXCEEDED, f"node {self._node} has too many calls to answer"
            )
            self._answer(node, call.call_id, refusal)
            return
        self._in[node] = self._in.get(node, 0) + 1
        task = asyncio.get_running_loop().create_task(self._serve_call(node, call, self._losses.get(node, 0)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_call(self, node: NodeId, call: Call, losses: int) -> None:
        try:
            answer: bytes | KafkaError = await self._carry_out(node, call.method, call.request)
        except KafkaError as error:
            answer = error
        finally:
            self._in[node] -= 1
        if losses == self._losses.get(node, 0):
            self._answer(node, call.call_id, answer)

    async def _carry_out(self, source: NodeId, method: str, request: bytes) -> bytes:
        """Raises KafkaError only, whatever the handler raises."""
        handler = self._handlers.get(method)
        if handler is None:
            self._log_unknown(source, method)
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"node {self._node} does not know {method}")
        try:
            return await handler(source, request)
        except KafkaError:
            raise
        except Exception as error:
            _log.exception("peer call failed: an unexpected error", extra={"method": method, "peer": source})
            raise KafkaError(
                ErrorCode.UNKNOWN_SERVER_ERROR, f"{method} failed on node {self._node}"
            ) from error

    def _log_unknown(self, source: NodeId, method: str) -> None:
        """Once for each peer and method: a later release may repeat the call."""
        known = (source, method)
        if known not in self._unknown and len(self._unknown) < _UNKNOWN_LOGGED_MAX:
            self._unknown.add(known)
            extra = {"method": method[:100], "peer": source}
            _log.warning("unknown peer method refused: the releases of the two nodes differ", extra=extra)

    def _answer(self, node: NodeId, call_id: int, answer: bytes | KafkaError) -> None:
        if not self._transport.send(node, FrameKind.ANSWER, encode_answer(call_id, answer)):
            # The caller notices by its deadline.
            _log.warning("peer answer dropped: the send buffer of node %d is full", node)


def _error(code: int, message: str | None) -> KafkaError:
    """Also for a code of a later release."""
    try:
        return KafkaError(ErrorCode(code), message)
    except ValueError:
        return KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, message or f"error code {code}")
