"""OffsetFetch (key 9), versions 1 to 10: what groups have committed. One group up to version 7, many from 8
(KIP-709). Version 10 names topics by id (KIP-848): an id that no topic has is UNKNOWN_TOPIC_ID for each of
its partitions, and committed offsets of a topic that is gone are left out of an answer with all.

A partition without a committed offset is answered -1 without error. Null topics (version 2) ask for all.
Every answer waits for the commits that came before it, so there is nothing unstable to wait for beyond that
(`require_stable`, KIP-447) until there are transactions. Member id and epoch (version 9) matter to KIP-848
groups only.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import FetchOffsets
from chronik.broker.groups.offsets import CommittedOffset
from chronik.cluster.image import ClusterImage
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, TopicId, TopicPartition
from chronik.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)

_BATCH_VERSION = 8
_FIRST_VERSION_WITH_IDS = 10
_NO_OFFSET = -1
_NO_EPOCH = -1

_Offsets = Mapping[TopicPartition, CommittedOffset]


class _AskedTopic(Protocol):
    """A topic of a request, in either of its forms."""

    name: str
    partition_indexes: list[int]


async def handle(broker: Broker, context: RequestContext, request: OffsetFetchRequest) -> OffsetFetchResponse:
    if context.api_version < _BATCH_VERSION:
        return await _single(broker, request)
    answer = _group if context.api_version < _FIRST_VERSION_WITH_IDS else _group_by_ids
    groups = await asyncio.gather(*(answer(broker, group) for group in request.groups))
    return OffsetFetchResponse(groups=list(groups))


def on_error(request: OffsetFetchRequest, code: ErrorCode, message: str | None) -> OffsetFetchResponse:
    """In all three places where versions look for it: the request, its partitions, its groups.

    Kafka leaves the partitions out from version 2 on. But aiokafka looks for errors only there, also in the
    versions that have one of the request: a coordinator that moved told it, in effect, that nothing is
    committed, and it would go back to the beginning, or on to the end. Others look at the request's first.
    """
    return OffsetFetchResponse(
        error_code=code,
        topics=_old_topics(_asked(request.topics), {}, code),
        groups=[OffsetFetchResponseGroup(group_id=g.group_id, error_code=code) for g in request.groups],
    )


async def _single(broker: Broker, request: OffsetFetchRequest) -> OffsetFetchResponse:
    try:
        offsets = await _fetch(broker, request.group_id, request.topics)
    except KafkaError as error:
        return on_error(request, error.code, error.message)
    asked = _named(offsets) if request.topics is None else _asked(request.topics)
    return OffsetFetchResponse(topics=_old_topics(asked, offsets, ErrorCode.NONE))


async def _group(
    broker: Broker, group: OffsetFetchRequestGroup, image: ClusterImage | None = None
) -> OffsetFetchResponseGroup:
    """With `image` the topics that it has: one may be another when the answer comes."""
    try:
        offsets = await _fetch(broker, group.group_id, group.topics)
    except KafkaError as error:
        return OffsetFetchResponseGroup(group_id=group.group_id, error_code=error.code)
    if image is not None:
        offsets = {each: found for each, found in offsets.items() if _is_in(image, each.topic, found)}
    asked = _named(offsets) if group.topics is None else _asked(group.topics)
    return OffsetFetchResponseGroup(group_id=group.group_id, topics=_topics(asked, offsets))


async def _group_by_ids(broker: Broker, group: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup:
    image = broker.metadata.image
    unknown = []
    if group.topics is not None:
        unknown = [topic for topic in group.topics if TopicId(topic.topic_id) not in image.topics_by_id]
        group.topics = [topic for topic in group.topics if TopicId(topic.topic_id) in image.topics_by_id]
        for topic in group.topics:
            topic.name = image.topics_by_id[TopicId(topic.topic_id)].name
    answer = await _group(broker, group, image)
    answer.topics = [topic for topic in answer.topics if topic.name in image.topics]
    for answered in answer.topics:
        answered.topic_id = image.topics[answered.name].topic_id
    if answer.error_code == ErrorCode.NONE:
        answer.topics += [_unknown(topic) for topic in unknown]
    return answer


def _is_in(image: ClusterImage, topic: str, committed: CommittedOffset) -> bool:
    found = image.topics.get(topic)
    return found is not None and committed.topic_id in (NO_TOPIC_ID, found.topic_id)


def _unknown(asked: OffsetFetchRequestTopics) -> OffsetFetchResponseTopics:
    topic = OffsetFetchResponseTopics(
        topic_id=asked.topic_id, partitions=[_partition(index, None) for index in asked.partition_indexes]
    )
    for partition in topic.partitions:
        partition.error_code = ErrorCode.UNKNOWN_TOPIC_ID
    return topic


async def _fetch(broker: Broker, group_id: str, topics: Sequence[_AskedTopic] | None) -> _Offsets:
    partitions = None
    if topics is not None:
        partitions = tuple(
            TopicPartition(topic.name, index) for topic in topics for index in topic.partition_indexes
        )
    answer = await broker.groups.run(FetchOffsets(group_id, partitions=partitions))
    return answer.offsets


def _asked(topics: Iterable[_AskedTopic] | None) -> list[tuple[str, list[int]]]:
    return [(topic.name, topic.partition_indexes) for topic in topics or ()]


def _named(offsets: _Offsets) -> list[tuple[str, list[int]]]:
    """All that there is, by topic."""
    topics: dict[str, list[int]] = {}
    for topic, index in offsets:
        topics.setdefault(topic, []).append(index)
    return list(topics.items())


def _topics(asked: list[tuple[str, list[int]]], offsets: _Offsets) -> list[OffsetFetchResponseTopics]:
    return [
        OffsetFetchResponseTopics(
            name=name,
            partitions=[_partition(index, offsets.get(TopicPartition(name, index))) for index in indexes],
        )
        for name, indexes in asked
    ]


def _partition(index: int, committed: CommittedOffset | None) -> OffsetFetchResponsePartitions:
    return OffsetFetchResponsePartitions(
        partition_index=index,
        committed_offset=_NO_OFFSET if committed is None else committed.offset,
        committed_leader_epoch=_NO_EPOCH if committed is None else committed.leader_epoch,
        metadata="" if committed is None else committed.metadata,
    )


def _old_topics(
    asked: list[tuple[str, list[int]]], offsets: _Offsets, error: ErrorCode
) -> list[OffsetFetchResponseTopic]:
    return [
        OffsetFetchResponseTopic(
            name=name,
            partitions=[
                _old_partition(index, offsets.get(TopicPartition(name, index)), error) for index in indexes
            ],
        )
        for name, indexes in asked
    ]


def _old_partition(
    index: int, committed: CommittedOffset | None, error: ErrorCode
) -> OffsetFetchResponsePartition:
    """The same fields as in `_partition`, in the class of the versions before 8."""
    return OffsetFetchResponsePartition(
        partition_index=index,
        committed_offset=_NO_OFFSET if committed is None else committed.offset,
        committed_leader_epoch=_NO_EPOCH if committed is None else committed.leader_epoch,
        metadata="" if committed is None else committed.metadata,
        error_code=error,
    )
