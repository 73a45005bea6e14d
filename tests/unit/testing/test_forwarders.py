"""Links between sockets of the test itself."""

import socket
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from chronik.testing.forwarders import Forwarders

# For what must come. What must not come is not waited for: it is shown by what comes later instead.
SECONDS = 20


@pytest.fixture
def forwarders() -> Iterator[Forwarders]:
    with closing(Forwarders()) as made:
        yield made


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)
        yield listening


class Dialled:
    """A connection through a link, both ends."""

    def __init__(self, port: int, server: socket.socket) -> None:
        self.near = dial(port)
        self.far, _ = server.accept()
        self.far.settimeout(SECONDS)

    def close(self) -> None:
        self.near.close()
        self.far.close()


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SECONDS)


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def passes(connection: Dialled) -> bool:
    connection.near.sendall(b"there")
    connection.far.sendall(b"back")
    return connection.far.recv(5) == b"there" and connection.near.recv(4) == b"back"


def is_silent(end: socket.socket) -> bool:
    """Whether nothing has come, now."""
    end.setblocking(False)
    try:
        return not end.recv(1)
    except BlockingIOError:
        return True
    finally:
        end.settimeout(SECONDS)


def test_it_carries_both_ways(forwarders: Forwarders, server: socket.socket) -> None:
    with closing(Dialled(forwarders.add(2, 1, port_of(server)), server)) as connection:
        assert passes(connection)


def test_an_end_is_carried_too(forwarders: Forwarders, server: socket.socket) -> None:
    port = forwarders.add(2, 1, port_of(server))
    with closing(Dialled(port, server)) as connection:
        connection.near.sendall(b"last")
        connection.near.close()
        assert connection.far.recv(10) == b"last"
        assert connection.far.recv(1) == b""
    with closing(Dialled(port, server)) as connection:
        connection.far.close()
        assert connection.near.recv(1) == b""


def test_nobody_at_the_other_end(forwarders: Forwarders) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = forwarders.add(2, 1, port_of(gone))
    with dial(port) as near, suppress(ConnectionResetError):
        assert near.recv(1) == b""


@pytest.mark.parametrize("isolated", [1, 2])
def test_isolation_stops_everything_and_closes_nothing(
    forwarders: Forwarders, server: socket.socket, isolated: int
) -> None:
    blocked = Dialled(forwarders.add(2, 1, port_of(server)), server)
    other = Dialled(forwarders.add(3, 4, port_of(server)), server)
    with closing(blocked), closing(other):
        assert passes(blocked)
        forwarders.isolate(isolated)
        blocked.near.sendall(b"there")
        blocked.far.sendall(b"back")
        # The same thread serves all links: what this one was given later has come.
        assert passes(other)
        assert is_silent(blocked.near)
        assert is_silent(blocked.far)
        forwarders.heal(isolated)
        assert blocked.far.recv(5) == b"there"
        assert blocked.near.recv(4) == b"back"
        assert passes(blocked)


def test_an_end_behind_an_isolation_is_seen_when_it_is_over(
    forwarders: Forwarders, server: socket.socket
) -> None:
    blocked = Dialled(forwarders.add(2, 1, port_of(server)), server)
    other = Dialled(forwarders.add(3, 4, port_of(server)), server)
    with closing(blocked), closing(other):
        forwarders.isolate(1)
        blocked.near.close()
        assert passes(other)
        assert is_silent(blocked.far)
        forwarders.heal(1)
        assert blocked.far.recv(1) == b""


def test_two_isolations_end_when_both_do(forwarders: Forwarders, server: socket.socket) -> None:
    blocked = Dialled(forwarders.add(2, 1, port_of(server)), server)
    other = Dialled(forwarders.add(3, 4, port_of(server)), server)
    with closing(blocked), closing(other):
        forwarders.isolate(1)
        forwarders.isolate(2)
        blocked.near.sendall(b"there")
        forwarders.heal(2)
        assert passes(other)
        assert is_silent(blocked.far)
        forwarders.heal(1)
        assert blocked.far.recv(5) == b"there"


def test_who_dials_into_an_isolation_must_dial_again(forwarders: Forwarders, server: socket.socket) -> None:
    port = forwarders.add(2, 1, port_of(server))
    forwarders.isolate(2)
    with dial(port) as near:
        near.sendall(b"hello")
        with closing(Dialled(forwarders.add(3, 4, port_of(server)), server)) as later:
            assert passes(later)
        forwarders.heal(2)
        with suppress(ConnectionResetError):
            assert near.recv(1) == b""
    with closing(Dialled(port, server)) as connection:
        assert passes(connection)


def test_a_close_ends_connections_and_the_thread(server: socket.socket) -> None:
    forwarders = Forwarders()
    port = forwarders.add(2, 1, port_of(server))
    with closing(Dialled(port, server)) as connection:
        forwarders.isolate(1)
        forwarders.close()
        assert not forwarders._thread.is_alive()
        for end in (connection.near, connection.far):
            with suppress(ConnectionResetError):
                assert end.recv(1) == b""
