"""CreateTopics: what is created is led when the answer comes; each topic is answered for itself."""

import asyncio

import pytest

from chronik.broker.handlers import create_topics
from chronik.cluster.metadata.topics import CreateTopic
from chronik.vocab.config.definition import ConfigSource
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID
from chronik.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from tests.unit.cluster.fakes import wait_until_idle

from .metadata_stage import MetadataStage, context, over_the_wire, play

VERSIONS = range(2, 8)
LATEST = 7


def topic(
    name: str,
    *,
    partitions: int = -1,
    factor: int = -1,
    assignments: list[tuple[int, list[int]]] | None = None,
    **configs: str | None,
) -> CreatableTopic:
    return CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=factor,
        assignments=[
            CreatableReplicaAssignment(partition_index=index, broker_ids=nodes)
            for index, nodes in assignments or ()
        ],
        configs=[
            CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()
        ],
    )


async def ask(
    stage: MetadataStage,
    *topics: CreatableTopic,
    version: int = LATEST,
    timeout_ms: int = 30_000,
    validate_only: bool = False,
) -> CreateTopicsResponse:
    request = CreateTopicsRequest(topics=list(topics), timeout_ms=timeout_ms, validate_only=validate_only)
    received = over_the_wire(request, version)
    return over_the_wire(await create_topics.handle(stage.broker, context(version), received), version)


def codes(response: CreateTopicsResponse) -> dict[str, int]:
    return {result.name: result.error_code for result in response.topics}


def configs(result: CreatableTopicResult) -> dict[str, tuple[str | None, int]]:
    assert result.configs is not None
    return {config.name: (config.value, config.config_source) for config in result.configs}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_topic_is_created_and_described(version: int) -> None:
    async def scene(stage: MetadataStage) -> None:
        response = await ask(stage, topic("a", partitions=3, retention_ms="5"), version=version)
        (result,) = response.topics
        assert (result.name, result.error_code, result.error_message) == ("a", 0, None)
        created = stage.metadata.image.topics["a"]
        assert len(created.partitions) == 3
        assert all(stage.leadership.leader(created.topic_id, n) for n in range(3))
        if version >= 5:
            assert (result.num_partitions, result.replication_factor) == (3, 1)
            assert configs(result)["retention.ms"] == ("5", ConfigSource.TOPIC_CONFIG)
        if version >= 7:
            assert result.topic_id == created.topic_id

    play(scene)


def test_settings_are_shown_with_where_they_come_from() -> None:
    async def scene(stage: MetadataStage) -> None:
        (result,) = (await ask(stage, topic("a", cleanup_policy="compact"))).topics
        shown = configs(result)
        assert shown["cleanup.policy"] == ("compact", ConfigSource.TOPIC_CONFIG)
        assert shown["segment.bytes"] == ("1048576", ConfigSource.STATIC_BROKER_CONFIG)
        assert shown["retention.ms"] == ("604800000", ConfigSource.DEFAULT_CONFIG)
        assert shown["flush.ms"][1] == ConfigSource.DEFAULT_CONFIG
        assert "internal.segment.bytes" not in shown

    play(scene, log_segment_bytes="1048576")


def test_topics_are_answered_for_themselves_and_share_a_commit() -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="old"))
        stage.log.appends = 0
        response = await ask(
            stage,
            topic("a"),
            topic("old"),
            topic("b c"),
            topic("d", partitions=0),
            topic("e", factor=2),
            topic("f", retention_ms="soon"),
            topic("g", assignments=[(0, [1]), (1, [7])]),
            topic("h", assignments=[(0, [1]), (0, [1])]),
            topic("__meta"),
            topic("z"),
        )
        assert codes(response) == {
            "a": 0,
            "old": ErrorCode.TOPIC_ALREADY_EXISTS,
            "b c": ErrorCode.INVALID_TOPIC_EXCEPTION,
            "d": ErrorCode.INVALID_PARTITIONS,
            "e": ErrorCode.INVALID_REPLICATION_FACTOR,
            "f": ErrorCode.INVALID_CONFIG,
            "g": ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "h": ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "__meta": ErrorCode.INVALID_TOPIC_EXCEPTION,
            "z": 0,
        }
        for result in response.topics:
            assert bool(result.error_message) == bool(result.error_code)
            assert (result.topic_id == NO_TOPIC_ID) == bool(result.error_code)
        assert set(stage.metadata.image.topics) == {"old", "a", "z"}
        assert stage.log.appends == 1

    play(scene)


def test_a_topic_named_twice_is_not_created() -> None:
    async def scene(stage: MetadataStage) -> None:
        response = await ask(stage, topic("a"), topic("b"), topic("a"))
        assert [(result.name, result.error_code) for result in response.topics] == [
            ("b", 0),
            ("a", ErrorCode.INVALID_REQUEST),
        ]
        assert set(stage.metadata.image.topics) == {"b"}

    play(scene)


def test_manual_assignment() -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.register(2)
        response = await ask(stage, topic("a", assignments=[(1, [1]), (0, [2])]))
        assert codes(response) == {"a": 0}
        partitions = stage.metadata.image.topics["a"].partitions
        assert [partition.nodes for partition in partitions] == [(2,), (1,)]

    play(scene)


def test_validation_describes_and_creates_nothing() -> None:
    async def scene(stage: MetadataStage) -> None:
        stage.leads = False
        response = await ask(stage, topic("a", partitions=2), topic("b", factor=5), validate_only=True)
        fine, wrong = response.topics
        assert (fine.error_code, fine.num_partitions, fine.topic_id) == (0, 2, NO_TOPIC_ID)
        assert wrong.error_code == ErrorCode.INVALID_REPLICATION_FACTOR
        assert stage.log.appends == 0

    play(scene)


def test_the_answer_waits_for_leaders() -> None:
    async def scene(stage: MetadataStage) -> None:
        stage.leads = False
        created = []
        stage.metadata.subscribe(lambda delta, image: created.append(delta))
        asking = asyncio.create_task(ask(stage, topic("a", partitions=2)))
        await wait_until_idle()
        assert not asking.done()
        stage.lead(created[0])
        assert codes(await asking) == {"a": 0}

    play(scene)


@pytest.mark.parametrize("waits_for", ["commit", "leaders"])
def test_what_takes_longer_than_the_timeout(waits_for: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronik.broker.deadlines.TIMEOUT_MS_MIN", 5)

    async def scene(stage: MetadataStage) -> None:
        stage.leads = False
        stage.log.is_held = waits_for == "commit"
        (result,) = (await ask(stage, topic("a"), timeout_ms=10)).topics
        assert result.error_code == ErrorCode.REQUEST_TIMED_OUT
        assert result.error_message

    play(scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_of_the_whole_request_is_told_for_each_topic(version: int) -> None:
    request = over_the_wire(CreateTopicsRequest(topics=[topic("a"), topic("b")]), version)
    response = create_topics.on_error(request, ErrorCode.NOT_CONTROLLER, "elsewhere")
    response = over_the_wire(response, version)
    assert codes(response) == {"a": ErrorCode.NOT_CONTROLLER, "b": ErrorCode.NOT_CONTROLLER}
    assert response.topics[0].error_message == "elsewhere"


@pytest.mark.parametrize(
    ("topics", "is_taken"),
    [
        ([topic("a", partitions=9_999)], True),
        ([topic("a", partitions=10_000)], False),
        ([topic("a", partitions=5_000), topic("b", partitions=5_000)], False),
        ([topic("a", partitions=2**31 - 1), topic("b", partitions=1)], False),
        ([topic("a", partitions=9_999), topic("b", partitions=0)], False),
    ],
)
def test_a_request_adds_so_many_topics_and_partitions(topics: list[CreatableTopic], is_taken: bool) -> None:
    """As Kafka's controller counts: a topic is a record, and each of its partitions."""

    async def scene(stage: MetadataStage) -> None:
        request = CreateTopicsRequest(topics=topics, validate_only=True)
        if is_taken:
            response = await create_topics.handle(stage.broker, context(LATEST), request)
            assert set(codes(response).values()) == {ErrorCode.NONE}
            return
        with pytest.raises(KafkaError) as refused:
            await create_topics.handle(stage.broker, context(LATEST), request)
        assert refused.value.code is ErrorCode.POLICY_VIOLATION

    play(scene)
