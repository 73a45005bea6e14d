"""Figures are taken and written in pieces, between which the loop turns."""

import asyncio
from collections.abc import Iterator

from chronik.server.http.snapshot import in_slices
from chronik.server.metrics_text import Table, labelled, write_tables

MANY = 20_000


class Turns:
    """How much of `work` was done in the longest turn of the loop."""

    def __init__(self) -> None:
        self.work = 0
        self.longest = 0
        self._before = 0
        self._is_over = False

    def begin(self) -> None:
        asyncio.get_running_loop().call_soon(self._turn)

    def end(self) -> None:
        self._turn()
        self._is_over = True

    def _turn(self) -> None:
        self.longest = max(self.longest, self.work - self._before)
        self._before = self.work
        if not self._is_over:
            asyncio.get_running_loop().call_soon(self._turn)


def test_a_snapshot_of_many_partitions_lets_the_loop_turn() -> None:
    async def run() -> None:
        turns = Turns()

        def read(item: int) -> int:
            turns.work += 1
            return -item

        turns.begin()
        rows = await in_slices(range(MANY), read)
        turns.end()
        assert rows == [-item for item in range(MANY)]
        assert turns.longest <= 256

    asyncio.run(run())


def test_long_tables_are_written_in_pieces() -> None:
    async def run() -> None:
        turns = Turns()

        def rows() -> Iterator[tuple[str, float]]:
            for number in range(MANY):
                turns.work += 1
                yield labelled({"topic": f"t{number}"}), number

        turns.begin()
        parts = await write_tables([Table("kafka_log_log_size", "gauge", "Bytes.", rows())])
        turns.end()
        lines = b"".join(parts).splitlines()
        assert len(lines) == 2 + MANY
        assert lines[:3] == [
            b"# HELP kafka_log_log_size Bytes.",
            b"# TYPE kafka_log_log_size gauge",
            b'kafka_log_log_size{topic="t0"} 0',
        ]
        assert turns.longest <= 500

    asyncio.run(run())
