"""Nodes show each other that they know the secret; who does not is nobody, whatever it has overheard."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chronik.server.peers.framing import HEAD, LinkKind
from chronik.server.peers.hello import Hello, Refusal, Refused, decode_refused, encode_hello
from chronik.server.peers.secret import NONCE_BYTES, SharedSecret, Side, generate_secret, new_nonce
from chronik.vocab.ids import NodeId
from tests.unit.server.peers.raw_peer import HELLO, RawPeer, hello_of
from tests.unit.server.peers.tcp_stage import ONE, THREE, TWO, TcpStage

SECRET = SharedSecret("what-nodes-know-of-each-other")
OTHER_SECRET = SharedSecret("what-somebody-else-made-up")
TWOS_HELLO = HELLO._replace(has_secret=True, nonce=bytes(range(NONCE_BYTES)))

Test = Callable[[TcpStage], Coroutine[Any, Any, None]]


@pytest.fixture
def run() -> Callable[[Test], None]:
    async def stage(test: Test) -> None:
        async with TcpStage() as made:
            await test(made)

    return lambda test: asyncio.run(stage(test))


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


# The proof.


def test_the_bytes_of_a_proof() -> None:
    message = (
        b"chronik peer handshake 2\x00" + b"\x00\x00\x00\x07dialler" + b"\x00\x00\x00\x02d!\x00\x00\x00\x02l!"
    )
    wanted = hmac.new(b"what-nodes-know-of-each-other", message, hashlib.sha256).digest()
    assert SECRET.prove(Side.DIALLER, b"d!", b"l!") == wanted
    assert len(wanted) == 32


def test_a_proof_is_of_one_side_of_one_handshake() -> None:
    proof = SECRET.prove(Side.DIALLER, b"d", b"l")
    assert SECRET.is_proof(proof, Side.DIALLER, b"d", b"l")
    for side, dialler, listener in [
        (Side.LISTENER, b"d", b"l"),
        (Side.DIALLER, b"x", b"l"),
        (Side.DIALLER, b"d", b"x"),
        (Side.DIALLER, b"dl", b""),
        (Side.DIALLER, b"l", b"d"),
    ]:
        assert not SECRET.is_proof(proof, side, dialler, listener)
    assert not OTHER_SECRET.is_proof(proof, Side.DIALLER, b"d", b"l")
    assert not SECRET.is_proof(proof[:-1], Side.DIALLER, b"d", b"l")
    assert not SECRET.is_proof(b"", Side.DIALLER, b"d", b"l")


def test_secrets_and_nonces_are_new_each_time() -> None:
    assert len({new_nonce() for _ in range(100)}) == 100
    assert len({generate_secret() for _ in range(100)}) == 100
    assert len(generate_secret()) >= 40


# Between nodes.


def test_nodes_that_know_it_are_connected(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        _, told_one = await stage.start(ONE, secret=SECRET)
        _, told_two = await stage.start(TWO, secret=SharedSecret("what-nodes-know-of-each-other"))
        await told_one.until_connected(TWO)
        await told_two.until_connected(ONE)

    run(test)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (OTHER_SECRET, "another raft.secret"),
        (None, "node 1 has a raft.secret, node 2 has none"),
    ],
)
def test_others_are_not(
    run: Callable[[Test], None],
    caplog: pytest.LogCaptureFixture,
    secret: SharedSecret | None,
    words: str,
) -> None:
    async def test(stage: TcpStage) -> None:
        one, told_one = await stage.start(ONE, secret=SECRET)
        two, told_two = await stage.start(TWO, secret=secret)
        await stage.start(THREE, secret=SECRET)
        await told_one.until_connected(THREE)
        async with asyncio.timeout(20):
            while not (one.refusals() and two.refusals()):
                await asyncio.sleep(0.001)
        assert TWO not in told_one.connected
        assert not told_two.events

    run(test)
    lines = [record for record in warnings(caplog) if words in record.getMessage()]
    # Nodes 1 and 2, and 3 and 2: each side once, with the address of the other.
    assert 2 <= len(lines) <= 4
    assert {record.levelno for record in lines} == {logging.WARNING}
    assert all(vars(record)["address"].startswith("127.0.0.1:") for record in lines)


async def refused_with(stage: TcpStage, hello: Hello, ready: Callable[[bytes, bytes], bytes]) -> Refused:
    """What a dialler is told that sends `ready(HELLO of node 1, its proof)`."""
    peer = await RawPeer.connect(stage.addresses[ONE])
    peer.say_hello(hello)
    kind, answer = await peer.hear()
    assert kind == LinkKind.HELLO
    kind, proof = await peer.hear()
    assert kind == LinkKind.PROOF
    peer.say(LinkKind.READY, ready(bytes(answer), bytes(proof)))
    refused = await peer.refusal()
    peer.close()
    return refused


def test_what_was_overheard_does_not_let_anybody_in(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        _, told = await stage.start(ONE, secret=SECRET)
        said = encode_hello(TWOS_HELLO)
        # Node 2 comes, and somebody listens.
        peer = await RawPeer.connect(stage.addresses[ONE])
        peer.say_hello(TWOS_HELLO)
        _, answer = await peer.hear()
        _, proof = await peer.hear()
        assert SECRET.is_proof(bytes(proof), Side.LISTENER, said, bytes(answer))
        overheard = SECRET.prove(Side.DIALLER, said, bytes(answer))
        peer.say(LinkKind.READY, overheard)
        await told.until_connected(TWO)
        peer.close()
        await told.until(lambda told: TWO not in told.connected)
        events = list(told.events)
        # All that was said, again: it was about another nonce.
        assert (await refused_with(stage, TWOS_HELLO, lambda *_: overheard)).refusal is Refusal.SECRET
        # What node 1 itself says of this very handshake, back to it.
        assert (await refused_with(stage, TWOS_HELLO, lambda _, proof: proof)).refusal is Refusal.SECRET
        # Nothing; and what was proved of another directory.
        assert (await refused_with(stage, TWOS_HELLO, lambda *_: b"")).refusal is Refusal.SECRET
        other = encode_hello(hello_of(2, directory_id="mine", has_secret=True, nonce=TWOS_HELLO.nonce))
        refused = await refused_with(
            stage, TWOS_HELLO, lambda answer, _: SECRET.prove(Side.DIALLER, other, answer)
        )
        assert refused.refusal is Refusal.SECRET
        assert told.events == events

    run(test)


def test_no_secret_and_no_nonce_are_refused_before_anything_is_proved(run: Callable[[Test], None]) -> None:
    async def test(stage: TcpStage) -> None:
        await stage.start(ONE, secret=SECRET)
        for hello in (HELLO, HELLO._replace(has_secret=True), TWOS_HELLO._replace(nonce=b"x")):
            peer = await RawPeer.connect(stage.addresses[ONE])
            peer.say_hello(hello)
            assert (await peer.refusal()).refusal is Refusal.SECRET
            peer.close()

    run(test)


class Impostor:
    """Listens where node 1 should, without its secret."""

    def __init__(self, proof: Callable[[bytes, bytes], bytes], *, kind: int = LinkKind.PROOF) -> None:
        self._proof = proof
        self._kind = kind
        self.said_after: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, _ = HEAD.unpack(await reader.readexactly(HEAD.size))
        heard = await reader.readexactly(length)
        answer = encode_hello(hello_of(1, target=TWO, has_secret=True, nonce=bytes(NONCE_BYTES)))
        proof = self._proof(heard, answer)
        writer.write(HEAD.pack(len(answer), LinkKind.HELLO) + answer)
        writer.write(HEAD.pack(len(proof), self._kind) + proof)
        self.said_after.append(await reader.read())
        writer.close()


@pytest.mark.parametrize(
    "proof",
    [
        lambda dialler, listener: b"",
        lambda dialler, listener: bytes(32),
        lambda dialler, listener: OTHER_SECRET.prove(Side.LISTENER, dialler, listener),
        # Of the wrong side.
        lambda dialler, listener: SECRET.prove(Side.DIALLER, dialler, listener),
    ],
)
def test_who_dials_lets_the_other_side_prove_it_first(proof: Callable[[bytes, bytes], bytes]) -> None:
    """And shows nothing before: no proof of its own to try guesses on, no frame."""

    async def test() -> None:
        impostor = Impostor(proof)
        async with await asyncio.start_server(impostor.serve, "127.0.0.1", 0) as server:
            others = {ONE: server.sockets[0].getsockname(), THREE: ("127.0.0.1", 9)}
            async with TcpStage() as stage:
                _, told = await stage.start(TWO, others=others, secret=SECRET)
                async with asyncio.timeout(20):
                    while not impostor.said_after:
                        await asyncio.sleep(0.001)
                assert not told.events
        said = impostor.said_after[0]
        length, kind = HEAD.unpack_from(said)
        assert kind == LinkKind.REFUSED
        assert len(said) == HEAD.size + length
        assert decode_refused(memoryview(said)[HEAD.size :]).refusal is Refusal.SECRET

    asyncio.run(test())


def test_ready_in_place_of_a_proof_is_none() -> None:
    async def test() -> None:
        impostor = Impostor(lambda *_: b"", kind=LinkKind.READY)
        async with await asyncio.start_server(impostor.serve, "127.0.0.1", 0) as server:
            others = {ONE: server.sockets[0].getsockname(), THREE: ("127.0.0.1", 9)}
            async with TcpStage() as stage:
                _, told = await stage.start(TWO, others=others, secret=SECRET)
                async with asyncio.timeout(20):
                    while not impostor.said_after:
                        await asyncio.sleep(0.001)
                assert not told.events

    asyncio.run(test())


def test_many_that_try_are_one_line(run: Callable[[Test], None], caplog: pytest.LogCaptureFixture) -> None:
    async def test(stage: TcpStage) -> None:
        await stage.start(ONE, secret=SECRET)
        for _ in range(20):
            await refused_with(stage, TWOS_HELLO, lambda *_: b"guess")

    run(test)
    (line,) = warnings(caplog)
    assert line.levelno == logging.WARNING
    assert "what says to be node 2" in line.getMessage()


# Directories.


@pytest.mark.parametrize("is_known_from_before", [False, True])
def test_a_new_directory_under_a_known_id_is_said(
    run: Callable[[Test], None], caplog: pytest.LogCaptureFixture, is_known_from_before: bool
) -> None:
    known: dict[NodeId, str] = {TWO: "directory-2"} if is_known_from_before else {}

    async def test(stage: TcpStage) -> None:
        _, told = await stage.start(ONE, directories=lambda: known)
        names = ["another"] if is_known_from_before else ["directory-2", "another"]
        for name in [*names, "another"]:
            peer = await RawPeer.join(stage.addresses[ONE], hello_of(2, directory_id=name))
            await told.until_connected(TWO)
            peer.close()
            await told.until(lambda told: TWO not in told.connected)

    run(test)
    (line,) = warnings(caplog)
    assert "node 2 came with another data directory" in line.getMessage()
    assert (vars(line)["before"], vars(line)["directory"]) == ("directory-2", "another")
    assert vars(line)["address"].startswith("127.0.0.1:")
