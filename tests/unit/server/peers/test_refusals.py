"""A transport's memory of refusals, on loopback."""

import asyncio

from tests.unit.server.peers.raw_peer import RawPeer, hello_of
from tests.unit.server.peers.tcp_stage import ONE, TWO, TcpStage


def test_both_sides_remember_why_until_they_are_connected() -> None:
    async def test() -> None:
        async with TcpStage() as stage:
            one, told_one = await stage.start(ONE, cluster_id="here")
            two, _ = await stage.start(TWO, cluster_id="there")
            async with asyncio.timeout(20):
                while not (one.refusals() and two.refusals()):
                    await asyncio.sleep(0.001)
            assert "node 2 to cluster there" in one.refusals()[TWO]
            assert "cluster here" in two.refusals()[ONE]
            await stage.end(two)
            two, told = await stage.start(TWO, cluster_id="here")
            await told.until_connected(ONE)
            await told_one.until_connected(TWO)
            assert one.refusals() == two.refusals() == {}

    asyncio.run(test())


def test_strangers_and_doubles_of_those_connected_leave_nothing_behind() -> None:
    async def test() -> None:
        async with TcpStage() as stage:
            one, told = await stage.start(ONE)
            await stage.start(TWO)
            await told.until_connected(TWO)
            for hello in (hello_of(7), hello_of(2, directory_id="another")):
                peer = await RawPeer.connect(stage.addresses[ONE])
                peer.say_hello(hello)
                await peer.refusal()
                peer.close()
            assert one.refusals() == {}

    asyncio.run(test())
