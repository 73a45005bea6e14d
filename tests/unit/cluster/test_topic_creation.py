"""Topics that are there when the call returns: created once, led, or refused in time."""

import asyncio
import random
from collections.abc import Callable, Coroutine

import pytest

from chronik.cluster.commands import CreateTopic, DeleteTopic
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.leadership import Leader, LeadershipTable, PartitionKey
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.topic_creation import ensure_topic, ensure_topics, partition_keys
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId

from .builders import DEFAULTS, register
from .fakes import FakeMetadataLog, settle


class Scene:
    """A service whose node leads every new partition as soon as `leads` says so."""

    def __init__(self) -> None:
        self.log = FakeMetadataLog()
        self.metadata = MetadataService(self.log, lambda: DEFAULTS, random.Random(0))
        self.leadership = LeadershipTable()
        self.leads = True
        self.metadata.subscribe(self._on_metadata)

    def _on_metadata(self, delta: ClusterDelta, image: ClusterImage) -> None:
        for created in delta.partitions_created if self.leads else ():
            self.lead(PartitionKey(created.topic.topic_id, created.partition))

    def lead(self, key: PartitionKey) -> None:
        self.leadership.announce(*key, Leader(NodeId(1), LeaderEpoch(1)))


def run(play: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    async def scene() -> None:
        stage = Scene()
        await stage.metadata.submit(register(1))
        await play(stage)

    asyncio.run(scene())


def far() -> float:
    return asyncio.get_running_loop().time() + 30


def near() -> float:
    return asyncio.get_running_loop().time() + 0.01


def test_a_new_topic_has_leaders() -> None:
    async def play(scene: Scene) -> None:
        command = CreateTopic(name="a", partitions=3)
        topic = await ensure_topic(scene.metadata, scene.leadership, command, far())
        assert topic == scene.metadata.image.topics["a"]
        assert all(scene.leadership.leader(*key) for key in partition_keys([topic]))

    run(play)


def test_the_answer_waits_for_the_last_leader() -> None:
    async def play(scene: Scene) -> None:
        scene.leads = False
        command = CreateTopic(name="a", partitions=2)
        ensuring = asyncio.create_task(ensure_topic(scene.metadata, scene.leadership, command, far()))
        await settle()
        keys = partition_keys([scene.metadata.image.topics["a"]])
        scene.lead(keys[0])
        await settle()
        assert not ensuring.done()
        scene.lead(keys[1])
        assert (await ensuring).name == "a"

    run(play)


def test_an_existing_topic_is_taken_as_it_is() -> None:
    async def play(scene: Scene) -> None:
        await scene.metadata.submit(CreateTopic(name="a", partitions=3))
        scene.log.is_held = True
        topic = await ensure_topic(scene.metadata, scene.leadership, CreateTopic(name="a"), far())
        assert len(topic.partitions) == 3

    run(play)


def test_many_who_want_one_topic_create_it_once() -> None:
    async def play(scene: Scene) -> None:
        scene.log.appends = 0
        wanted = [
            ensure_topic(scene.metadata, scene.leadership, CreateTopic(name="a"), far()) for _ in range(20)
        ]
        topics = await asyncio.gather(*wanted)
        assert len({topic.topic_id for topic in topics}) == 1
        assert scene.log.appends == 1

    run(play)


def test_a_topic_that_is_deleted_meanwhile_is_created_again() -> None:
    async def play(scene: Scene) -> None:
        creating = asyncio.create_task(scene.metadata.submit(CreateTopic(name="a")))
        await asyncio.sleep(0)
        ensuring = asyncio.create_task(
            ensure_topic(scene.metadata, scene.leadership, CreateTopic(name="a"), far())
        )
        deleting = asyncio.create_task(scene.metadata.submit(DeleteTopic(name="a")))
        topic = await ensuring
        assert topic == scene.metadata.image.topics["a"]
        assert topic.topic_id != (await creating).topics_created[0].topic_id
        await deleting

    run(play)


def test_without_leaders_the_deadline_ends_it() -> None:
    async def play(scene: Scene) -> None:
        scene.leads = False
        with pytest.raises(KafkaError) as caught:
            await ensure_topic(scene.metadata, scene.leadership, CreateTopic(name="a"), near())
        assert caught.value.code is ErrorCode.LEADER_NOT_AVAILABLE

    run(play)


def test_a_commit_that_takes_too_long_ends_at_the_deadline_and_the_topic_comes_later() -> None:
    async def play(scene: Scene) -> None:
        scene.log.is_held = True
        with pytest.raises(KafkaError) as caught:
            await ensure_topic(scene.metadata, scene.leadership, CreateTopic(name="a"), near())
        assert caught.value.code is ErrorCode.LEADER_NOT_AVAILABLE
        scene.log.commit()
        await settle()
        assert "a" in scene.metadata.image.topics

    run(play)


def test_many_topics_share_a_commit_and_fail_one_by_one() -> None:
    async def play(scene: Scene) -> None:
        scene.log.appends = 0
        commands = [CreateTopic(name=name) for name in ("a", "not a name", "b")]
        a, refused, b = await ensure_topics(scene.metadata, scene.leadership, commands, far())
        assert isinstance(refused, KafkaError)
        assert refused.code is ErrorCode.INVALID_TOPIC_EXCEPTION
        assert [a, b] == [scene.metadata.image.topics[name] for name in ("a", "b")]
        assert scene.log.appends == 1

    run(play)
