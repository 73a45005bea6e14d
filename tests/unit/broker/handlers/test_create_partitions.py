"""CreatePartitions: topics grow and are led when the answer comes."""

import asyncio

import pytest

from chronik.broker.handlers import create_partitions
from chronik.cluster.metadata.topics import CreateTopic
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from tests.unit.cluster.fakes import wait_until_idle

from .metadata_stage import MetadataStage, context, over_the_wire, play

VERSIONS = range(4)
LATEST = 3


def topic(name: str, count: int, assignments: list[list[int]] | None = None) -> CreatePartitionsTopic:
    return CreatePartitionsTopic(
        name=name,
        count=count,
        assignments=None
        if assignments is None
        else [CreatePartitionsAssignment(broker_ids=nodes) for nodes in assignments],
    )


async def ask(
    stage: MetadataStage,
    *topics: CreatePartitionsTopic,
    version: int = LATEST,
    timeout_ms: int = 30_000,
    validate_only: bool = False,
) -> CreatePartitionsResponse:
    request = CreatePartitionsRequest(topics=list(topics), timeout_ms=timeout_ms, validate_only=validate_only)
    received = over_the_wire(request, version)
    return over_the_wire(await create_partitions.handle(stage.broker, context(version), received), version)


def codes(response: CreatePartitionsResponse) -> list[tuple[str, int]]:
    return [(result.name, result.error_code) for result in response.results]


def count(stage: MetadataStage, name: str) -> int:
    return len(stage.metadata.image.topics[name].partitions)


@pytest.mark.parametrize("version", VERSIONS)
def test_topics_grow_and_are_answered_for_themselves(version: int) -> None:
    async def scene(stage: MetadataStage) -> None:
        for name in ("a", "b", "c"):
            await stage.metadata.submit(CreateTopic(name=name, partitions=2))
        response = await ask(
            stage,
            topic("a", 4),
            topic("b", 2),
            topic("c", 3, [[1]]),
            topic("nobody", 2),
            version=version,
        )
        assert codes(response) == [
            ("a", 0),
            ("b", ErrorCode.INVALID_PARTITIONS),
            ("c", 0),
            ("nobody", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ]
        assert [bool(result.error_message) for result in response.results] == [False, True, False, True]
        assert [count(stage, name) for name in ("a", "b", "c")] == [4, 2, 3]

    play(scene)


def test_a_topic_named_twice_does_not_grow() -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="a"))
        response = await ask(stage, topic("a", 2), topic("a", 3))
        assert codes(response) == [("a", ErrorCode.INVALID_REQUEST)]
        assert count(stage, "a") == 1

    play(scene)


def test_validation_changes_nothing() -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="a"))
        stage.leads = False
        response = await ask(stage, topic("a", 2), validate_only=True)
        assert codes(response) == [("a", 0)]
        assert count(stage, "a") == 1

    play(scene)


def test_the_answer_waits_for_the_new_leaders() -> None:
    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="a"))
        stage.leads = False
        grown = []
        stage.metadata.subscribe(lambda delta, image: grown.append(delta))
        asking = asyncio.create_task(ask(stage, topic("a", 3)))
        await wait_until_idle()
        assert not asking.done()
        stage.lead(grown[0])
        assert codes(await asking) == [("a", 0)]

    play(scene)


@pytest.mark.parametrize("waits_for", ["commit", "leaders"])
def test_what_takes_longer_than_the_timeout(waits_for: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronik.broker.deadlines.TIMEOUT_MS_MIN", 5)

    async def scene(stage: MetadataStage) -> None:
        await stage.metadata.submit(CreateTopic(name="a"))
        stage.leads = False
        stage.log.is_held = waits_for == "commit"
        response = await ask(stage, topic("a", 2), timeout_ms=10)
        assert codes(response) == [("a", ErrorCode.REQUEST_TIMED_OUT)]

    play(scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_of_the_whole_request_is_told_for_each_topic(version: int) -> None:
    request = over_the_wire(CreatePartitionsRequest(topics=[topic("a", 2), topic("b", 2)]), version)
    response = create_partitions.on_error(request, ErrorCode.NOT_CONTROLLER, "elsewhere")
    response = over_the_wire(response, version)
    assert codes(response) == [("a", 41), ("b", 41)]
    assert response.results[0].error_message == "elsewhere"
