import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest

from chronik.server.http.server import HttpServer
from tests.unit.server.http.fake_node import FakeNode, statistics

Ask = Callable[[str], Awaitable[tuple[int, dict[str, str], bytes]]]

TIMEOUT_S = 20


def with_server(node: FakeNode, play: Callable[[Ask, HttpServer, int], Awaitable[None]]) -> None:
    """Run `play` beside a server in a loop of its own."""

    async def run() -> None:
        server = HttpServer("127.0.0.1", 0, node)
        port = await server.start()
        try:
            await play(lambda path: get(port, path), server, port)
        finally:
            await server.stop()

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))


async def get(port: int, path: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


def test_live_whatever_the_node_says() -> None:
    async def play(ask: Ask, server: HttpServer, port: int) -> None:
        status, headers, body = await ask("/health/live")
        assert (status, json.loads(body)) == (200, {"status": "live"})
        assert headers["cache-control"] == "no-store"

    with_server(FakeNode(is_ready=False, reasons=["starting"]), play)


def test_ready_follows_the_node() -> None:
    node = FakeNode(is_ready=False, reasons=["starting"])

    async def play(ask: Ask, server: HttpServer, port: int) -> None:
        status, _, body = await ask("/health/ready")
        assert (status, json.loads(body)) == (503, {"status": "not ready", "reasons": ["starting"]})
        node.is_ready, node.reasons = True, []
        status, _, body = await ask("/health/ready")
        assert (status, json.loads(body)) == (200, {"status": "ready", "reasons": [], "warnings": []})
        node.warnings = ["disk full"]
        status, _, body = await ask("/health/ready")
        assert (status, json.loads(body)["warnings"]) == (200, ["disk full"])
        node.is_ready, node.reasons = False, ["stopping"]
        assert (await ask("/health/ready"))[0] == 503

    with_server(node, play)


def test_root_says_who_this_is() -> None:
    async def play(ask: Ask, server: HttpServer, port: int) -> None:
        status, _, body = await ask("/")
        content = json.loads(body)
        assert status == 200
        assert content["node_id"] == 7
        assert content["listeners"] == {"PLAINTEXT": "localhost:9092"}

    with_server(FakeNode(), play)


def test_metrics_are_prometheus_text() -> None:
    async def play(ask: Ask, server: HttpServer, port: int) -> None:
        status, headers, body = await ask("/metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain")
        assert b"\nchronik_connections 2.0\n" in body
        if sys.platform == "linux":
            assert b"\nprocess_resident_memory_bytes " in body

    with_server(FakeNode(figures=statistics()), play)


def test_other_paths_are_404() -> None:
    async def play(ask: Ask, server: HttpServer, port: int) -> None:
        assert (await ask("/nothing"))[0] == 404

    with_server(FakeNode(), play)


def test_a_taken_port_is_named() -> None:
    async def run() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
                await HttpServer("127.0.0.1", port, FakeNode()).start()

    asyncio.run(run())


def test_localhost_answers_on_both_families() -> None:
    async def run() -> None:
        server = HttpServer("localhost", 0, FakeNode())
        port = await server.start()
        answered = 0
        for host in ("127.0.0.1", "::1"):
            try:
                reader, writer = await asyncio.open_connection(host, port)
            except OSError:
                continue  # a machine without the family
            writer.write(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            assert b"200 OK" in await reader.read()
            writer.close()
            answered += 1
        await server.stop()
        assert answered == len([host for host in ("127.0.0.1", "::1") if has_address(host)])

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))


def has_address(host: str) -> bool:
    """True if this machine has a loopback address."""
    try:
        with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return True
    except OSError:
        return False


def test_stop_without_a_visitor_frees_the_port() -> None:
    async def run() -> None:
        server = HttpServer("127.0.0.1", 0, FakeNode())
        port = await server.start()
        await server.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))


def test_stop_closes_idle_connections() -> None:
    async def play(ask: Ask, server: HttpServer, port: int) -> None:
        await ask("/health/live")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"live" in await reader.readuntil(b"}")
        await server.stop()
        assert await reader.read() == b""
        writer.close()

    with_server(FakeNode(), play)


def test_the_server_alone_imports_nothing_that_speaks_http() -> None:
    code = (
        "import sys, chronik.server.http.server, chronik.server.http.snapshot;"
        "print([name for name in ('uvicorn', 'starlette', 'prometheus_client') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
