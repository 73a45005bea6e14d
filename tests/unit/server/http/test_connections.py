"""Clients that hold HTTP connections and ask nothing: others are answered, and no line becomes a flood.

On both event loops: uvloop's transports do not inherit from asyncio's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from chronik.server.closing import HTTP_DEAF, HTTP_GARBAGE, HTTP_TOO_MANY, HTTP_UNENDING
from chronik.server.http import connections
from chronik.server.http.connections import CONNECTIONS_MAX
from chronik.server.http.server import HttpServer
from tests.unit.server.http.fake_node import FakeNode
from tests.unit.server.http.test_server import get

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Play = Callable[[int], Awaitable[None]]
Run = Callable[[Play], None]

TIMEOUT_S = 20
HALF = b"GET /metr"


def _new_uvloop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = pytest.importorskip("uvloop").new_event_loop()
    return loop


@pytest.fixture(params=[asyncio.new_event_loop, _new_uvloop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs something beside a server, whose port it is given."""

    def run_play(play: Play) -> None:
        async def with_server() -> None:
            server = HttpServer("127.0.0.1", 0, FakeNode())
            port = await server.start()
            try:
                await get(port, "/health/live")
                await play(port)
            finally:
                await server.stop()

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(with_server(), TIMEOUT_S))

    return run_play


async def open_half(port: int, count: int) -> list[Streams]:
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for _, writer in opened:
        writer.write(HALF)
    return opened


async def ends(streams: Streams) -> bool:
    """Waits for the end of a connection."""
    reader, writer = streams
    try:
        await reader.read()
    except ConnectionError:
        pass
    finally:
        writer.close()
    return True


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_clients_that_ask_are_answered_whoever_holds_connections(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(port: int) -> None:
        held = await open_half(port, 3 * CONNECTIONS_MAX)
        for _ in range(3):
            status, _, _ = await get(port, "/health/ready")
            assert status == 200
        await asyncio.gather(*(ends(one) for one in held[: 2 * CONNECTIONS_MAX]))
        for _, writer in held[2 * CONNECTIONS_MAX :]:
            writer.close()

    run(play)
    assert lines(caplog) == [HTTP_TOO_MANY.one], "one line for all of them"


def test_a_request_must_come_in_time_however_its_bytes_drip(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)

    async def play(port: int) -> None:
        silent = await asyncio.open_connection("127.0.0.1", port)
        (dripping,) = await open_half(port, 1)

        async def drip() -> None:
            while True:
                dripping[1].write(b"i")
                await asyncio.sleep(0.02)

        dripper = asyncio.ensure_future(drip())
        assert await ends(silent)
        assert await ends(dripping)
        dripper.cancel()

    run(play)
    assert lines(caplog) == [HTTP_UNENDING.one]


def test_the_next_request_of_a_connection_must_come_in_time_too(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b'{"status":"live"}')
        monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
        writer.write(HALF)
        assert await ends((reader, writer))

    run(play)
    assert lines(caplog) == [HTTP_UNENDING.one]


def test_an_answer_must_be_read_in_time(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.2)

    # More than the kernel and the client's stream take from a server whose client does not read.
    async def render(*_: object, **__: object) -> str:
        return "x" * (1 << 25)

    monkeypatch.setattr("chronik.server.http.app.render", render)

    async def play(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        while HTTP_DEAF.one not in lines(caplog):
            await asyncio.sleep(0.01)
        assert await ends((reader, writer))

    run(play)


def test_garbage_is_said_within_bounds(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def play(port: int) -> None:
        for _ in range(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x00\x00\x00\x01garbage\r\n\r\n")
            assert await ends((reader, writer))

    run(play)
    assert lines(caplog) == [HTTP_GARBAGE.one]


class _One:
    """A connection as its crowd sees it."""

    def __init__(self, crowd: connections.HttpConnections, *, is_busy: bool, busy_since: float) -> None:
        self.is_busy, self.busy_since, self.is_aborted = is_busy, busy_since, False
        self._crowd = crowd
        crowd.add(self)  # type: ignore[arg-type]

    def abort(self, reason: object) -> None:
        self.is_aborted = True
        self._crowd.remove(self)  # type: ignore[arg-type]


def fill(busy: int, since: float) -> tuple[connections.HttpConnections, list[_One]]:
    crowd = connections.HttpConnections()
    made = [_One(crowd, is_busy=number < busy, busy_since=since) for number in range(CONNECTIONS_MAX)]
    return crowd, made


def join(crowd: connections.HttpConnections) -> _One:
    return _One(crowd, is_busy=False, busy_since=0.0)


def test_an_idle_connection_gives_way_before_a_busy_one() -> None:
    async def play() -> None:
        now = asyncio.get_running_loop().time()
        crowd, made = fill(CONNECTIONS_MAX - 1, now)
        join(crowd)
        assert [one.is_aborted for one in made] == [False] * (CONNECTIONS_MAX - 1) + [True]
        crowd, made = fill(CONNECTIONS_MAX, now)
        assert join(crowd).is_aborted, "all others are being answered"
        crowd, made = fill(CONNECTIONS_MAX, now - 60)
        assert not join(crowd).is_aborted
        assert made[0].is_aborted, "it has been busy for too long"
        assert len(crowd) == CONNECTIONS_MAX

    asyncio.run(play())
