"""One client connection: frames in, responses out in the order of their requests.

Created by the listener's accept, called by the event loop, gone when the socket is. It works as Kafka's muted
channel does: a request starts when all before it are answered. Only Produce requests overlap, because their
answers wait for a sync or a majority and their appends happen in order anyway. The memory that a client can
make the node hold is bounded here: one unanswered request other than Produce, `PRODUCE_IN_FLIGHT_MAX` produce
requests, one incomplete frame, and responses only as fast as it reads them.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from chronik.broker.context import NoAnswer, UnservedRequest
from chronik.broker.large_requests import LargeReply
from chronik.broker.memory import NodeMemory
from chronik.broker.session import Session
from chronik.server.closing import BAD_FRAME, BY_CLIENT, FAILED_UNANSWERED, NOT_A_REQUEST, UNSERVED, Reason
from chronik.server.read_turns import READ_SECONDS_MAX, ReadTurns
from chronik.wire.framing import BadFrame, FrameReader

Parts = list[bytes | memoryview]
Reply = Parts | None | asyncio.Future[Parts | None]

# Kafka's producers keep 5 in flight, librdkafka up to 1,000,000; further ones wait in the socket.
PRODUCE_IN_FLIGHT_MAX = 256

# The receive buffer of all connections of the loop: whole frames are handled before the next read, so that an
# idle connection owns no buffer. 256 KiB takes what a loopback socket usually has at once.
_RECEIVE_BYTES = 256 * 1024

# Below this, unsent responses wait in the transport without slowing the connection down.
_UNSENT_BYTES_MAX = 256 * 1024

# A frame that has begun must end within this time, plus the time that its bytes take at the slowest useful
# rate; else its memory is held by a client that is gone or hostile.
FRAME_SECONDS_MAX = 30.0
_FRAME_BYTES_PER_SECOND_MIN = 8 * 1024


class Requests(Protocol):
    """Answers requests. Raises ValueError for a frame that is no request: the connection is closed.

    A frame that fits the receive buffer is valid until `dispatch` returns, a larger one for as long as it is
    referenced.
    """

    def dispatch(self, frame: memoryview, session: Session) -> Reply: ...


class ConnectionLog(Protocol):
    """Receives the events of a connection's life."""

    def on_open(self, connection: "Connection") -> None: ...

    def on_close(self, connection: "Connection", reason: Reason, detail: str) -> None:
        """`detail` has the problem, where the reason does not."""
        ...

    def on_received_too_much(self) -> None:
        """All connections together hold more bytes of incomplete requests than they may."""
        ...


class Answer:
    """A place in the order of responses."""

    __slots__ = ("future", "is_done", "parts")

    def __init__(self) -> None:
        self.is_done = False
        self.parts: Parts | None = None
        # Where the answer comes from, unless it was there at once.
        self.future: asyncio.Future[Parts | None] | None = None


def make_receive_buffer() -> memoryview:
    """The buffer that all connections of one event loop share."""
    return memoryview(bytearray(_RECEIVE_BYTES))


class Connection(asyncio.BufferedProtocol):
    """See the module. Its attributes are read by the listener and by the sweep of idle connections."""

    def __init__(
        self,
        *,
        connection_id: int,
        listener: str,
        requests: Requests,
        log: ConnectionLog,
        memory: NodeMemory,
        receive_buffer: memoryview,
        turns: ReadTurns,
        frame_bytes_max: int,
        now: Callable[[], float],
    ) -> None:
        self.session = Session(connection_id=connection_id, listener=listener)
        self.last_active = now()
        # When the frame in progress began; None between frames.
        self.frame_started: float | None = None
        self._requests = requests
        self._log = log
        self._memory = memory
        self._shared = receive_buffer
        self._turns = turns
        self._reader = FrameReader(frame_bytes_max)
        self._now = now
        self._transport: asyncio.Transport | None = None
        self._answers: deque[Answer] = deque()
        # Invariant: true exactly while the last of `_answers` belongs to a request other than Produce, or to
        # one that is appended over many turns of the loop.
        self._is_muted = False
        # Runs while the client has used more than its share (KIP-219).
        self._throttle: asyncio.TimerHandle | None = None
        self._is_writable = True
        self._is_reading = True
        # Read when the turn's time was used up; not None until `resume`, and nothing else is read before
        # that.
        self._late: bytes | None = None
        self._is_closing = False
        self._is_finishing = False
        self._lent = False
        self._accounted_bytes = 0
        self._unsent_bytes = 0
        self._reason, self._detail = BY_CLIENT, ""

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=_UNSENT_BYTES_MAX)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.session.client_host, self.session.client_port = str(peer[0]), int(peer[1])
        self._log.on_open(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._turns.is_spent:
            return self._turns.late_buffer
        space = self._reader.space()
        self._lent = space is None
        return self._shared if space is None else space

    def buffer_updated(self, nbytes: int) -> None:
        if self._turns.is_spent:
            self._read_late(nbytes)
            return
        if self._lent:
            self._reader.lend(self._shared[:nbytes])
        else:
            self._reader.received(nbytes)
        self._pump()
        if self.last_active - self._turns.began >= READ_SECONDS_MAX:
            self._turns.note(self.last_active)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        for answer in self._answers:
            if answer.future is not None:
                answer.future.cancel()
        self._answers.clear()
        if self._throttle is not None:
            self._throttle.cancel()
        self._forget_bytes()
        self._log.on_close(self, self._reason, self._detail if exc is None else str(exc))

    def pause_writing(self) -> None:
        assert self._transport is not None
        self._is_writable = False
        self._count_unsent(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._count_unsent(0)
        self._is_writable = True
        self._send()
        self._pump()

    # The server's side.

    @property
    def is_idle(self) -> bool:
        """True if no request is partly received or unanswered: only the client's reading is outstanding."""
        if self._is_closing:
            return True
        return self.frame_started is None and all(answer.is_done for answer in self._answers)

    @property
    def is_closing(self) -> bool:
        """True if closed, except for sending the remaining data."""
        return self._is_closing

    @property
    def unsent_bytes(self) -> int:
        """Responses that the client has not read, when they were last counted."""
        return self._unsent_bytes

    def look_at_unsent(self) -> None:
        """A client that reads sent data is not idle, however slowly it does. Called by the sweep."""
        if self._transport is None:
            return
        unsent_bytes = self._transport.get_write_buffer_size()
        if unsent_bytes != self._unsent_bytes:
            self._count_unsent(unsent_bytes)
            self.last_active = self._now()

    def is_late(self, now: float) -> bool:
        """True if the frame in progress should have ended long ago."""
        if self.frame_started is None:
            return False
        seconds_max = FRAME_SECONDS_MAX + self._accounted_bytes / _FRAME_BYTES_PER_SECOND_MIN
        return now - self.frame_started > seconds_max

    def finish(self, reason: Reason) -> None:
        """Start no further request; close once the open ones are answered."""
        self._is_finishing = True
        self._reason = reason
        if not self._answers:
            self.close(reason)

    def close(self, reason: Reason, detail: str = "") -> None:
        """Closes after written data is sent; unanswered requests remain so."""
        if not self._is_closing and self._transport is not None:
            self._is_closing = True
            self._reason, self._detail = reason, detail
            self._transport.close()

    def abort(self, reason: Reason) -> None:
        """Closes at once, dropping the data that the client has not read."""
        if not self._is_closing:
            # Else the first reason is the one.
            self._reason = reason
        self._is_closing = True
        # Release the accounting now: the caller aborts connections until memory is below the limit. The loop
        # reports the end later.
        self._reader.drop()
        self._forget_bytes()
        if self._transport is not None:
            self._transport.abort()

    # Requests in.

    def stop(self) -> None:
        """Read nothing until `resume`: others have used up this turn's time. Called by `ReadTurns`."""
        if self._is_reading and self._late is None and not self._is_closing:
            self._late = b""
            self._read_more(False)
            self._turns.queue(self)

    def _read_late(self, count: int) -> None:
        self._late = b""
        self._read_more(False)
        self._late = self._turns.read_late(self, count)
        self.last_active = self._now()

    def resume(self) -> None:
        """Continues where it stopped, with the data read late. Called by `ReadTurns`."""
        late, self._late = self._late, None
        if late is None or self._is_closing:
            return
        if late:
            self._reader.append(late)
        if self._reader.is_inside_frame:
            self._pump()
        else:
            self._read_more(True)

    def _pump(self) -> None:
        """Starts all requests that may start, then waits for bytes, an answer, or the client to read."""
        if self._late is not None:
            return
        self.last_active = self._now()
        try:
            is_blocked = self._start_requests()
        except BadFrame as error:
            self.close(BAD_FRAME, str(error))
            return
        if self._is_closing:
            return
        if not self._answers or self._answers[0].is_done:
            self._send()
        self._reader.keep()
        is_inside_frame = self._reader.is_inside_frame
        # A frame that waits for us is not the client's delay.
        is_client_late = is_inside_frame and not is_blocked
        self.frame_started = (self.frame_started or self.last_active) if is_client_late else None
        self._read_more(not is_blocked or not is_inside_frame)
        self._count_received(self._reader.buffered_bytes)

    def _start_requests(self) -> bool:
        """Dispatch frames until there is none or one has to wait; whether one has to."""
        reader = self._reader
        while not self._is_closing:
            if (
                self._is_muted
                or self._throttle is not None
                or self._is_finishing
                or not self._is_writable
                or len(self._answers) >= PRODUCE_IN_FLIGHT_MAX
            ):
                return True
            frame = reader.next_frame()
            if frame is None:
                return False
            is_produce = frame[0] == 0 and frame[1] == 0
            if not is_produce and self._answers:
                reader.unread(frame)
                return True
            self.frame_started = None
            self._start(frame, is_produce)
        return True

    def _start(self, frame: memoryview, is_produce: bool) -> None:
        try:
            reply = self._requests.dispatch(frame, self.session)
        except ValueError as error:
            self._close_for(error)
            return
        answer = Answer()
        self._answers.append(answer)
        if isinstance(reply, asyncio.Future):
            answer.future = reply
            self._is_muted = not is_produce or isinstance(reply, LargeReply)
            reply.add_done_callback(lambda future: self._on_reply(answer, future))
        else:
            answer.parts = reply
            answer.is_done = True
            self._send()

    def _on_reply(self, answer: Answer, future: asyncio.Future[Parts | None]) -> None:
        if self._is_closing:
            return
        error = future.exception()
        if error is not None:
            self._close_for(error)
            return
        answer.parts = future.result()
        answer.is_done = True
        self._send()
        if self._reader.is_inside_frame or not self._is_reading:
            self._pump()

    def _close_for(self, error: BaseException) -> None:
        """A request that has no answer."""
        if isinstance(error, NoAnswer):
            reason = FAILED_UNANSWERED
        else:
            reason = UNSERVED if isinstance(error, UnservedRequest) else NOT_A_REQUEST
        self.close(reason, str(error))

    # Responses out.

    def _send(self) -> None:
        answers = self._answers
        transport = self._transport
        while answers and answers[0].is_done and self._is_writable and not self._is_closing:
            parts = answers.popleft().parts
            if transport is None or parts is None:
                continue
            if len(parts) == 1:
                transport.write(parts[0])
            else:
                transport.writelines(parts)
        if self.session.is_throttled:
            self._wait_throttled()
        if not answers:
            self._is_muted = False
            if self._is_finishing:
                self.close(self._reason)

    def _wait_throttled(self) -> None:
        """Starts no further request for the delay in the answer just sent."""
        seconds = self.session.take_throttle_ms() / 1000
        if self._is_closing:
            return
        if self._throttle is not None:
            self._throttle.cancel()
        self._throttle = asyncio.get_running_loop().call_later(seconds, self._on_unthrottled)

    def _on_unthrottled(self) -> None:
        self._throttle = None
        self._pump()

    def _read_more(self, wanted: bool) -> None:
        if wanted is self._is_reading or self._transport is None:
            return
        self._is_reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # Memory it holds.

    def _count_received(self, buffered_bytes: int) -> None:
        growth = buffered_bytes - self._accounted_bytes
        self._accounted_bytes = buffered_bytes
        self._memory.received_bytes += growth
        if growth > 0 and self._memory.is_receiving_too_much:
            self._log.on_received_too_much()

    def _count_unsent(self, unsent_bytes: int) -> None:
        self._memory.unsent_bytes += unsent_bytes - self._unsent_bytes
        self._unsent_bytes = unsent_bytes

    def _forget_bytes(self) -> None:
        self._memory.received_bytes -= self._accounted_bytes
        self._accounted_bytes = 0
        self._count_unsent(0)
