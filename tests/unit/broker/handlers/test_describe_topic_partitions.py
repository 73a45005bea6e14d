"""DescribeTopicPartitions: topics in order, a page at a time, nothing twice and nothing left out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.broker.handlers import describe_topic_partitions
from chronik.broker.slices import Sliced
from chronik.cluster.metadata.topics import CreateTopic
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.describe_topic_partitions import (
    CursorRequest,
    CursorResponse,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    TopicRequest,
)

from .metadata_stage import MetadataStage, context, over_the_wire, play


def ask(
    stage: MetadataStage, *names: str, limit: int = 2000, cursor: tuple[str, int] | None = None
) -> DescribeTopicPartitionsResponse:
    request = DescribeTopicPartitionsRequest(
        topics=[TopicRequest(name=name) for name in names],
        response_partition_limit=limit,
        cursor=None if cursor is None else CursorRequest(topic_name=cursor[0], partition_index=cursor[1]),
    )
    received = over_the_wire(request, 0)
    handling = Sliced(describe_topic_partitions.handle(stage.broker, context(0), received), lambda: 0.0)
    assert handling.advance()
    return over_the_wire(handling.result, 0)


def shown(response: DescribeTopicPartitionsResponse) -> list[tuple[str | None, list[int]]]:
    return [(topic.name, [p.partition_index for p in topic.partitions]) for topic in response.topics]


async def create(stage: MetadataStage, **topics: int) -> None:
    for name, partitions in topics.items():
        await stage.metadata.submit(CreateTopic(name=name, partitions=partitions))


def test_all_topics_in_order() -> None:
    async def scene(stage: MetadataStage) -> None:
        await create(stage, b=1, a=2)
        response = ask(stage)
        assert shown(response) == [("a", [0, 1]), ("b", [0])]
        assert response.next_cursor is None
        topic = response.topics[0]
        assert topic.topic_id == stage.metadata.image.topics["a"].topic_id
        assert topic.topic_authorized_operations == 0b110111111000
        partition = topic.partitions[1]
        assert (partition.error_code, partition.leader_id, partition.leader_epoch) == (0, 1, 3)
        assert partition.replica_nodes == partition.isr_nodes == [1]
        # Java's Admin client iterates over both.
        assert (partition.eligible_leader_replicas, partition.last_known_elr) == ([], [])

    play(scene)


def test_topics_by_name() -> None:
    async def scene(stage: MetadataStage) -> None:
        await create(stage, a=1, b=1)
        response = ask(stage, "b", "nobody", "a b", "b")
        assert [(topic.name, topic.error_code) for topic in response.topics] == [
            ("a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
            ("b", 0),
            ("nobody", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ]

    play(scene)


def test_a_page_ends_within_a_topic() -> None:
    async def scene(stage: MetadataStage) -> None:
        await create(stage, a=2, b=3)
        first = ask(stage, limit=3)
        assert shown(first) == [("a", [0, 1]), ("b", [0])]
        assert first.next_cursor == CursorResponse(topic_name="b", partition_index=1)
        second = ask(stage, limit=3, cursor=("b", 1))
        assert shown(second) == [("b", [1, 2])]
        assert second.next_cursor is None

    play(scene)


def test_a_page_ends_between_topics() -> None:
    async def scene(stage: MetadataStage) -> None:
        await create(stage, a=2, b=3)
        first = ask(stage, limit=2)
        assert shown(first) == [("a", [0, 1])]
        assert first.next_cursor == CursorResponse(topic_name="b", partition_index=0)

    play(scene)


def test_the_cursors_topic_may_be_gone() -> None:
    async def scene(stage: MetadataStage) -> None:
        await create(stage, a=1, c=1)
        assert shown(ask(stage, cursor=("b", 1))) == [("c", [0])]
        response = ask(stage, "b", "c", cursor=("b", 1))
        assert [(topic.name, topic.error_code) for topic in response.topics] == [
            ("b", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            ("c", 0),
        ]


def test_the_cursors_topic_must_be_among_those_named() -> None:
    async def scene(stage: MetadataStage) -> None:
        await create(stage, a=1, b=1)
        with pytest.raises(KafkaError) as refused:
            ask(stage, "a", cursor=("b", 0))
        assert refused.value.code is ErrorCode.INVALID_REQUEST

    play(scene)


@settings(max_examples=30, deadline=None)
@given(
    partitions=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    limit=st.integers(-1, 7),
    by_name=st.booleans(),
)
def test_pages_together_are_everything_once(partitions: list[int], limit: int, by_name: bool) -> None:
    async def scene(stage: MetadataStage) -> None:
        topics = {f"t{n}": count for n, count in enumerate(partitions)}
        await create(stage, **topics)
        names = list(topics) if by_name else []
        seen: list[tuple[str | None, int]] = []
        cursor: tuple[str, int] | None = None
        for _ in range(sum(partitions) + 1):
            response = ask(stage, *names, limit=limit, cursor=cursor)
            page = [(name, n) for name, indexes in shown(response) for n in indexes]
            assert len(page) <= max(limit, 1)
            seen += page
            if response.next_cursor is None:
                break
            cursor = (response.next_cursor.topic_name, response.next_cursor.partition_index)
        assert seen == [(name, n) for name, count in topics.items() for n in range(count)]

    play(scene)


def test_a_page_is_bounded_whatever_the_client_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe_topic_partitions, "_PARTITIONS_PER_PAGE_MAX", 2)

    async def scene(stage: MetadataStage) -> None:
        await create(stage, a=3)
        assert shown(ask(stage, limit=1_000_000)) == [("a", [0, 1])]

    play(scene)


def test_a_cursor_before_the_first_partition_is_refused() -> None:
    async def scene(stage: MetadataStage) -> None:
        with pytest.raises(KafkaError) as caught:
            ask(stage, cursor=("a", -1))
        assert caught.value.code is ErrorCode.INVALID_REQUEST

    play(scene)


def test_errors() -> None:
    request = DescribeTopicPartitionsRequest(topics=[TopicRequest(name="a")])
    response = describe_topic_partitions.on_error(request, ErrorCode.INVALID_REQUEST, None)
    assert [(t.name, t.error_code) for t in over_the_wire(response, 0).topics] == [("a", 42)]


def test_very_many_names_are_answered_once_each_in_order_and_in_steps() -> None:
    async def scene(stage: MetadataStage) -> None:
        numbers = [number * 7919 % 5_000 for number in range(10_000)]
        request = DescribeTopicPartitionsRequest(
            topics=[TopicRequest(name=f"t{number:04}") for number in numbers], response_partition_limit=2000
        )
        handling = describe_topic_partitions.handle(stage.broker, context(0), request)
        steps = 0
        try:
            while True:
                next(handling)
                steps += 1
        except StopIteration as stop:
            names = [topic.name for topic in stop.value.topics]
        assert names == [f"t{number:04}" for number in range(5_000)]
        assert steps > 5_000 / 64

    play(scene)
