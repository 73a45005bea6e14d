"""Accepts clients on every listener and monitors their connections.

Created by the node. Sockets are bound first, so that their ports are known when the node registers itself,
and accept only once everything else is ready.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from chronik.broker.memory import NodeMemory
from chronik.server.binding import listen
from chronik.server.closing import DEAF, IDLE, STOPPING, TOO_MANY, UNENDING, ClosingLog, Reason
from chronik.server.connection import Connection, Requests, make_receive_buffer
from chronik.server.read_turns import ReadTurns

_log = logging.getLogger(__name__)

# The kernel's queue of connections not yet accepted; a thousand clients may come at once after a restart.
_BACKLOG = 1024

# Interval of the search for idle and stalled connections. Their limits are seconds, so it is not noticed.
_SWEEP_SECONDS = 1.0

# A connection that is closed has this long to take the remaining data.
_CLOSING_SECONDS_MAX = 30.0

# When response memory is exhausted, connections that have read nothing for this long are aborted.
_STALLED_SECONDS = 10.0


class ConnectionLimits(NamedTuple):
    """Bounds on clients; Kafka's names are next to the fields."""

    connections_max: int  # max.connections, and no more than there are file descriptors
    connections_per_ip_max: int  # max.connections.per.ip
    idle_seconds_max: float  # connections.max.idle.ms
    frame_bytes_max: int  # socket.request.max.bytes


@dataclass(slots=True)
class ConnectionStatistics:
    """Totals since start, and how many are open now."""

    open: int = 0
    accepted: int = 0
    refused: int = 0
    closed_idle: int = 0


class Listeners:
    """All listeners of a node and all connections they accepted."""

    def __init__(self, requests: Requests, memory: NodeMemory, limits: ConnectionLimits) -> None:
        self._requests = requests
        self._memory = memory
        self._limits = limits
        self._receive_buffer = make_receive_buffer()
        self._servers: list[asyncio.Server] = []
        # A dict for its order: the oldest first.
        self._connections: dict[Connection, None] = {}
        self._turns = ReadTurns(lambda: asyncio.get_running_loop().time(), self._connections)
        self._per_host: dict[str, int] = {}
        self._next_id = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_finishing = False
        # Connections with an incomplete frame and when it began, the oldest last; some have ended since.
        self._incomplete: list[tuple[float, Connection]] = []
        # A flood of clients must not become one of lines.
        self._closings = ClosingLog(_log, lambda: asyncio.get_running_loop().time())
        # Set while a caller waits for the end of all connections.
        self._all_closed: asyncio.Event | None = None
        self.statistics = ConnectionStatistics()
        # Open now, by listener; listeners without connections included.
        self.open_by_listener: dict[str, int] = {}

    async def serve(self, sockets: Sequence[tuple[str, socket.socket]]) -> None:
        """Start accepting on bound sockets, each with its listener's name.

        Raises OSError, and then accepts on none, when another process listens at one of the addresses.
        """
        loop = asyncio.get_running_loop()
        for _, bound in sockets:
            listen(bound, _BACKLOG)
        for name, bound in sockets:
            self.open_by_listener.setdefault(name, 0)
            server = await loop.create_server(
                partial(self.make_connection, name), sock=bound, backlog=_BACKLOG
            )
            self._servers.append(server)
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def finish(self) -> None:
        """Accepts no more connections and starts no further request; connections close as open requests
        are answered.
        """
        self._is_finishing = True
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._connections):
            connection.finish(STOPPING)

    async def wait_closed(self, seconds_max: float) -> None:
        """Wait until no connection is left, but no longer than that."""
        if self._connections:
            self._all_closed = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_closed.wait(), seconds_max)

    def abort(self) -> None:
        """Closes the remaining connections at once."""
        for connection in list(self._connections):
            connection.abort(STOPPING)

    def set_limits(self, limits: ConnectionLimits) -> None:
        """Bounds from now on. Connections that are open stay, as Kafka's do."""
        self._limits = limits

    # Connections' side.

    def on_open(self, connection: Connection) -> None:
        host, listener = connection.session.client_host, connection.session.listener
        self._connections[connection] = None
        self._per_host[host] = self._per_host.get(host, 0) + 1
        self.statistics.accepted += 1
        self.statistics.open += 1
        self.open_by_listener[listener] = self.open_by_listener.get(listener, 0) + 1
        if self._is_finishing:
            connection.abort(STOPPING)
            return
        is_too_many = len(self._connections) > self._limits.connections_max
        if is_too_many or self._per_host[host] > self._limits.connections_per_ip_max:
            self.statistics.refused += 1
            connection.abort(TOO_MANY)

    def on_close(self, connection: Connection, reason: Reason, detail: str) -> None:
        if connection not in self._connections:
            return
        del self._connections[connection]
        if not self._connections and self._all_closed is not None:
            self._all_closed.set()
        self.statistics.open -= 1
        host, listener = connection.session.client_host, connection.session.listener
        self.open_by_listener[listener] -= 1
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]
        details = {"listener": listener, **({"reason": detail} if detail else {})}
        if reason is TOO_MANY:
            details["open"] = str(len(self._connections))
        self._closings.note(reason, f"{host}:{connection.session.client_port}", **details)

    def make_connection(self, listener: str) -> Connection:
        self._next_id += 1
        return Connection(
            connection_id=self._next_id,
            listener=listener,
            requests=self._requests,
            log=self,
            memory=self._memory,
            receive_buffer=self._receive_buffer,
            turns=self._turns,
            frame_bytes_max=self._limits.frame_bytes_max,
            now=asyncio.get_running_loop().time,
        )

    # Watching.

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)
        now = loop.time()
        for connection in list(self._connections):
            self._look_at(connection, now)
        if not self._memory.response_bytes_left:
            self._free_unsent_bytes(now)
        self._closings.tell(open=len(self._connections))

    def _look_at(self, connection: Connection, now: float) -> None:
        if connection.is_late(now):
            connection.abort(UNENDING)
            return
        connection.look_at_unsent()
        idle_seconds = now - connection.last_active
        if connection.is_closing and idle_seconds > _CLOSING_SECONDS_MAX:
            connection.abort(DEAF)
        elif connection.is_idle and idle_seconds > self._limits.idle_seconds_max:
            self.statistics.closed_idle += 1
            # Not `close`, which would wait forever for a client that does not read.
            connection.abort(IDLE)

    def on_received_too_much(self) -> None:
        """Closes the connections whose frame has been incomplete longest, until the node is within its
        limit.
        """
        while self._memory.is_receiving_too_much:
            connection = self._longest_incomplete()
            if connection is None:
                return
            connection.abort(UNENDING)

    def _longest_incomplete(self) -> Connection | None:
        """Sorts once for very many: frames that begin later are behind all that were sorted."""
        for may_sort in (True, False):
            while self._incomplete:
                started, connection = self._incomplete.pop()
                if connection.frame_started == started and not connection.is_closing:
                    return connection
            if may_sort:
                self._incomplete = [
                    (connection.frame_started, connection)
                    for connection in self._connections
                    if connection.frame_started is not None and not connection.is_closing
                ]
                self._incomplete.sort(key=lambda one: -one[0])
        return None

    def _free_unsent_bytes(self, now: float) -> None:
        """Closes the connections that have read nothing for longest: the fetches of all others wait for
        their memory.
        """
        stalled = [
            connection
            for connection in self._connections
            if connection.unsent_bytes and now - connection.last_active > _STALLED_SECONDS
        ]
        stalled.sort(key=lambda connection: connection.last_active)
        for connection in stalled:
            if self._memory.response_bytes_left:
                break
            connection.abort(DEAF)
