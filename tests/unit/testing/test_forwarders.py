"""ClusterRuntime between sockets of the test itself."""

import socket
import threading
import time
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
    """True if nothing has come, now."""
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


@pytest.mark.parametrize("cut", [(2, 1), (1, 2)], ids=["from the dialler", "to the dialler"])
def test_a_cut_stops_one_way_alone(
    forwarders: Forwarders, server: socket.socket, cut: tuple[int, int]
) -> None:
    port = forwarders.add(2, 1, port_of(server))
    connection = Dialled(port, server)
    other = Dialled(forwarders.add(3, 4, port_of(server)), server)
    with closing(connection), closing(other):
        # Dialler 2 is near.
        sender, receiver = (
            (connection.near, connection.far) if cut[0] == 2 else (connection.far, connection.near)
        )
        forwarders.cut(*cut)
        sender.sendall(b"lost")
        receiver.sendall(b"heard")
        assert sender.recv(5) == b"heard"
        assert passes(other)
        assert is_silent(receiver)
        forwarders.mend(*cut)
        assert receiver.recv(4) == b"lost"


def test_a_cut_is_not_healed_by_the_end_of_an_isolation(
    forwarders: Forwarders, server: socket.socket
) -> None:
    cut = Dialled(forwarders.add(2, 1, port_of(server)), server)
    other = Dialled(forwarders.add(3, 4, port_of(server)), server)
    with closing(cut), closing(other):
        forwarders.cut(2, 1)
        forwarders.isolate(1)
        cut.near.sendall(b"there")
        forwarders.heal(1)
        cut.far.sendall(b"back")
        assert cut.near.recv(4) == b"back"
        assert passes(other)
        assert is_silent(cut.far)
        forwarders.mend(2, 1)
        assert cut.far.recv(5) == b"there"


@pytest.mark.parametrize("cut", [(2, 1), (1, 2)], ids=["from the dialler", "to the dialler"])
def test_nobody_connects_through_a_cut(
    forwarders: Forwarders, server: socket.socket, cut: tuple[int, int]
) -> None:
    port = forwarders.add(2, 1, port_of(server))
    forwarders.cut(*cut)
    with dial(port) as near:
        near.sendall(b"hello")
        with closing(Dialled(forwarders.add(3, 4, port_of(server)), server)) as later:
            assert passes(later)
        forwarders.mend(*cut)
        with suppress(ConnectionResetError):
            assert near.recv(1) == b""
    with closing(Dialled(port, server)) as connection:
        assert passes(connection)


def test_what_is_delayed_comes_later_whole_and_in_order(
    forwarders: Forwarders, server: socket.socket
) -> None:
    with closing(Dialled(forwarders.add(2, 1, port_of(server)), server)) as connection:
        # Longer than anything takes here; what is sent after the end of the delay comes after it, too.
        forwarders.delay(2, 1, 0.3)
        began = time.monotonic()
        connection.near.sendall(b"first")
        assert connection.far.recv(5) == b"first"
        assert time.monotonic() - began >= 0.3
        forwarders.delay(2, 1, 0.0)
        assert passes(connection)


def test_a_delay_is_for_one_way_and_for_the_end_as_well(
    forwarders: Forwarders, server: socket.socket
) -> None:
    connection = Dialled(forwarders.add(2, 1, port_of(server)), server)
    with closing(connection):
        forwarders.delay(2, 1, 3600.0)
        connection.near.sendall(b"in an hour")
        connection.far.sendall(b"now")
        assert connection.near.recv(3) == b"now"
        connection.near.shutdown(socket.SHUT_WR)
        connection.far.sendall(b"still")
        assert connection.near.recv(5) == b"still"
        assert is_silent(connection.far)


def test_a_delay_delays_a_stream_once(forwarders: Forwarders, server: socket.socket) -> None:
    """Many chunks under way at once; one after the other they would take a minute."""
    data = bytes(range(256)) * 64 * 1024
    with closing(Dialled(forwarders.add(2, 1, port_of(server)), server)) as connection:
        forwarders.delay(2, 1, 1.0)
        sending = threading.Thread(target=connection.near.sendall, args=(data,))
        sending.start()
        received = bytearray()
        while len(received) < len(data):
            received += connection.far.recv(1 << 20)
        sending.join()
        assert received == data


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
