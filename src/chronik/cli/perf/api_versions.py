"""The first request of any client, without a client: the APIs that this broker serves."""

import socket
import struct

_API_VERSIONS_KEY = 18

# Version 0 without a client id: every broker answers it, and its body never changed.
_REQUEST = struct.pack(">ihhih", 10, _API_VERSIONS_KEY, 0, 1, -1)

CREATE_TOPICS_KEY = 19
DELETE_TOPICS_KEY = 20


def supported_apis(address: tuple[str, int], timeout_s: float) -> frozenset[int]:
    """The keys of the APIs served there. Raises OSError, also when the broker hangs up before answering."""
    with socket.create_connection(address, timeout=timeout_s) as connection:
        connection.sendall(_REQUEST)
        (size,) = struct.unpack(">i", _receive(connection, 4))
        body = _receive(connection, size)
    correlation_id_and_error = 6
    (count,) = struct.unpack_from(">i", body, correlation_id_and_error)
    first = correlation_id_and_error + 4
    return frozenset(key for key, _, _ in struct.iter_unpack(">hhh", body[first : first + 6 * count]))


def first_address(bootstrap_servers: str) -> tuple[str, int]:
    """Host and port of the first of `host:port,host:port`; an IPv6 host stands in brackets."""
    host, _, port = bootstrap_servers.split(",")[0].strip().rpartition(":")
    return host.strip("[]"), int(port)


def _receive(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        chunk = connection.recv(count - len(received))
        if not chunk:
            raise ConnectionResetError("the broker hung up before it had answered")
        received += chunk
    return received
