"""Metadata: what is shown to whom, what is created, and that what is shown can be used."""

import asyncio
from collections.abc import Generator

import pytest

from chronik.broker.handlers import metadata
from chronik.cluster.leadership import Leader
from chronik.cluster.metadata.topics import CreateTopic
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_NODE, NO_TOPIC_ID, LeaderEpoch, TopicId
from chronik.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponseTopic,
)
from tests.unit.cluster.fakes import wait_until_idle

from .metadata_stage import MetadataStage, answered, context, over_the_wire, play

VERSIONS = range(14)
LATEST = 13
NOT_ASKED = -(2**31)


def asking(*names: str, create: bool = False) -> MetadataRequest:
    topics = [MetadataRequestTopic(name=name) for name in names]
    return MetadataRequest(topics=topics, allow_auto_topic_creation=create)


async def ask(
    stage: MetadataStage, request: MetadataRequest, version: int = LATEST, listener: str = "PLAINTEXT"
) -> MetadataResponse:
    received = over_the_wire(request, version)
    response = metadata.handle(stage.broker, context(version, listener=listener), received)
    return over_the_wire(await answered(response), version)


def codes(response: MetadataResponse) -> dict[str | None, int]:
    return {topic.name: topic.error_code for topic in response.topics}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_topic_is_shown_with_its_leaders(version: int) -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="a", partitions=2))
        response = await ask(stage, asking("a"), version)
        assert response.brokers == [MetadataResponseBroker(node_id=1, host="localhost", port=9092)]
        (topic,) = response.topics
        assert (topic.error_code, topic.name, topic.is_internal) == (0, "a", False)
        assert [p.partition_index for p in topic.partitions] == [0, 1]
        for partition in topic.partitions:
            assert (partition.error_code, partition.leader_id) == (0, 1)
            assert partition.replica_nodes == partition.isr_nodes == [1]
            assert partition.offline_replicas == []
            assert partition.leader_epoch == (3 if version >= 7 else -1)
        if version >= 1:
            assert response.controller_id == 1
        if version >= 2:
            assert response.cluster_id == "cluster"
        if version >= 10:
            assert topic.topic_id == stage.metadata.image.topics["a"].topic_id

    play(scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_all_topics(version: int) -> None:
    async def scene(stage: MetadataStage) -> None:
        for name in ("a", "b"):
            await stage.metadata.submit(CreateTopic(name=name))
        everything = MetadataRequest(topics=None if version >= 1 else [])
        assert codes(await ask(stage, everything, version)) == {"a": 0, "b": 0}

    play(scene)


def test_an_empty_list_asks_for_brokers_only() -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="a"))
        response = await ask(stage, asking(), 1)
        assert response.topics == []
        assert len(response.brokers) == 1

    play(scene)


def test_nothing_is_created_unless_asked_and_allowed() -> None:
    async def scene(stage: MetadataStage) -> None:
        unknown = {"a": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        assert codes(await ask(stage, asking("a"))) == unknown
        assert stage.log.appends == 0

    async def disabled(stage: MetadataStage) -> None:
        unknown = {"a": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        assert codes(await ask(stage, asking("a", create=True))) == unknown
        assert stage.log.appends == 0

    play(scene)
    play(disabled, auto_create_topics_enable="false")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_topic_is_created_with_leaders_on_the_first_answer(version: int) -> None:
    async def scene(stage: MetadataStage) -> None:
        response = await ask(stage, asking("a", "b", create=True), version)
        assert codes(response) == {"a": 0, "b": 0}
        assert [len(topic.partitions) for topic in response.topics] == [3, 3]
        assert all(p.leader_id == 1 and not p.error_code for t in response.topics for p in t.partitions)
        # Both in one commit.
        assert stage.log.appends == 1

    play(scene, num_partitions="3")


def test_many_clients_create_one_topic_once_and_all_succeed() -> None:
    async def scene(stage: MetadataStage) -> None:
        responses = await asyncio.gather(*(ask(stage, asking("a", create=True)) for _ in range(20)))
        assert {response.topics[0].error_code for response in responses} == {0}
        assert len({response.topics[0].topic_id for response in responses}) == 1
        assert stage.log.appends == 1

    play(scene)


def test_the_answer_waits_for_a_topic_that_somebody_else_is_creating() -> None:
    async def scene(stage: MetadataStage) -> None:
        stage.leads = False
        delta = await stage.metadata.submit(CreateTopic(name="a"))
        everything = asyncio.create_task(ask(stage, MetadataRequest(topics=None)))
        by_name = asyncio.create_task(ask(stage, asking("a")))
        topic_id = stage.metadata.image.topics["a"].topic_id
        by_id = asyncio.create_task(
            ask(stage, MetadataRequest(topics=[MetadataRequestTopic(topic_id=topic_id, name=None)]))
        )
        await wait_until_idle()
        assert not everything.done()
        assert not by_name.done()
        assert not by_id.done()
        # Who asks for something else does not wait.
        assert (await ask(stage, asking("b"))).topics
        stage.lead(delta)
        for task in (everything, by_name, by_id):
            (partition,) = (await task).topics[0].partitions
            assert (partition.error_code, partition.leader_id) == (0, 1)

    play(scene)


def test_leaders_that_do_not_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "_LEADER_WAIT_S", 0.01)

    async def scene(stage: MetadataStage) -> None:
        stage.leads = False
        response = await ask(stage, asking("a", create=True))
        assert codes(response) == {"a": ErrorCode.LEADER_NOT_AVAILABLE}

    play(scene)


def test_a_partition_whose_leader_resigned_is_answered_at_once() -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="a"))
        topic_id = stage.metadata.image.topics["a"].topic_id
        stage.leadership.announce(topic_id, 0, Leader(NO_NODE, LeaderEpoch(3)))
        pending = metadata.handle(stage.broker, context(LATEST), asking("a"))
        assert isinstance(pending, Generator)
        response = await answered(pending)
        (partition,) = response.topics[0].partitions
        assert partition.error_code == ErrorCode.LEADER_NOT_AVAILABLE
        assert partition.leader_id == -1

    play(scene)


@pytest.mark.parametrize("name", ["", ".", "a b", "x" * 250, "__meta"])
@pytest.mark.parametrize("create", [True, False])
def test_names_that_no_topic_can_have(name: str, create: bool) -> None:
    async def scene(stage: MetadataStage) -> None:
        response = await ask(stage, asking(name, create=create))
        assert codes(response) == {name: ErrorCode.INVALID_TOPIC_EXCEPTION}
        assert stage.log.appends == 0

    play(scene)


def test_a_name_that_collides_is_not_created() -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="a.b"))
        response = await ask(stage, asking("a_b", "c", create=True))
        assert codes(response) == {"a_b": ErrorCode.INVALID_TOPIC_EXCEPTION, "c": 0}

    play(scene)


def test_internal_topics_are_created_with_their_own_settings() -> None:
    async def scene(stage: MetadataStage) -> None:
        (topic,) = (await ask(stage, asking("__consumer_offsets", create=True))).topics
        assert topic.is_internal
        assert len(topic.partitions) == 4
        assert stage.metadata.image.topic_config("__consumer_offsets")["cleanup.policy"] == "compact"

    play(scene, offsets_topic_num_partitions="4", offsets_topic_replication_factor="1")


@pytest.mark.parametrize("version", range(10, 14))
def test_topics_by_id(version: int) -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="a"))
        known, unknown = stage.metadata.image.topics["a"].topic_id, TopicId(b"x" * 16)
        request = MetadataRequest(
            topics=[MetadataRequestTopic(topic_id=i, name=None) for i in (known, unknown, known)],
        )
        found, missing = (await ask(stage, request, version)).topics
        assert (found.error_code, found.name, found.topic_id) == (0, "a", known)
        assert missing == MetadataResponseTopic(
            error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None if version >= 12 else "", topic_id=unknown
        )
        assert stage.log.appends == 1

    play(scene)


def test_a_topic_asked_for_twice_is_answered_once() -> None:
    async def scene(stage: MetadataStage) -> None:
        assert len((await ask(stage, asking("a", "a", create=True))).topics) == 1

    play(scene)


def test_neither_name_nor_id_is_no_question() -> None:
    async def scene(stage: MetadataStage) -> None:
        request = MetadataRequest(topics=[MetadataRequestTopic(name=None)])
        with pytest.raises(KafkaError) as caught:
            metadata.handle(stage.broker, context(LATEST), request)
        assert caught.value.code is ErrorCode.INVALID_REQUEST

    play(scene)


def test_operations_are_told_when_asked() -> None:
    async def scene(stage: MetadataStage) -> None:
        request = asking("a", create=True)
        response = await ask(stage, request, 8)
        assert response.cluster_authorized_operations == NOT_ASKED
        assert response.topics[0].topic_authorized_operations == NOT_ASKED
        request.include_cluster_authorized_operations = True
        request.include_topic_authorized_operations = True
        response = await ask(stage, request, 8)
        # What a Kafka broker without an authorizer answers.
        assert response.cluster_authorized_operations == 0b1111110100000
        assert response.topics[0].topic_authorized_operations == 0b110111111000

    play(scene)


def test_brokers_and_leaders_that_this_listener_does_not_reach() -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="a"))
        for version, code in ((5, ErrorCode.LEADER_NOT_AVAILABLE), (6, ErrorCode.LISTENER_NOT_FOUND)):
            response = await ask(stage, asking("a"), version, listener="SSL")
            assert response.brokers == []
            (partition,) = response.topics[0].partitions
            assert (partition.error_code, partition.leader_id) == (code, -1)

    play(scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_of_the_whole_request_is_told_for_each_topic(version: int) -> None:
    request = over_the_wire(asking("a", "b"), version)
    response = over_the_wire(metadata.on_error(request, ErrorCode.UNKNOWN_SERVER_ERROR, None), version)
    assert codes(response) == {"a": -1, "b": -1}
    assert response.error_code == (-1 if version >= 13 else 0)
    everything = MetadataRequest(topics=None)
    assert metadata.on_error(everything, ErrorCode.INVALID_REQUEST, None).topics == []


def test_an_error_names_ids_too() -> None:
    request = MetadataRequest(topics=[MetadataRequestTopic(name=None, topic_id=b"x" * 16)])
    (topic,) = metadata.on_error(request, ErrorCode.INVALID_REQUEST, None).topics
    assert (topic.name, topic.topic_id) == ("", b"x" * 16)
    assert topic.topic_id != NO_TOPIC_ID
