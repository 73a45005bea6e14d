"""The listening addresses of a transport, on loopback."""

import asyncio

import pytest

from tests.unit.server.peers.tcp_stage import ONE, TcpStage, bound_socket


def test_it_listens_on_every_socket_that_it_is_given_until_it_is_closed() -> None:
    async def test() -> None:
        async with TcpStage() as stage:
            sockets = [bound_socket(), bound_socket()]
            ports = [bound.getsockname()[1] for bound in sockets]
            transport, _ = await stage.start(ONE, address=sockets)
            assert transport.port == ports[0]
            for port in ports:
                assert await _hangs_up_on_nonsense(port)
            assert transport.statistics().strangers == 2
            await stage.end(transport)
            for port in ports:
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(test())


async def _hangs_up_on_nonsense(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\xff" * 64)
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True
    finally:
        writer.close()
