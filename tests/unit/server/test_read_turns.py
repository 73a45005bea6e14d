"""Many connections that have something to read at once share the turns of the loop."""

import asyncio

from chronik.server.read_turns import (
    LATE_BYTES_MAX,
    LATE_MAX,
    READ_SECONDS_MAX,
    RESUMED_MAX,
    ReadTurns,
)
from tests.unit.server.test_connection import FETCH, PRODUCE, Server, request

# A time that is not near zero, as a loop's is not.
START = 1000.0


class Crowd:
    """Servers of one connection each, whose connections share the turns of one loop and one clock."""

    def __init__(self, count: int, frame_bytes_max: int = 10_000) -> None:
        self.now = START
        self.connections: list[object] = []
        self.turns = ReadTurns(lambda: self.now, self.connections)  # type: ignore[arg-type]
        self.servers = [Server(frame_bytes_max, self.turns) for _ in range(count)]
        for server in self.servers:
            server.now = START
            self.connections.append(server.connection)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for server in self.servers:
            server.now = self.now

    def spend(self) -> None:
        """Use up the time of this turn, by the first connection."""
        for _ in range(2):
            if not self.turns.is_spent:
                self.pass_time(2 * READ_SECONDS_MAX)
                self.servers[0].receive(request(FETCH, b"spending"))
        assert self.turns.is_spent


def test_connections_are_served_at_once_while_there_is_time() -> None:
    async def play() -> None:
        crowd = Crowd(50)
        for server in crowd.servers:
            server.receive(request(FETCH, b"fetch"))
            crowd.pass_time(READ_SECONDS_MAX / 100)
            assert server.transport.written == [b"<fetch>"]
            assert server.transport.is_reading_now

    asyncio.run(play())


def test_time_that_passes_between_turns_is_not_spent() -> None:
    async def play() -> None:
        crowd = Crowd(1)
        server = crowd.servers[0]
        for _ in range(5):
            server.receive(request(FETCH, b"fetch"))
            crowd.pass_time(READ_SECONDS_MAX)
            await asyncio.sleep(0)
        assert len(server.transport.written) == 5
        assert not crowd.turns.is_spent

    asyncio.run(play())


def test_whoever_is_late_is_served_in_the_next_turn() -> None:
    async def play() -> None:
        crowd = Crowd(2)
        crowd.spend()
        late = crowd.servers[1]
        late.receive(request(FETCH, b"late"))
        assert late.started == []
        assert not late.transport.is_reading_now
        await asyncio.sleep(0)
        assert late.transport.written == [b"<late>"]
        assert late.transport.is_reading_now

    asyncio.run(play())


def test_what_is_longer_is_read_on_where_it_stopped() -> None:
    async def play() -> None:
        crowd = Crowd(2)
        late = crowd.servers[1]
        name = bytes(number % 251 for number in range(5_000))
        data = request(FETCH, name)
        late.receive(data[:1_000])
        crowd.spend()
        late.receive(data[1_000:])  # as much as it reads
        rest = data[1_000 + LATE_BYTES_MAX :]
        assert not late.transport.is_reading_now
        await asyncio.sleep(0)
        late.receive(rest)
        assert late.started == [name]

    asyncio.run(play())


def test_an_answer_starts_nothing_before_its_turn() -> None:
    async def play() -> None:
        crowd = Crowd(2)
        late = crowd.servers[1]
        answer = late.later(b"p1")
        late.receive(request(PRODUCE, b"p1"))
        await asyncio.sleep(0)
        crowd.spend()
        late.receive(request(FETCH, b"behind"))
        answer.set_result([b"<p1>"])
        late.connection._on_reply(late.connection._answers[0], answer)
        assert late.transport.written == [b"<p1>"]
        assert late.started == [b"p1"]
        await asyncio.sleep(0)
        assert late.transport.written == [b"<p1>", b"<behind>"]

    asyncio.run(play())


def test_a_connection_closed_meanwhile_starts_nothing() -> None:
    async def play() -> None:
        crowd = Crowd(2)
        crowd.spend()
        late = crowd.servers[1]
        late.receive(request(FETCH, b"late"))
        late.connection.connection_lost(None)
        await asyncio.sleep(0)
        assert late.started == []

    asyncio.run(play())


def test_of_a_crowd_all_stop_and_some_go_on_in_each_turn() -> None:
    async def play() -> None:
        crowd = Crowd(LATE_MAX + 3 * RESUMED_MAX)
        crowd.spend()
        for server in crowd.servers[1 : LATE_MAX + 1]:
            server.receive(request(FETCH, b"late"))
        assert not any(server.transport.is_reading_now for server in crowd.servers)
        going_on = 0
        for _ in range(-(-len(crowd.servers) // RESUMED_MAX)):
            await asyncio.sleep(0)
            before, going_on = going_on, sum(server.transport.is_reading_now for server in crowd.servers)
            assert 0 < going_on - before <= RESUMED_MAX
        assert going_on == len(crowd.servers)
        assert all(server.started == [b"late"] for server in crowd.servers[1 : LATE_MAX + 1])

    asyncio.run(play())


def test_requests_of_the_queue_take_no_more_than_their_time_of_a_turn() -> None:
    async def play() -> None:
        crowd = Crowd(5)
        crowd.spend()
        for server in crowd.servers[1:]:
            server.receive(request(FETCH, b"late"))
        served = []
        for server in crowd.servers[1:]:
            dispatch = server.dispatch

            def slow(frame: memoryview, connection: object, dispatch: object = dispatch) -> object:
                crowd.pass_time(READ_SECONDS_MAX * 0.3)
                return dispatch(frame, connection)  # type: ignore[operator]

            server.connection._requests.dispatch = slow  # type: ignore[method-assign,assignment]
        for _ in range(2):
            await asyncio.sleep(0)
            served.append(sum(bool(server.started) for server in crowd.servers[1:]))
        assert served == [2, 4]

    asyncio.run(play())


def test_the_queue_goes_on_while_connections_are_served() -> None:
    """A queue that is left is taken up again, also when somebody else scheduled the next turn."""

    async def play() -> None:
        crowd = Crowd(RESUMED_MAX * 2)
        for _ in range(3):
            crowd.spend()
            for server in crowd.servers[1:]:
                server.receive(request(FETCH, b"late"))
            for _ in range(3):
                await asyncio.sleep(0)
            assert all(server.transport.is_reading_now for server in crowd.servers)

    asyncio.run(play())
