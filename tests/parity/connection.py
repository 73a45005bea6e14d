"""A client's socket: frames out, frames in, and the broker's end of the connection seen as what it is."""

import socket
import struct
from itertools import count

from tests.parity.schemas import has_flexible_request_header

CLIENT_ID = "parity"

# Well above every wait that a scenario asks a broker for.
_SECONDS_MAX = 10.0


class Closed(Exception):
    """The broker has ended the connection."""


class Connection:
    """Connected when made, until `close`. Answers come in the order of requests."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=_SECONDS_MAX)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._correlation_ids = count(1)

    def close(self) -> None:
        self._socket.close()

    def send_request(self, api_key: int, version: int, body: bytes, client_id: str | None = CLIENT_ID) -> int:
        """Send a request; returns its correlation id."""
        correlation_id = next(self._correlation_ids)
        name = b"" if client_id is None else client_id.encode()
        length = -1 if client_id is None else len(name)
        head = struct.pack(">hhih", api_key, version, correlation_id, length) + name
        if has_flexible_request_header(api_key, version):
            head += b"\0"
        self.send(struct.pack(">i", len(head) + len(body)) + head + body)
        return correlation_id

    def send(self, data: bytes) -> None:
        """Send bytes as they are. A connection that the broker has closed shows at the next `receive`."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self) -> tuple[int, bytes]:
        """The next answer: correlation id and what follows it. Raises Closed, TimeoutError."""
        (length,) = struct.unpack(">i", self._receive(4))
        (correlation_id,) = struct.unpack(">i", self._receive(4))
        return correlation_id, self._receive(length - 4)

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                chunk = self._socket.recv(min(size - len(data), 1 << 20))
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                raise Closed
            data += chunk
        return bytes(data)
