"""Producer ids: each once, blocks fetched ahead, failures told."""

import asyncio
import random

import pytest

from chronik.cluster.metadata.producer_ids import PRODUCER_ID_BLOCK
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.producer_ids import PREFETCH_BELOW, ProducerIds
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId

from .builders import DEFAULTS
from .fakes import FakeMetadataLog, wait_until_idle


class Scene:
    def __init__(self) -> None:
        self.log = FakeMetadataLog()
        self.metadata = MetadataService(self.log, lambda: DEFAULTS, random.Random(0))
        self.ids = ProducerIds(self.metadata, NodeId(1))

    async def take(self, count: int) -> list[int]:
        return [await self.ids.next() for _ in range(count)]


def test_ids_are_handed_out_in_order_across_blocks() -> None:
    async def play() -> None:
        scene = Scene()
        taken = await scene.take(2 * PRODUCER_ID_BLOCK + 1)
        assert taken == list(range(2 * PRODUCER_ID_BLOCK + 1))

    asyncio.run(play())


def test_many_at_once_share_one_request_and_no_id() -> None:
    async def play() -> None:
        scene = Scene()
        count = PRODUCER_ID_BLOCK + 50
        taken = await asyncio.gather(*(scene.ids.next() for _ in range(count)))
        assert sorted(taken) == list(range(count))
        assert scene.log.appends <= 3

    asyncio.run(play())


def test_the_next_block_is_there_before_it_is_needed() -> None:
    async def play() -> None:
        scene = Scene()
        await scene.take(PRODUCER_ID_BLOCK - PREFETCH_BELOW)
        await wait_until_idle()
        assert scene.log.appends == 1
        await scene.take(1)
        await wait_until_idle()
        assert scene.log.appends == 2
        scene.log.is_held = True
        assert await scene.take(PREFETCH_BELOW) == list(range(901, 1001))

    asyncio.run(play())


def test_two_nodes_never_share_an_id() -> None:
    async def play() -> None:
        scene = Scene()
        other = ProducerIds(scene.metadata, NodeId(2))
        first, second = await asyncio.gather(scene.ids.next(), other.next())
        assert (first, second) == (0, PRODUCER_ID_BLOCK)

    asyncio.run(play())


def test_a_restart_begins_a_new_block() -> None:
    async def play() -> None:
        scene = Scene()
        await scene.take(3)
        again = MetadataService(scene.log, lambda: DEFAULTS, random.Random(0))
        again.replay()
        assert await ProducerIds(again, NodeId(1)).next() == PRODUCER_ID_BLOCK

    asyncio.run(play())


def test_who_waits_is_told_of_a_failure_and_may_try_again() -> None:
    async def play() -> None:
        scene = Scene()
        scene.log.failure = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
        for outcome in await asyncio.gather(scene.ids.next(), scene.ids.next(), return_exceptions=True):
            assert isinstance(outcome, KafkaError)
            assert outcome.code is ErrorCode.KAFKA_STORAGE_ERROR
        scene.log.failure = None
        assert await scene.ids.next() == 0

    asyncio.run(play())


def test_a_failed_prefetch_is_made_good() -> None:
    async def play() -> None:
        scene = Scene()
        await scene.take(1)
        scene.log.failure = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
        await scene.take(PRODUCER_ID_BLOCK - 1)
        await wait_until_idle()
        with pytest.raises(KafkaError):
            await scene.ids.next()
        scene.log.failure = None
        assert await scene.ids.next() == PRODUCER_ID_BLOCK

    asyncio.run(play())


def test_one_who_goes_away_does_not_take_the_request_along() -> None:
    async def play() -> None:
        scene = Scene()
        scene.log.is_held = True
        gone = asyncio.create_task(scene.ids.next())
        stays = asyncio.create_task(scene.ids.next())
        await wait_until_idle()
        gone.cancel()
        await wait_until_idle()
        scene.log.commit()
        assert await stays == 0

    asyncio.run(play())
