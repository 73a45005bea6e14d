"""Topics that are there when the call returns: created once, led, or refused in time."""

import asyncio
import random
from collections.abc import Callable, Coroutine

import pytest

from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.leadership import Leader, LeadershipTable, PartitionKey
from chronik.cluster.metadata.topics import CreatePartitions, CreateTopic, DeleteTopic, TopicImage
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.offset_waiters import OffsetWaiters
from chronik.cluster.topic_creation import (
    create_topic,
    ensure_topic,
    ensure_topics,
    partition_keys,
    replication_notice,
    wait_ready,
)
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset

from .builders import DEFAULTS, World, register
from .fakes import FakeMetadataLog, wait_until_idle


class Others:
    """`Spread` of a cluster whose others apply when the play says so."""

    def __init__(self) -> None:
        self.reached = Offset(2**62)
        self.applied: list[Offset] = []
        self._waiters = OffsetWaiters()

    def on_applied(self, offset: Offset) -> None:
        self.applied.append(offset)

    def on_stalled(self) -> None:
        raise NotImplementedError

    async def wait_applied(self, offset: Offset, deadline: float) -> bool:
        return self.reached >= offset or await self._waiters.wait(offset, deadline)

    def reach(self, offset: Offset) -> None:
        self.reached = offset
        self._waiters.on_reached(offset)


class Scene:
    """A service whose node leads every new partition as soon as `leads` says so."""

    def __init__(self) -> None:
        self.log = FakeMetadataLog()
        self.others = Others()
        self.metadata = MetadataService(self.log, lambda: DEFAULTS, random.Random(0), propagation=self.others)
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
        await wait_until_idle()
        keys = partition_keys([scene.metadata.image.topics["a"]])
        scene.lead(keys[0])
        await wait_until_idle()
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
        await wait_until_idle()
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


def test_a_new_topic_is_waited_for_until_all_have_applied_it() -> None:
    async def play(scene: Scene) -> None:
        scene.others.reached = Offset(1)
        ensuring = asyncio.create_task(
            ensure_topic(scene.metadata, scene.leadership, CreateTopic(name="a"), far())
        )
        creating = asyncio.create_task(
            create_topic(scene.metadata, scene.leadership, CreateTopic(name="b"), far())
        )
        await wait_until_idle()
        offset = scene.metadata.applied_offset
        assert {"a", "b"} <= set(scene.metadata.image.topics)
        scene.others.reach(Offset(offset - 1))
        await wait_until_idle()
        assert not ensuring.done()
        assert not creating.done()
        # One that exists only needs leaders.
        assert await ensure_topic(scene.metadata, scene.leadership, CreateTopic(name="a"), near())
        scene.others.reach(offset)
        assert (await ensuring).name == "a"
        assert (await creating).name == "b"

    run(play)


def test_past_the_deadline_it_is_said_that_not_all_have_applied_it() -> None:
    async def play(scene: Scene) -> None:
        scene.others.reached = Offset(1)
        for attempt, code in (
            (ensure_topic, ErrorCode.LEADER_NOT_AVAILABLE),
            (create_topic, ErrorCode.REQUEST_TIMED_OUT),
        ):
            with pytest.raises(KafkaError) as caught:
                await attempt(scene.metadata, scene.leadership, CreateTopic(name=code.name), near())
            assert caught.value.code is code
            assert code.name in scene.metadata.image.topics

    run(play)


def test_create_topic_creates_refuses_and_validates() -> None:
    async def play(scene: Scene) -> None:
        metadata, leadership, command = scene.metadata, scene.leadership, CreateTopic(name="a")
        scene.leads = False
        checked = await create_topic(metadata, leadership, command, far(), validate_only=True)
        assert checked.name == "a"
        assert "a" not in metadata.image.topics
        with pytest.raises(KafkaError) as caught:
            await create_topic(metadata, leadership, command, near())
        assert caught.value.code is ErrorCode.REQUEST_TIMED_OUT
        with pytest.raises(KafkaError) as caught:
            await create_topic(metadata, leadership, command, far())
        assert caught.value.code is ErrorCode.TOPIC_ALREADY_EXISTS
        scene.log.is_held = True
        with pytest.raises(KafkaError) as caught:
            await create_topic(metadata, leadership, CreateTopic(name="b"), near())
        assert caught.value.code is ErrorCode.REQUEST_TIMED_OUT
        scene.log.commit()
        await wait_until_idle()

    run(play)


def test_added_partitions_are_ready_when_led_and_known() -> None:
    async def play(scene: Scene) -> None:
        await scene.metadata.submit(CreateTopic(name="a"))
        scene.leads, scene.others.reached = False, Offset(1)
        delta = await scene.metadata.submit(CreatePartitions(name="a", count=2))
        with pytest.raises(KafkaError) as caught:
            await wait_ready(scene.metadata, scene.leadership, delta, near())
        assert "no leaders" in str(caught.value)
        (created,) = delta.partitions_created
        scene.lead(PartitionKey(created.topic.topic_id, 1))
        with pytest.raises(KafkaError) as caught:
            await wait_ready(scene.metadata, scene.leadership, delta, near())
        assert "not known to all" in str(caught.value)
        scene.others.reach(scene.metadata.applied_offset)
        await wait_ready(scene.metadata, scene.leadership, delta, near())

    run(play)


def test_a_controller_that_cannot_be_had_is_a_leader_that_is_not_there_yet() -> None:
    async def play(scene: Scene) -> None:
        scene.log.can_decide = False
        with pytest.raises(KafkaError) as caught:
            await ensure_topic(scene.metadata, scene.leadership, CreateTopic(name="a"), near())
        assert caught.value.code is ErrorCode.LEADER_NOT_AVAILABLE

    run(play)


def test_the_others_hear_how_far_a_node_is_once_it_has_registered() -> None:
    async def play(scene: Scene) -> None:
        assert scene.others.applied == [1]
        await scene.metadata.submit(CreateTopic(name="a"))
        assert scene.others.applied == [1, 3]

    async def unregistered(scene: Scene) -> None:
        again = Others()
        service = MetadataService(scene.log, lambda: DEFAULTS, random.Random(0), propagation=again)
        service.replay()
        await service.submit(CreateTopic(name="a"))
        assert again.applied == []
        await service.submit(register(1))
        assert again.applied == [3]

    run(unregistered)
    run(play)


# Two replicas.


def image_of(replicas: int, partitions: int = 1) -> TopicImage:
    command = CreateTopic(name="t", partitions=partitions, replication_factor=replicas)
    return World(4).do(command).topics_created[0]


@pytest.mark.parametrize("replicas", [1, 3, 4])
def test_other_numbers_of_replicas_are_nothing_to_speak_of(replicas: int) -> None:
    assert replication_notice(image_of(replicas)) is None


def test_two_replicas_are_said_to_survive_nothing() -> None:
    notice = replication_notice(image_of(2, partitions=3))
    assert notice is not None
    assert notice.startswith("3 partition(s) of topic t have 2 replicas")
    assert "whatever min.insync.replicas says" in notice


@pytest.mark.parametrize("is_asked_for", [True, False])
def test_it_is_in_the_log_once_when_the_topic_is_made(
    caplog: pytest.LogCaptureFixture, is_asked_for: bool
) -> None:
    """By CreateTopics, or by itself when somebody first writes to it."""

    @virtual
    async def test() -> None:
        scene = Scene()
        for node in (1, 2):
            await scene.metadata.submit(register(node))
        command = CreateTopic(name="t", replication_factor=2)
        if is_asked_for:
            await create_topic(scene.metadata, scene.leadership, command, far(), validate_only=True)
            await create_topic(scene.metadata, scene.leadership, command, far())
        else:
            await ensure_topic(scene.metadata, scene.leadership, command, far())
            await ensure_topic(scene.metadata, scene.leadership, command, far())

    with caplog.at_level("WARNING", "chronik.cluster.topic_creation"):
        test()
    (line,) = caplog.records
    assert line.getMessage().startswith("1 partition(s) of topic t have 2 replicas")
