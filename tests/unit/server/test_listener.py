"""Connections as a crowd: how many there may be, what they may hold together, and how they are sent away."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator

import pytest

from chronik.broker.context import NoAnswer, UnservedRequest
from chronik.broker.memory import NodeMemory
from chronik.broker.session import Session
from chronik.server.binding import ListenerAddress, bind
from chronik.server.closing import (
    BAD_FRAME,
    DEAF,
    FAILED_UNANSWERED,
    IDLE,
    NOT_A_REQUEST,
    TOO_MANY,
    UNENDING,
    UNSERVED,
    WINDOW_SECONDS,
    Reason,
)
from chronik.server.connection import FRAME_SECONDS_MAX, Connection, Reply
from chronik.server.listener import ConnectionLimits, Listeners
from chronik.sim.virtual_time import virtual, wait_until_idle
from tests.unit.server.test_connection import FETCH, PRODUCE, FakeTransport, request

IDLE_SECONDS = 100.0
MIB = 1 << 20


class Crowd:
    """Listeners whose connections are made by hand. Requests not in `waiting` are answered at once."""

    def __init__(
        self,
        *,
        connections_max: int = 100,
        per_ip_max: int = 100,
        received_max: int = MIB,
        unsent_max: int = MIB,
    ) -> None:
        self.memory = NodeMemory(received_bytes_max=received_max, unsent_bytes_max=unsent_max)
        self.limits = ConnectionLimits(
            connections_max=connections_max,
            connections_per_ip_max=per_ip_max,
            idle_seconds_max=IDLE_SECONDS,
            frame_bytes_max=MIB,
        )
        self.listeners = Listeners(self, self.memory, self.limits)
        self.waiting: dict[bytes, asyncio.Future[list[bytes | memoryview] | None]] = {}

    def dispatch(self, frame: memoryview, session: Session) -> Reply:
        name = bytes(frame[8:])
        if name == b"garbage":
            raise ValueError("no request")
        if name == b"tomorrow":
            raise UnservedRequest("not served")
        if name == b"fails":
            raise NoAnswer("it failed")
        return self.waiting.get(name, [b"<" + name + b">"])

    def later(self, name: bytes) -> asyncio.Future[list[bytes | memoryview] | None]:
        self.waiting[name] = asyncio.get_running_loop().create_future()
        return self.waiting[name]

    def connect(self, host: str = "192.0.2.1") -> "Client":
        return Client(self.listeners.make_connection("PLAINTEXT"), host)


class Client(FakeTransport):
    """One connection and its other side. Tells of its end in the next turn, as transports do."""

    def __init__(self, connection: Connection, host: str) -> None:
        super().__init__()
        self.connection = connection
        self._host = host
        self.is_aborted = False
        connection.connection_made(self)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return (self._host, 5000) if name == "peername" else default

    def close(self) -> None:
        if not self.is_closed and not self.unsent:
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)
        self.is_closed = True

    def abort(self) -> None:
        if not self.is_aborted and not (self.is_closed and not self.unsent):
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)
        self.is_closed = self.is_aborted = True

    def send(self, data: bytes) -> None:
        while data and not self.is_closed:
            space = self.connection.get_buffer(-1)
            count = min(len(space), len(data))
            space[:count] = data[:count]
            data = data[count:]
            self.connection.buffer_updated(count)

    def stop_reading(self, unsent: int) -> None:
        """From now on nothing that is sent leaves the transport."""
        self.unsent = unsent
        self.connection.pause_writing()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, "chronik"):
        yield caplog


# How many.


@virtual
async def test_more_than_the_limit_are_closed_at_once() -> None:
    crowd = Crowd(connections_max=2)
    first, second, third = (crowd.connect() for _ in range(3))
    await wait_until_idle()
    assert [client.is_aborted for client in (first, second, third)] == [False, False, True]
    statistics = crowd.listeners.statistics
    assert (statistics.open, statistics.accepted, statistics.refused) == (2, 3, 1)
    first.close()
    await wait_until_idle()
    assert not crowd.connect().is_aborted


@virtual
async def test_one_address_may_have_so_many() -> None:
    crowd = Crowd(per_ip_max=1)
    first = crowd.connect("192.0.2.1")
    assert not crowd.connect("192.0.2.2").is_aborted
    assert crowd.connect("192.0.2.1").is_aborted
    await wait_until_idle()
    first.close()
    await wait_until_idle()
    assert not crowd.connect("192.0.2.1").is_aborted


@virtual
async def test_limits_change_for_those_who_come_later() -> None:
    crowd = Crowd(per_ip_max=2)
    first, second = crowd.connect(), crowd.connect()
    crowd.listeners.set_limits(crowd.limits._replace(connections_per_ip_max=1))
    assert not first.is_aborted
    assert not second.is_aborted
    assert crowd.connect().is_aborted
    crowd.listeners.set_limits(crowd.limits._replace(connections_per_ip_max=10))
    assert not crowd.connect().is_aborted


@virtual
async def test_a_flood_of_clients_is_no_flood_of_lines(log: pytest.LogCaptureFixture) -> None:
    crowd = Crowd(connections_max=0)
    await crowd.listeners.serve([])
    for _ in range(500):
        crowd.connect()
    await asyncio.sleep(WINDOW_SECONDS + 2)
    assert [record.getMessage() for record in log.records] == [TOO_MANY.one, TOO_MANY.many]
    assert log.records[0].__dict__["client"] == "192.0.2.1:5000"
    assert log.records[1].__dict__["suppressed"] == 499
    crowd.connect()
    await wait_until_idle()
    assert len(log.records) == 3
    crowd.listeners.finish()


async def _send_garbage(crowd: Crowd, client: Client) -> None:
    client.send(request(FETCH, b"garbage"))


async def _send_what_fails(crowd: Crowd, client: Client) -> None:
    client.send(request(PRODUCE, b"fails"))


async def _announce_too_much(crowd: Crowd, client: Client) -> None:
    client.send((MIB + 1).to_bytes(4, "big"))


async def _announce_nothing(crowd: Crowd, client: Client) -> None:
    client.send(bytes(4))


async def _ask_for_what_is_not_served(crowd: Crowd, client: Client) -> None:
    client.send(request(FETCH, b"tomorrow"))


async def _do_nothing(crowd: Crowd, client: Client) -> None:
    await asyncio.sleep(IDLE_SECONDS + 2)


async def _never_end(crowd: Crowd, client: Client) -> None:
    client.send(MIB.to_bytes(4, "big") + b"x")
    await asyncio.sleep(FRAME_SECONDS_MAX + 15)


@pytest.mark.parametrize(
    ("misbehave", "reason", "level", "detail"),
    [
        (_announce_too_much, BAD_FRAME, "WARNING", f"frame of {MIB + 1} bytes; 8 to {MIB} are accepted"),
        (_announce_nothing, BAD_FRAME, "WARNING", f"frame of 0 bytes; 8 to {MIB} are accepted"),
        (_send_garbage, NOT_A_REQUEST, "WARNING", "no request"),
        (_send_what_fails, FAILED_UNANSWERED, "INFO", "it failed"),
        (_ask_for_what_is_not_served, UNSERVED, "INFO", "not served"),
        (_do_nothing, IDLE, "INFO", None),
        (_never_end, UNENDING, "WARNING", None),
    ],
)
@virtual
async def test_every_closing_from_our_side_has_a_line_and_a_flood_two(
    misbehave: Callable[[Crowd, Client], Awaitable[None]],
    reason: Reason,
    level: str,
    detail: str | None,
    log: pytest.LogCaptureFixture,
) -> None:
    log.set_level(logging.INFO, "chronik")
    crowd = Crowd(received_max=10 * MIB)
    await crowd.listeners.serve([])
    clients = [crowd.connect() for _ in range(20)]
    await asyncio.gather(*(misbehave(crowd, client) for client in clients))
    await wait_until_idle()
    assert all(client.is_closed for client in clients)
    await asyncio.sleep(WINDOW_SECONDS + 2)
    first, told = log.records
    assert (first.getMessage(), first.levelname) == (reason.one, level)
    assert first.__dict__["client"] == "192.0.2.1:5000"
    assert first.__dict__.get("reason") == detail
    assert (told.getMessage(), told.__dict__["suppressed"]) == (reason.many, 19)
    crowd.listeners.finish()


@virtual
async def test_clients_that_leave_are_nobodys_business(log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.INFO, "chronik")
    crowd = Crowd()
    for client in [crowd.connect() for _ in range(3)]:
        client.close()
    await wait_until_idle()
    assert not log.records


# Idle ones.


@virtual
async def test_idle_connections_are_closed_and_busy_ones_are_not() -> None:
    crowd = Crowd()
    await crowd.listeners.serve([])
    idle, waiting, asking = (crowd.connect() for _ in range(3))
    crowd.later(b"join")
    waiting.send(request(FETCH, b"join"))
    for _ in range(12):
        await asyncio.sleep(10)
        asking.send(request(FETCH, b"f"))
    assert (idle.is_aborted, waiting.is_aborted, asking.is_aborted) == (True, False, False)
    assert crowd.listeners.statistics.closed_idle == 1
    crowd.listeners.finish()


@virtual
async def test_a_client_that_reads_slowly_is_not_idle_and_one_that_does_not_is() -> None:
    crowd = Crowd()
    await crowd.listeners.serve([])
    slow, deaf = crowd.connect(), crowd.connect()
    for client in (slow, deaf):
        client.send(request(FETCH, b"f"))
        client.stop_reading(1000)
    for _ in range(11):
        await asyncio.sleep(10)
        slow.unsent -= 1
    assert (slow.is_aborted, deaf.is_aborted) == (False, True)
    crowd.listeners.finish()


@virtual
async def test_a_closed_connection_that_is_not_read_out_is_given_up() -> None:
    crowd = Crowd()
    await crowd.listeners.serve([])
    client = crowd.connect()
    client.stop_reading(1000)
    client.connection.close(BAD_FRAME)
    await asyncio.sleep(25)
    assert not client.is_aborted
    await asyncio.sleep(10)
    assert client.is_aborted
    assert crowd.memory.unsent_bytes == 0
    crowd.listeners.finish()


# What they hold.


@virtual
async def test_a_frame_must_go_on(log: pytest.LogCaptureFixture) -> None:
    crowd = Crowd()
    await crowd.listeners.serve([])
    stalled, steady = crowd.connect(), crowd.connect()
    for client in (stalled, steady):
        client.send((MIB).to_bytes(4, "big"))
    for _ in range(60):
        await asyncio.sleep(1)
        if not steady.is_closed:
            steady.send(bytes(10 * 1024))
    assert (stalled.is_aborted, steady.is_aborted) == (True, False)
    assert [record.getMessage() for record in log.records] == [UNENDING.one]
    assert FRAME_SECONDS_MAX < 60
    crowd.listeners.finish()


@virtual
async def test_too_many_incomplete_requests_cost_the_oldest() -> None:
    """At once, not at the next sweep, and no more of them than it takes."""
    crowd = Crowd()
    clients = []
    for _ in range(10):
        client = crowd.connect()
        clients.append(client)
        client.send((MIB).to_bytes(4, "big") + bytes(90_000))
        if len(clients) == 1:
            crowd.memory.received_bytes_max = 4 * crowd.memory.received_bytes
        await asyncio.sleep(1)
        assert crowd.memory.received_bytes <= crowd.memory.received_bytes_max
    held = [not client.is_aborted for client in clients]
    assert held == [False] * 6 + [True] * 4


@virtual
async def test_a_frame_that_waits_for_the_broker_is_not_the_clients_fault() -> None:
    crowd = Crowd()
    patient = crowd.connect()
    crowd.later(b"f1")
    patient.send(request(FETCH, b"f1") + (MIB).to_bytes(4, "big") + bytes(90_000))
    crowd.memory.received_bytes_max = crowd.memory.received_bytes
    late = crowd.connect()
    late.send((MIB).to_bytes(4, "big") + bytes(90_000))
    assert (patient.is_aborted, late.is_aborted) == (False, True)


@virtual
async def test_when_responses_use_up_the_memory_the_longest_unread_go(log: pytest.LogCaptureFixture) -> None:
    crowd = Crowd(unsent_max=250)
    await crowd.listeners.serve([])
    first = crowd.connect()
    first.stop_reading(200)
    await asyncio.sleep(5)
    second = crowd.connect()
    second.stop_reading(100)
    assert crowd.memory.response_bytes_left == 0
    await asyncio.sleep(4)
    assert not first.is_aborted
    await asyncio.sleep(3)
    assert (first.is_aborted, second.is_aborted) == (True, False)
    assert crowd.memory.response_bytes_left == 150
    assert [record.getMessage() for record in log.records] == [DEAF.one]
    crowd.listeners.finish()


@virtual
async def test_what_a_transport_keeps_below_its_limit_counts_too() -> None:
    crowd = Crowd()
    await crowd.listeners.serve([])
    client = crowd.connect()
    client.unsent = 70
    await asyncio.sleep(1.5)
    assert crowd.memory.unsent_bytes == 70
    client.stop_reading(90)
    assert crowd.memory.unsent_bytes == 90
    client.unsent = 0
    client.connection.resume_writing()
    assert crowd.memory.unsent_bytes == 0
    crowd.listeners.finish()


# The end.


@virtual
async def test_what_is_open_is_answered_before_the_end() -> None:
    crowd = Crowd()
    await crowd.listeners.serve([])
    idle, busy, stuck = (crowd.connect() for _ in range(3))
    answer = crowd.later(b"p1")
    crowd.later(b"never")
    busy.send(request(PRODUCE, b"p1"))
    stuck.send(request(FETCH, b"never"))
    crowd.listeners.finish()
    await wait_until_idle()
    assert (idle.is_closed, busy.is_closed, stuck.is_closed) == (True, False, False)
    asyncio.get_running_loop().call_later(1, lambda: answer.set_result([b"<p1>"]))
    await crowd.listeners.wait_closed(3)
    assert busy.written == [b"<p1>"]
    assert (busy.is_closed, stuck.is_closed) == (True, False)
    assert asyncio.get_running_loop().time() == 3
    crowd.listeners.abort()
    assert stuck.is_aborted
    await crowd.listeners.wait_closed(3)
    assert asyncio.get_running_loop().time() == 3
    assert crowd.listeners.statistics.open == 0


@virtual
async def test_who_comes_during_the_end_is_sent_away() -> None:
    crowd = Crowd()
    await crowd.listeners.serve([])
    crowd.listeners.finish()
    late = crowd.connect()
    assert late.is_aborted
    await wait_until_idle()
    await crowd.listeners.wait_closed(1)
    assert asyncio.get_running_loop().time() == 0


def test_clients_are_served_over_a_socket_without_delay() -> None:
    async def play() -> None:
        crowd = Crowd()
        bound = bind(ListenerAddress(name="PLAINTEXT", host="127.0.0.1", port=0))
        port = bound.getsockname()[1]
        await crowd.listeners.serve([("PLAINTEXT", bound)])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(FETCH, b"f1"))
        assert await reader.readexactly(4) == b"<f1>"
        (connection,) = crowd.listeners._connections
        assert connection._transport is not None
        served = connection._transport.get_extra_info("socket")
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert (connection.session.client_host, connection.session.listener) == ("127.0.0.1", "PLAINTEXT")
        crowd.listeners.finish()
        assert await reader.read() == b""
        await crowd.listeners.wait_closed(5)
        writer.close()
        await writer.wait_closed()
        with pytest.raises(OSError, match="refused|Connect call failed"):  # noqa: RUF043  (either will do)
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(play())
