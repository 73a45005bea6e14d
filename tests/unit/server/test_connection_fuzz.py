"""A whole connection, from bytes to handlers and back, on well-formed and on spoiled requests. No sockets.

Behind it stands a real node on a temporary directory; the connections are made by hand, on transports that
keep what is written.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronik.broker.dispatch import Dispatcher
from chronik.broker.memory import NodeMemory
from chronik.cluster.metadata.topics import CreateTopic
from chronik.server.closing import Reason
from chronik.server.connection import Connection, make_receive_buffer
from chronik.server.node import Node
from chronik.server.read_turns import ReadTurns
from chronik.server.settings.loading import Settings
from chronik.sim.frames import Request, cut_frames, decode_response
from chronik.wire.apis import SUPPORTED, ApiKey, is_flexible, response_class
from chronik.wire.codec import decode, encode
from chronik.wire.messages.produce import ProduceRequest
from tests.proofs.fuzz.mutations import MUTATIONS, Mutation
from tests.support.protocol.generate import WAITING, World, any_request
from tests.unit.server.test_connection import FakeTransport

pytestmark = pytest.mark.long

WORLD = World(topics=("fuzz-a", "fuzz-b"), partitions=2)
SERIAL = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ANSWER_SECONDS_MAX = 10.0
FIRE_SECONDS_MAX = 0.05

# Sampled: hypothesis likes integers small and alike, which makes few different requests.
SEEDS = st.sampled_from(range(100_000))
SPOILED = st.tuples(SEEDS, st.sampled_from(MUTATIONS))
CHUNKS = st.sampled_from([1 << 18, 1 << 18, 1000, 17, 1])

T = TypeVar("T")


class Problems(logging.Handler):
    """What the loop and the log told of, since it was last asked."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._told.append(f"{record.getMessage()}: {record.exc_info}")

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._told.append(f"{context['message']}: {context.get('exception')!r}")

    def take(self) -> list[str]:
        told, self._told = self._told, []
        return told


class Stage:
    """A node in a loop of its own."""

    def __init__(self, directory: Path) -> None:
        self.problems = Problems()
        logging.getLogger("chronik").addHandler(self.problems)
        self.memory = NodeMemory(received_bytes_max=1 << 28, unsent_bytes_max=1 << 27)
        self._runner = asyncio.Runner()
        self._runner.get_loop().set_exception_handler(self.problems.on_loop_error)
        listeners = "PLAINTEXT://127.0.0.1:0"
        chosen = {"listeners": listeners, "data.dir": str(directory), "http.address": ""}
        self._node = Node(Settings.load(chosen, environment={}))
        self.run(self._start())

    def run(self, work: Awaitable[T]) -> T:
        async def done() -> T:
            return await work

        return self._runner.run(done())

    def close(self) -> None:
        self.run(self._node.stop())
        self._runner.close()
        logging.getLogger("chronik").removeHandler(self.problems)

    def apis_asked(self) -> set[ApiKey]:
        return {key for key, statistics in self._dispatcher.statistics().items() if statistics.requests}

    async def _start(self) -> None:
        await self._node.start()
        for topic in WORLD.topics:
            await self._node.broker.metadata.submit(CreateTopic(name=topic, partitions=WORLD.partitions))
        self._dispatcher = Dispatcher(self._node.broker, time.perf_counter)

    def connect(self) -> "Client":
        transport = LoopTransport()
        connection = Connection(
            connection_id=1,
            listener="PLAINTEXT",
            requests=self._dispatcher,
            log=self,
            memory=self.memory,
            receive_buffer=make_receive_buffer(),
            turns=ReadTurns(time.monotonic, ()),
            frame_bytes_max=1 << 20,
            now=time.monotonic,
        )
        connection.connection_made(transport)
        return Client(connection, transport)

    def on_open(self, connection: Connection) -> None: ...

    def on_close(self, connection: Connection, reason: Reason, detail: str) -> None: ...

    def on_received_too_much(self) -> None: ...


class LoopTransport(FakeTransport):
    """Lets a client wait for what the connection does to it."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = asyncio.Event()

    async def wait(self) -> None:
        await self._moved.wait()
        self._moved.clear()

    def write(self, data: object) -> None:
        super().write(data)
        self._moved.set()

    def resume_reading(self) -> None:
        super().resume_reading()
        self._moved.set()

    def close(self) -> None:
        super().close()
        self._moved.set()

    def abort(self) -> None:
        super().abort()
        self._moved.set()


class Client:
    """One connection from the client's side."""

    def __init__(self, connection: Connection, transport: LoopTransport) -> None:
        self._connection = connection
        self._transport = transport

    async def send(self, data: bytes, chunk: int) -> None:
        """As the loop delivers it: in pieces, and none while the connection does not read."""
        while data and not self._transport.is_closed:
            if not self._transport.is_reading_now:
                await self._transport.wait()
                continue
            buffer = self._connection.get_buffer(-1)
            count = min(len(buffer), len(data), chunk)
            buffer[:count] = data[:count]
            self._connection.buffer_updated(count)
            data = data[count:]

    async def receive(self, count: int) -> list[bytes]:
        """All frames that came, once there are so many."""
        while len(self.frames) < count and not self._transport.is_closed:
            await self._transport.wait()
        return self.frames

    @property
    def stream(self) -> bytes:
        return b"".join(self._transport.written)

    @property
    def frames(self) -> list[bytes]:
        return cut_frames(self.stream)

    def hang_up(self) -> None:
        self._connection.connection_lost(None)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("stage"))
    yield made
    made.close()
    # Else the tests would prove little.
    assert made.apis_asked() == set(SUPPORTED)


@settings(SERIAL, max_examples=800)
@given(seeds=st.lists(SEEDS, min_size=1, max_size=8), chunk=CHUNKS)
def test_well_formed_requests_are_answered_in_order(stage: Stage, seeds: list[int], chunk: int) -> None:
    asked = [_answered_request(Random(seed), number) for number, seed in enumerate(seeds)]

    frames = stage.run(_ask(stage, asked, chunk))

    for request, frame in zip(asked, frames, strict=True):
        # Byte for byte what the schema says: nothing is left over, nothing is missing.
        assert _encoded_again(request, frame) == frame
    assert stage.problems.take() == []
    assert stage.memory.received_bytes == 0


@settings(SERIAL, max_examples=1000)
@given(spoiled=st.lists(SPOILED, min_size=1, max_size=5), chunk=CHUNKS)
def test_spoiled_requests_are_answered_or_close_the_connection(
    stage: Stage, spoiled: list[tuple[int, Mutation]], chunk: int
) -> None:
    stream = b"".join(_spoil(Random(seed), mutation) for seed, mutation in spoiled)

    stage.run(_fire(stage, stream, chunk))

    assert stage.problems.take() == []
    assert stage.memory.received_bytes == 0
    assert stage.memory.unsent_bytes == 0


async def _ask(stage: Stage, asked: list[Request], chunk: int) -> list[bytes]:
    client = stage.connect()
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        await client.send(b"".join(request.frame for request in asked), chunk)
        frames = await client.receive(len(asked))
    client.hang_up()
    return frames


async def _fire(stage: Stage, stream: bytes, chunk: int) -> None:
    client = stage.connect()
    sending = asyncio.create_task(client.send(stream, chunk))
    # A request that waits for others (JoinGroup) would hold up the rest for longer than a test wants to wait.
    await asyncio.wait([sending], timeout=FIRE_SECONDS_MAX)
    assert not sending.done() or sending.exception() is None
    sending.cancel()
    assert sum(4 + len(frame) for frame in client.frames) == len(client.stream)
    client.hang_up()
    await asyncio.sleep(0)


def _answered_request(chance: Random, number: int) -> Request:
    """One that is answered at once, or after a sync."""
    while True:
        request = any_request(chance, WORLD, number)
        if request.api_key in WAITING:
            continue
        if (
            request.api_key is not ApiKey.PRODUCE
            or decode(ProduceRequest, request.version, request.body).acks
        ):
            return request


def _spoil(chance: Random, mutation: Mutation) -> bytes:
    return mutation(chance, any_request(chance, WORLD, 1).frame) or b"\0"


def _encoded_again(request: Request, frame: bytes) -> bytes:
    response = decode_response(request, frame)
    assert isinstance(response, response_class(request.api_key))
    has_tags = is_flexible(request.api_key, request.version) and request.api_key is not ApiKey.API_VERSIONS
    return frame[:4] + (b"\0" if has_tags else b"") + encode(response, request.version)
