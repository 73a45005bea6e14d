"""Partitions that wait to be opened while their topics come and go, and the node ends."""

import asyncio
from collections import Counter
from collections.abc import Awaitable

import pytest

from chronik.broker.partition import Partition
from chronik.cluster.image import ClusterDelta
from chronik.cluster.metadata.topics import GrownTopic, TopicChanges, TopicPartitionImage
from chronik.node.partitions import LocalPartitions
from chronik.sim.virtual_time import virtual, wait_until_idle
from chronik.vocab.config.topic import TopicConfig
from tests.support.broker_room import BrokerRoom

MANY = 200


class Watched:
    """Counts openings, and frees names when it is told to."""

    def __init__(self, room: BrokerRoom, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: Counter[int] = Counter()
        self.free: dict[int, asyncio.Event] = {}
        self._partitions = room.local._partitions
        self._open, self._delete = self._partitions.open, self._partitions.delete
        monkeypatch.setattr(self._partitions, "open", self.open)
        monkeypatch.setattr(self._partitions, "delete", self.delete)

    def open(self, created: TopicPartitionImage, config: TopicConfig) -> Partition:
        self.opened[created.partition] += 1
        return self._open(created, config)

    def delete(self, partition: Partition) -> Awaitable[None]:
        deletion, free = self._delete(partition), asyncio.Event()
        self.free[partition.name.partition] = free

        async def later() -> None:
            await deletion
            await free.wait()

        return later()


@virtual
async def test_a_name_that_becomes_free_while_its_turn_has_not_come_is_opened_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = await BrokerRoom().open()
    await room.create("t", partitions=MANY)
    await wait_until_idle()
    watched = Watched(room, monkeypatch)
    await room.delete("t")
    await wait_until_idle()
    subscribed = asyncio.Event()
    room.broker.metadata.subscribe(lambda delta, image: subscribed.set())
    creation = asyncio.ensure_future(room.create("t", partitions=MANY))
    await subscribed.wait()
    last = MANY - 1
    assert last not in watched.opened
    for free in watched.free.values():
        free.set()
    await creation
    await wait_until_idle()
    assert watched.opened == Counter(range(MANY))
    assert len(room.broker.replicas.partitions()) == MANY
    await room.close()


@virtual
async def test_nothing_is_opened_once_the_node_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    room = await BrokerRoom().open()
    await room.create("t")
    watched = Watched(room, monkeypatch)
    close = LocalPartitions.close

    async def closing(partitions: LocalPartitions, ours: list[Partition]) -> object:
        image = room.broker.metadata.image
        if ours and ours[0].name.topic == "t":
            # A record of another node that is applied meanwhile.
            created = TopicChanges(topics=(GrownTopic(image.topics["t"], 0),))
            room.broker.replicas.on_metadata(ClusterDelta.made_of(created), image)
        return await close(partitions, ours)

    monkeypatch.setattr(LocalPartitions, "close", closing)
    await room.close()
    assert watched.opened == Counter()
