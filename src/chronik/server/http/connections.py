"""HTTP connections, limited in number and time so that a monitor always finds a place.

A request must arrive within `REQUEST_SECONDS`, its answer be read within `ANSWER_SECONDS`, and one connection
too many costs the one that has been without a request longest: clients that only hold connections open lose
them to those that send requests.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from chronik.server.closing import (
    HTTP_DEAF,
    HTTP_GARBAGE,
    HTTP_TOO_MANY,
    HTTP_UNENDING,
    WINDOW_SECONDS,
    ClosingLog,
    Reason,
)

_log = logging.getLogger(__name__)

# A monitoring system, a load balancer and a person, each with some connections.
CONNECTIONS_MAX = 64

# From a connection's beginning, or the first byte after an answer, to the end of the request's head. One is a
# few hundred bytes, which come at once or not at all.
REQUEST_SECONDS = 10.0
# From there to the end of the answer. Metrics of 10,000 partitions are some megabytes, written in a second.
ANSWER_SECONDS = 60.0
# A busy connection gives way only after this time, and only when no other does.
_BUSY_SECONDS = 10.0


class HttpConnections:
    """All open connections. Owned by the server, which gives each its protocol."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time
        # A dict for its order: the longest idle first.
        self._open: dict[HttpConnection, None] = {}
        self._closings = ClosingLog(_log, loop.time)
        self._teller: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> "Iterator[HttpConnection]":
        return iter(list(self._open))

    def add(self, connection: "HttpConnection") -> None:
        """Adds one; above the limit another one, or itself, is closed."""
        if len(self._open) >= CONNECTIONS_MAX:
            self._give_way(connection)
        if not connection.is_aborted:
            self._open[connection] = None

    def remove(self, connection: "HttpConnection") -> None:
        self._open.pop(connection, None)

    def on_answered(self, connection: "HttpConnection") -> None:
        """It has been without a request for the shortest time of all."""
        if connection in self._open:
            del self._open[connection]
            self._open[connection] = None

    def note(self, reason: Reason, connection: "HttpConnection") -> None:
        """See `ClosingLog.note`."""
        self._closings.note(reason, connection.peer)
        if self._teller is None:
            self._teller = asyncio.get_running_loop().call_later(WINDOW_SECONDS, self._tell)

    def close(self) -> None:
        """The server ends, and closes open connections itself."""
        if self._teller is not None:
            self._teller.cancel()

    def _tell(self) -> None:
        self._teller = None
        self._closings.tell()

    def _give_way(self, newest: "HttpConnection") -> None:
        idle = next((one for one in self._open if not one.is_busy), None)
        if idle is None:
            old = (one for one in self._open if self._now() - one.busy_since > _BUSY_SECONDS)
            idle = next(old, newest)
        idle.abort(HTTP_TOO_MANY)


class HttpConnection(H11Protocol):
    """uvicorn's protocol with deadlines."""

    def __init__(self, connections: HttpConnections, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._all = connections
        self._deadline: asyncio.TimerHandle | None = None
        self.is_aborted = False
        # When its request had come; meaningless without one.
        self.busy_since = 0.0

    @property
    def is_busy(self) -> bool:
        """True if it is owed an answer, or the rest of one."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def peer(self) -> str:
        return "" if self.client is None else f"{self.client[0]}:{self.client[1]}"

    def abort(self, reason: Reason) -> None:
        """Closes at once, whatever is in progress."""
        if not self.is_aborted:
            self.is_aborted = True
            self._all.note(reason, self)
            self._all.remove(self)
            self._set_deadline(None)
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transports inherit from asyncio's: uvloop's do not.
        super().connection_made(transport)  # type: ignore[arg-type]
        self._all.add(self)
        if not self.is_aborted:
            self._set_deadline(HTTP_UNENDING)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        self._all.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_aborted:
            return
        was_busy = self.is_busy
        if not was_busy and self._deadline is None:
            self._set_deadline(HTTP_UNENDING)
        super().data_received(data)
        if self.is_busy and not was_busy:
            self.busy_since = self.loop.time()
            self._set_deadline(HTTP_DEAF)

    def on_response_complete(self) -> None:
        # It is written; until the client has read it, the transport holds it.
        self._set_deadline(HTTP_DEAF if self.transport.get_write_buffer_size() else None)
        self._all.on_answered(self)
        super().on_response_complete()

    def resume_writing(self) -> None:
        if not self.is_busy:
            self._set_deadline(None)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._all.note(HTTP_GARBAGE, self)
        super().send_400_response(msg)

    def _set_deadline(self, reason: Reason | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if reason is not None:
            seconds = ANSWER_SECONDS if reason is HTTP_DEAF else REQUEST_SECONDS
            self._deadline = self.loop.call_later(seconds, self.abort, reason)
