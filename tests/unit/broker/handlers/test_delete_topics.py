"""DeleteTopics: by name and by id, each answered for itself."""

import pytest

from chronik.broker.handlers import delete_topics
from chronik.cluster.metadata.topics import CreateTopic
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import TopicId
from chronik.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState

from .metadata_stage import MetadataStage, context, over_the_wire, play

VERSIONS = range(1, 7)
FIRST_WITH_IDS = 6


def request_for(*names: str, version: int) -> DeleteTopicsRequest:
    if version >= FIRST_WITH_IDS:
        return DeleteTopicsRequest(topics=[DeleteTopicState(name=name) for name in names], timeout_ms=30_000)
    return DeleteTopicsRequest(topic_names=list(names), timeout_ms=30_000)


async def ask(
    stage: MetadataStage, request: DeleteTopicsRequest, version: int = FIRST_WITH_IDS
) -> DeleteTopicsResponse:
    received = over_the_wire(request, version)
    return over_the_wire(await delete_topics.handle(stage.broker, context(version), received), version)


async def create(stage: MetadataStage, *names: str) -> list[TopicId]:
    for name in names:
        await stage.metadata.submit(CreateTopic(name=name))
    stage.log.appends = 0
    return [stage.metadata.image.topics[name].topic_id for name in names]


@pytest.mark.parametrize("version", VERSIONS)
def test_by_name(version: int) -> None:
    async def scene(stage: MetadataStage) -> None:
        await create(stage, "a", "b", "c")
        response = await ask(stage, request_for("a", "nobody", "c", version=version), version)
        assert [(r.name, r.error_code) for r in response.responses] == [
            ("a", 0),
            ("nobody", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            ("c", 0),
        ]
        assert set(stage.metadata.image.topics) == {"b"}
        assert stage.log.appends == 1

    play(scene)


def test_by_id() -> None:
    async def scene(stage: MetadataStage) -> None:
        a, b = await create(stage, "a", "b")
        unknown = TopicId(b"x" * 16)
        states = [DeleteTopicState(topic_id=topic_id) for topic_id in (a, unknown)]
        response = await ask(stage, DeleteTopicsRequest(topics=states))
        found, missing = response.responses
        assert (found.name, found.topic_id, found.error_code) == ("a", a, 0)
        assert (missing.name, missing.topic_id) == (None, unknown)
        assert missing.error_code == ErrorCode.UNKNOWN_TOPIC_ID
        assert set(stage.metadata.image.topics_by_id) == {b}

    play(scene)


def test_questions_that_make_no_sense_delete_nothing() -> None:
    async def scene(stage: MetadataStage) -> None:
        a, b = await create(stage, "a", "b")
        states = [
            DeleteTopicState(name="a", topic_id=a),
            DeleteTopicState(),
            DeleteTopicState(name="b"),
            DeleteTopicState(name="b"),
            DeleteTopicState(topic_id=b),
            DeleteTopicState(topic_id=b),
        ]
        response = await ask(stage, DeleteTopicsRequest(topics=states))
        assert [result.error_code for result in response.responses] == [ErrorCode.INVALID_REQUEST] * 4
        assert [result.error_message for result in response.responses] == [
            "You may not specify both topic name and topic id.",
            "Neither topic name nor id were specified.",
            "Duplicate topic name.",
            "Duplicate topic id.",
        ]
        assert set(stage.metadata.image.topics) == {"a", "b"}

    play(scene)


def test_one_topic_by_name_and_by_id_is_refused_as_one() -> None:
    async def scene(stage: MetadataStage) -> None:
        a, b = await create(stage, "a", "b")
        states = [
            DeleteTopicState(name="a"),
            DeleteTopicState(topic_id=b),
            DeleteTopicState(topic_id=a),
        ]
        other, both = (await ask(stage, DeleteTopicsRequest(topics=states))).responses
        assert (other.name, other.error_code) == ("b", ErrorCode.NONE)
        assert (both.name, both.topic_id, both.error_code) == ("a", a, ErrorCode.INVALID_REQUEST)
        assert both.error_message == "The provided topic name maps to an ID that was already supplied."
        assert set(stage.metadata.image.topics) == {"a"}

    play(scene)


@pytest.mark.parametrize(
    ("version", "code"), [(2, ErrorCode.INVALID_REQUEST), (3, ErrorCode.TOPIC_DELETION_DISABLED)]
)
def test_deletion_may_be_disabled(version: int, code: ErrorCode) -> None:
    async def scene(stage: MetadataStage) -> None:
        await create(stage, "a")
        with pytest.raises(KafkaError) as caught:
            await ask(stage, request_for("a", version=version), version)
        assert caught.value.code is code
        assert "a" in stage.metadata.image.topics

    play(scene, delete_topic_enable="false")


def test_a_commit_that_takes_longer_than_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronik.broker.deadlines.TIMEOUT_MS_MIN", 5)

    async def scene(stage: MetadataStage) -> None:
        await create(stage, "a")
        stage.log.is_held = True
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name="a")], timeout_ms=1)
        (result,) = (await ask(stage, request)).responses
        assert result.error_code == ErrorCode.REQUEST_TIMED_OUT

    play(scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_of_the_whole_request_is_told_for_each_topic(version: int) -> None:
    request = over_the_wire(request_for("a", "b", version=version), version)
    response = delete_topics.on_error(request, ErrorCode.NOT_CONTROLLER, None)
    response = over_the_wire(response, version)
    assert [(r.name, r.error_code) for r in response.responses] == [("a", 41), ("b", 41)]
