"""A Fetch of very many partitions: read, waited for and answered in slices.

What `delayed_fetch` does for all others in one turn of the loop, and again at each commit, would hold it for
10 microseconds a partition.
"""

import asyncio
from collections.abc import Mapping

from chronik.broker.context import Broker
from chronik.broker.delayed_fetch import WAIT_MS_MAX, Answer, is_enough, load_cold
from chronik.broker.fetch_reader import FetchLimits, Reading, find_partition, read_in_steps
from chronik.broker.fetch_session import FetchedPartition, PartitionKey
from chronik.broker.gateway import PartitionGateway
from chronik.broker.slices import Sliced
from chronik.vocab.errors import KafkaError
from chronik.wire.messages.fetch import FetchResponse

# A request for more partitions is large.
LARGE_PARTITIONS = 500


class LargeFetch:
    """One request. Created by the handler, ends with its answer or with its task."""

    def __init__(
        self,
        broker: Broker,
        wanted: Mapping[PartitionKey, FetchedPartition],
        limits: FetchLimits,
        answer: Answer,
    ) -> None:
        self._broker = broker
        self._wanted = wanted
        self._limits = limits
        self._answer = answer
        self._time = asyncio.get_running_loop().time
        self._progress = asyncio.Event()
        # Each with whether it led when the wait began.
        self._watched: list[tuple[PartitionGateway, bool]] = []

    async def run(self) -> FetchResponse:
        deadline = self._time() + max(0, min(self._limits.max_wait_ms, WAIT_MS_MAX)) / 1000
        try:
            reading = await self._read_enough(deadline)
        finally:
            for partition, _ in self._watched:
                partition.remove_fetch_waiter(self)
        await load_cold(self._broker, reading, self._limits)
        for fetched in reading.fetched:
            if fetched.traffic is not None:
                fetched.traffic.bytes_out += fetched.size
        return await Sliced(self._answer.build_in_steps(reading.fetched), self._time).finish()

    def on_progress(self) -> None:
        """A partition has committed or failed."""
        self._progress.set()

    async def _read_enough(self, deadline: float) -> Reading:
        while True:
            # Before the read: a commit during it may be of a partition that was read already.
            self._progress.clear()
            reading = await Sliced(
                read_in_steps(self._broker, self._wanted, self._limits), self._time
            ).finish()
            is_moved = any(partition.is_leader != led for partition, led in self._watched)
            is_late = self._time() >= deadline
            if is_late or is_moved or is_enough(self._broker, reading, self._limits, self._wanted):
                return reading
            if not self._watched:
                # And once more, for commits before the watch began.
                self._watch()
                continue
            try:
                async with asyncio.timeout_at(deadline):
                    await self._progress.wait()
            except TimeoutError:
                pass

    def _watch(self) -> None:
        for key in self._wanted:
            try:
                partition = find_partition(self._broker, key)
            except KafkaError:
                continue
            partition.add_fetch_waiter(self)
            self._watched.append((partition, partition.is_leader))
