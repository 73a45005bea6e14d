"""One connection: order, overlap, and what a client can make it hold."""

import asyncio

import pytest

from chronik.broker.memory import NodeMemory
from chronik.broker.session import Session
from chronik.server.closing import BY_CLIENT, STOPPING, Reason
from chronik.server.connection import PRODUCE_IN_FLIGHT_MAX, Connection, Reply, make_receive_buffer
from chronik.server.read_turns import ReadTurns
from chronik.sim.virtual_time import virtual

PRODUCE, FETCH = 0, 1


class FakeTransport(asyncio.Transport):
    """What was written, and whether the socket reads or has room."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_reading_now = True
        self.is_closed = False
        self.unsent = 0

    def write(self, data: object) -> None:
        assert isinstance(data, bytes | bytearray | memoryview)
        self.written.append(bytes(data))

    def pause_reading(self) -> None:
        self.is_reading_now = False

    def resume_reading(self) -> None:
        self.is_reading_now = True

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("192.0.2.1", 5000) if name == "peername" else default


class Server:
    """A connection whose requests are answered by hand."""

    def __init__(self, frame_bytes_max: int = 10_000, turns: ReadTurns | None = None) -> None:
        self.transport = FakeTransport()
        self.memory = NodeMemory(received_bytes_max=1_000_000, unsent_bytes_max=1_000_000)
        self.started: list[bytes] = []
        self.replies: dict[bytes, Reply] = {}
        self.closed: list[Reason] = []
        self.received_too_much = 0
        self.now = 0.0
        self.connection = Connection(
            connection_id=1,
            listener="PLAINTEXT",
            requests=self,
            log=self,
            memory=self.memory,
            receive_buffer=make_receive_buffer(),
            turns=turns or ReadTurns(lambda: self.now, ()),
            frame_bytes_max=frame_bytes_max,
            now=lambda: self.now,
        )
        self.connection.connection_made(self.transport)

    def dispatch(self, frame: memoryview, session: Session) -> Reply:
        name = bytes(frame[8:])
        if name == b"garbage":
            raise ValueError("no request")
        self.started.append(name)
        if name in self.replies:
            return self.replies[name]
        return [b"<" + name + b">"]

    def on_open(self, connection: Connection) -> None: ...

    def on_close(self, connection: Connection, reason: Reason, detail: str) -> None:
        self.closed.append(reason)

    def on_received_too_much(self) -> None:
        self.received_too_much += 1

    def later(self, name: bytes) -> asyncio.Future[list[bytes | memoryview] | None]:
        """Have the request `name` answered by setting a future."""
        future: asyncio.Future[list[bytes | memoryview] | None] = asyncio.get_running_loop().create_future()
        self.replies[name] = future
        return future

    def receive(self, data: bytes) -> None:
        while data and self.transport.is_reading_now:
            space = self.connection.get_buffer(-1)
            count = min(len(space), len(data))
            space[:count] = data[:count]
            data = data[count:]
            self.connection.buffer_updated(count)


def request(api_key: int, name: bytes) -> bytes:
    body = api_key.to_bytes(2, "big") + bytes(6) + name
    return len(body).to_bytes(4, "big") + body


async def wait_until_idle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_produce_requests_overlap_and_are_answered_in_order() -> None:
    async def play() -> None:
        server = Server()
        first, second = server.later(b"p1"), server.later(b"p2")
        server.receive(request(PRODUCE, b"p1") + request(PRODUCE, b"p2"))
        assert server.started == [b"p1", b"p2"]
        second.set_result([b"<p2>"])
        await wait_until_idle()
        assert server.transport.written == []
        first.set_result([b"<p1>"])
        await wait_until_idle()
        assert server.transport.written == [b"<p1>", b"<p2>"]

    asyncio.run(play())


def test_any_other_request_waits_for_those_before_it_and_holds_those_after_it() -> None:
    async def play() -> None:
        server = Server()
        produce, fetch = server.later(b"p1"), server.later(b"f1")
        server.receive(request(PRODUCE, b"p1") + request(FETCH, b"f1") + request(PRODUCE, b"p2"))
        assert server.started == [b"p1"]
        produce.set_result([b"<p1>"])
        await wait_until_idle()
        assert server.started == [b"p1", b"f1"]
        fetch.set_result([b"<f1>"])
        await wait_until_idle()
        assert server.transport.written == [b"<p1>", b"<f1>", b"<p2>"]

    asyncio.run(play())


def test_a_client_that_asks_on_is_not_read_while_it_waits() -> None:
    async def play() -> None:
        server = Server()
        fetch = server.later(b"f1")
        server.receive(request(FETCH, b"f1"))
        assert server.transport.is_reading_now
        server.receive(request(FETCH, b"f2"))
        assert not server.transport.is_reading_now
        fetch.set_result([b"<f1>"])
        await wait_until_idle()
        assert server.transport.is_reading_now
        assert server.transport.written == [b"<f1>", b"<f2>"]

    asyncio.run(play())


def test_produce_in_flight_is_bounded() -> None:
    async def play() -> None:
        server = Server()
        futures = [server.later(b"%d" % number) for number in range(PRODUCE_IN_FLIGHT_MAX + 10)]
        server.receive(b"".join(request(PRODUCE, b"%d" % number) for number in range(len(futures))))
        assert len(server.started) == PRODUCE_IN_FLIGHT_MAX
        assert not server.transport.is_reading_now
        futures[0].set_result([b"<0>"])
        await wait_until_idle()
        assert len(server.started) == PRODUCE_IN_FLIGHT_MAX + 1

    asyncio.run(play())


def test_a_client_that_does_not_read_is_asked_no_more_and_counted() -> None:
    async def play() -> None:
        server = Server()
        server.receive(request(FETCH, b"f1"))
        server.transport.unsent = 500
        server.connection.pause_writing()
        assert server.memory.unsent_bytes == 500
        server.receive(request(FETCH, b"f2"))
        assert server.started == [b"f1"]
        assert not server.transport.is_reading_now
        server.connection.resume_writing()
        assert server.memory.unsent_bytes == 0
        assert server.started == [b"f1", b"f2"]
        assert server.transport.is_reading_now

    asyncio.run(play())


def test_a_response_that_completes_while_the_client_does_not_read_waits_its_turn() -> None:
    async def play() -> None:
        server = Server()
        fetch = server.later(b"f1")
        server.receive(request(FETCH, b"f1"))
        server.connection.pause_writing()
        fetch.set_result([b"<f1>"])
        await wait_until_idle()
        assert server.transport.written == []
        server.connection.resume_writing()
        assert server.transport.written == [b"<f1>"]

    asyncio.run(play())


def test_no_answer_is_sent_where_none_is_wanted() -> None:
    async def play() -> None:
        server = Server()
        server.replies[b"acks0"] = None
        server.receive(request(PRODUCE, b"acks0") + request(PRODUCE, b"p1"))
        assert server.transport.written == [b"<p1>"]

    asyncio.run(play())


@pytest.mark.parametrize(
    "data", [request(FETCH, b"garbage"), b"\xff\xff\xff\xff", (20_000).to_bytes(4, "big")]
)
def test_what_is_no_request_closes_the_connection(data: bytes) -> None:
    async def play() -> None:
        server = Server()
        server.receive(data)
        assert server.transport.is_closed
        assert server.started == []

    asyncio.run(play())


def test_nothing_starts_after_the_connection_is_closing() -> None:
    async def play() -> None:
        server = Server()
        server.receive(request(FETCH, b"garbage") + request(FETCH, b"f1"))
        assert server.started == []

    asyncio.run(play())


def test_finishing_answers_what_is_open_and_starts_nothing() -> None:
    async def play() -> None:
        server = Server()
        fetch = server.later(b"f1")
        server.receive(request(FETCH, b"f1"))
        server.connection.finish(STOPPING)
        server.receive(request(FETCH, b"f2"))
        assert not server.transport.is_closed
        fetch.set_result([b"<f1>"])
        await wait_until_idle()
        assert server.transport.written == [b"<f1>"]
        assert server.transport.is_closed
        assert server.started == [b"f1"]

    asyncio.run(play())


def test_a_lost_connection_gives_back_what_it_held() -> None:
    async def play() -> None:
        server = Server()
        server.receive(request(FETCH, b"half of it")[:10])
        assert server.memory.received_bytes > 0
        assert server.connection.frame_started == 0.0
        server.connection.connection_lost(None)
        assert server.memory.received_bytes == 0
        assert server.closed == [BY_CLIENT]

    asyncio.run(play())


def test_a_frame_is_late_only_while_the_client_is_the_one_waited_for() -> None:
    async def play() -> None:
        server = Server()
        fetch = server.later(b"f1")
        server.receive(request(FETCH, b"f1") + request(FETCH, b"f2"))
        assert server.connection.frame_started is None
        server.now = 7.0
        fetch.set_result([b"<f1>"])
        await wait_until_idle()
        server.receive(b"\0\0")
        assert server.connection.frame_started == 7.0

    asyncio.run(play())


def test_a_lost_connection_takes_its_requests_back() -> None:
    async def play() -> None:
        server = Server()
        fetch = server.later(b"f1")
        server.receive(request(FETCH, b"f1"))
        server.connection.connection_lost(None)
        assert fetch.cancelled()
        await wait_until_idle()
        assert server.transport.written == []

    asyncio.run(play())


def test_an_answer_that_cannot_be_given_closes_the_connection() -> None:
    async def play() -> None:
        server = Server()
        fetch = server.later(b"f1")
        server.receive(request(FETCH, b"f1"))
        fetch.set_exception(ValueError("no answer"))
        await wait_until_idle()
        assert server.transport.is_closed
        assert server.transport.written == []

    asyncio.run(play())


def test_a_lost_connection_takes_back_what_it_waits_for() -> None:
    async def play() -> None:
        server = Server()
        fetch = server.later(b"f1")
        server.receive(request(FETCH, b"f1"))
        server.connection.connection_lost(None)
        assert fetch.cancelled()
        await wait_until_idle()
        assert server.transport.written == []

    asyncio.run(play())


def test_an_aborted_connection_gives_back_at_once_what_it_held() -> None:
    async def play() -> None:
        server = Server()
        server.receive(request(FETCH, b"f1") + request(FETCH, b"half of it")[:10])
        server.transport.unsent = 500
        server.connection.pause_writing()
        assert server.memory.received_bytes > 0
        server.connection.abort(STOPPING)
        assert (server.memory.received_bytes, server.memory.unsent_bytes) == (0, 0)
        server.connection.connection_lost(None)
        assert (server.memory.received_bytes, server.memory.unsent_bytes) == (0, 0)

    asyncio.run(play())


def test_holding_too_much_is_told_when_it_happens() -> None:
    async def play() -> None:
        server = Server()
        server.memory.received_bytes_max = 100
        server.receive(request(FETCH, b"half of it")[:10])
        assert server.received_too_much == 1

    asyncio.run(play())


# Quotas.


@virtual
async def test_who_is_throttled_is_answered_at_once_and_served_later() -> None:
    """KIP-219: the answer says how long; what comes before that is over waits."""
    server = Server()
    loop = asyncio.get_running_loop()
    began = loop.time()
    server.connection.session.throttle(1500)
    server.receive(request(FETCH, b"f1") + request(FETCH, b"f2"))
    assert server.transport.written == [b"<f1>"]
    assert (server.started, server.connection.frame_started) == ([b"f1"], None)
    await asyncio.sleep(1.4)
    assert server.started == [b"f1"]
    await asyncio.sleep(0.2)
    assert server.started == [b"f1", b"f2"]
    assert server.transport.written == [b"<f1>", b"<f2>"]
    assert loop.time() - began < 2
    server.connection.connection_lost(None)


@virtual
async def test_a_throttled_client_that_is_gone_is_not_served() -> None:
    server = Server()
    server.connection.session.throttle(1500)
    server.receive(request(FETCH, b"f1") + request(FETCH, b"f2"))
    server.connection.connection_lost(None)
    await asyncio.sleep(2)
    assert server.started == [b"f1"]
    assert server.memory.received_bytes == 0
