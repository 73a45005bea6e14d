"""A disk that fails at any moment of a busy life: nothing acknowledged is lost, nothing goes unanswered."""

import asyncio
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from chronik.broker.log_maintenance import LogMaintenance
from chronik.sim.disk import CrashDisk
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset
from tests.support.broker_room import BrokerRoom

pytestmark = pytest.mark.long

NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
BROKEN = OSError(errno.EIO, "Input/output error")

TOLD = {
    ErrorCode.NONE,
    ErrorCode.KAFKA_STORAGE_ERROR,
    # What was not created, or was created in the first half.
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.TOPIC_ALREADY_EXISTS,
}


class FailingDisk(CrashDisk):
    """Fails every change from one step on, for so many steps."""

    def __init__(self) -> None:
        super().__init__()
        self._first = self._count = 0
        self._error = BROKEN
        self.failures = 0

    def fail_steps(self, first: int, count: int, error: OSError) -> None:
        self._first, self._count, self._error = self.steps + first, count, error

    def step(self, operation: str, path: str) -> None:
        super().step(operation, path)
        if self._first < self.steps <= self._first + self._count:
            self.failures += 1
            raise self._error


class Life:
    """What is done in it, and what was acknowledged."""

    def __init__(self, room: BrokerRoom) -> None:
        self.room = room
        self.acknowledged: dict[str, dict[int, bytes]] = {"t": {}, "u": {}}
        self.created: set[str] = set()
        # All that anybody was told.
        self.codes: set[ErrorCode] = set()
        self._number = 0

    async def try_all(self) -> None:
        await self._create("t")
        await self._produce("t", 3)
        await self._create("u")
        await self._produce("u", 2)
        await self._delete_records("t", 1)
        await self._produce("t", 3)
        await LogMaintenance(self.room.broker.replicas, lambda: 1).run_once()
        await self._create("doomed")
        await self._delete("doomed")
        await self._produce("u", 2)
        await wait_until_idle()

    async def _create(self, topic: str) -> None:
        with self._refusals():
            await self.room.create(topic, 1, internal_segment_bytes="300")
            self.created.add(topic)

    async def _delete(self, topic: str) -> None:
        # As with records: what was refused may have been done all the same.
        self.created.discard(topic)
        with self._refusals():
            await self.room.delete(topic)

    async def _produce(self, topic: str, count: int) -> None:
        for _ in range(count):
            self._number += 1
            value = b"%d" % self._number * 40
            code, offset = await self.room.produce(topic, value)
            self.codes.add(code)
            if code is ErrorCode.NONE:
                self.acknowledged[topic][offset] = value

    async def _delete_records(self, topic: str, before: int) -> None:
        with self._refusals():
            partition = self.room.partition(topic)
            if partition.high_watermark >= before:
                # Whether it will be done is open from now on: nothing is claimed of these records any more.
                self.acknowledged[topic].pop(before - 1, None)
                await partition.delete_records(Offset(before))

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            self.codes.add(error.code)


async def check(room: BrokerRoom, life: Life) -> None:
    """Everything acknowledged is there, where it was said to be."""
    assert life.created <= set(room.broker.metadata.image.topics)
    for topic, records in life.acknowledged.items():
        for offset, value in records.items():
            code, values = await room.fetch(topic, offset)
            assert code is ErrorCode.NONE
            assert values[0] == value


def live_with_failures(first: int, count: int, error: OSError, *, loses_power: bool) -> int:
    """How many operations failed."""
    unhandled: list[dict[str, Any]] = []
    failures = 0

    @virtual
    async def play() -> None:
        nonlocal failures
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        disk = FailingDisk()
        room = await BrokerRoom(disk).open()
        life = Life(room)
        disk.fail_steps(first, count, error)
        await life.try_all()
        failures = disk.failures
        disk.fail_steps(0, 0, error)
        room.broker.replicas.retry_offline()
        await life.try_all()
        if loses_power:
            disk.crash(Random(first))
        else:
            await room.close()
        again = await BrokerRoom(disk, room.clock).open()
        await check(again, life)
        await again.close()
        assert life.codes <= TOLD
        assert disk.exists(".kafka_cleanshutdown")

    play()
    assert unhandled == []
    return failures


@pytest.mark.parametrize("error", [NO_SPACE, BROKEN], ids=["full", "broken"])
@pytest.mark.parametrize("count", [1, 5, 1_000_000])
@pytest.mark.parametrize("loses_power", [False, True], ids=["stops", "loses power"])
def test_nothing_acknowledged_is_lost_and_nothing_goes_unanswered(
    count: int, error: OSError, loses_power: bool
) -> None:
    first = 0
    while live_with_failures(first, count, error, loses_power=loses_power):
        first += 1
    assert first > 50, "there was hardly a moment to fail at"
