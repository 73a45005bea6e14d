"""OffsetFetch (key 9), versions 1 to 10: the committed offsets of groups. One group up to version 7, many
from 8 (KIP-709). Version 10 names topics by id (KIP-848): an unknown id is UNKNOWN_TOPIC_ID for each of
its partitions, and offsets of a deleted topic are left out of an answer with all.

A partition without a committed offset is answered -1 without error. Null topics (version 2) request all.
Every answer waits for the commits that came before it, so there is nothing unstable to wait for beyond that
(`require_stable`, KIP-447) until there are transactions. Member id and epoch (version 9) matter to KIP-848
groups only.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import FetchOffsets
from chronik.broker.groups.offsets import CommittedOffset
from chronik.broker.needs import Each, Inside, Needs, Whole
from chronik.cluster.image import ClusterImage
from chronik.vocab.acl import AclOperation, AclResourceType
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


_A = TypeVar("_A", bound=_AskedTopic)


NEEDS = Needs(
    whole=(
        Whole(
            operation=AclOperation.DESCRIBE,
            resource_type=AclResourceType.GROUP,
            # From version 8 on groups are in a list, and `group_id` is empty.
            name=lambda request: None if request.groups else str(request.group_id),
        ),
    ),
    each=(
        Each(
            operation=AclOperation.DESCRIBE,
            resource_type=AclResourceType.GROUP,
            name=lambda broker, request, group: str(group.group_id) if request.groups else None,
        ),
    ),
    inside=(
        Inside(
            operation=AclOperation.DESCRIBE,
            resource_type=AclResourceType.TOPIC,
            otherwise="its partitions are refused where they are named, left out where all are asked for",
        ),
    ),
)


async def handle(broker: Broker, context: RequestContext, request: OffsetFetchRequest) -> OffsetFetchResponse:
    if context.api_version < _BATCH_VERSION:
        return await _single(broker, context, request)
    answer = _group if context.api_version < _FIRST_VERSION_WITH_IDS else _group_by_ids
    groups = await asyncio.gather(*(answer(broker, context, group) for group in request.groups))
    return OffsetFetchResponse(groups=list(groups))


def on_error(request: OffsetFetchRequest, code: ErrorCode, message: str | None) -> OffsetFetchResponse:
    """Puts the error in all three places where versions have it: the request, its partitions, its groups.

    Kafka leaves the partitions out from version 2 on. But aiokafka looks for errors only there, also in the
    versions that have one of the request: an answer from a coordinator that moved would read as no committed
    offsets, and it would go back to the beginning, or on to the end. Other clients look at the request's
    first.
    """
    return OffsetFetchResponse(
        error_code=code,
        topics=_old_topics(_asked(request.topics), {}, code),
        groups=[OffsetFetchResponseGroup(group_id=g.group_id, error_code=code) for g in request.groups],
    )


async def _single(
    broker: Broker, context: RequestContext, request: OffsetFetchRequest
) -> OffsetFetchResponse:
    hidden = _hidden(broker, context, request.topics)
    allowed = _allowed(request.topics, hidden)
    try:
        offsets = await _fetch(broker, request.group_id, allowed)
    except KafkaError as error:
        return on_error(request, error.code, error.message)
    asked = _named(_visible(broker, context, offsets)) if allowed is None else _asked(allowed)
    refused = [(topic, indexes) for topic, indexes in _asked(request.topics) if topic in hidden]
    return OffsetFetchResponse(
        topics=[
            *_old_topics(asked, offsets, ErrorCode.NONE),
            *_old_topics(refused, {}, ErrorCode.TOPIC_AUTHORIZATION_FAILED),
        ]
    )


async def _group(
    broker: Broker,
    context: RequestContext,
    group: OffsetFetchRequestGroup,
    image: ClusterImage | None = None,
) -> OffsetFetchResponseGroup:
    """With the topics of `image`, taken at the request: a name may be another topic's when the answer
    comes.
    """
    hidden = _hidden(broker, context, group.topics)
    allowed = _allowed(group.topics, hidden)
    try:
        offsets = await _fetch(broker, group.group_id, allowed)
    except KafkaError as error:
        return OffsetFetchResponseGroup(group_id=group.group_id, error_code=error.code)
    if image is not None:
        offsets = {each: found for each, found in offsets.items() if _is_in(image, each.topic, found)}
    asked = _named(_visible(broker, context, offsets)) if allowed is None else _asked(allowed)
    refused = [(topic, indexes) for topic, indexes in _asked(group.topics) if topic in hidden]
    answered = [*_topics(asked, offsets), *_topics(refused, {}, ErrorCode.TOPIC_AUTHORIZATION_FAILED)]
    return OffsetFetchResponseGroup(group_id=group.group_id, topics=answered)


async def _group_by_ids(
    broker: Broker, context: RequestContext, group: OffsetFetchRequestGroup
) -> OffsetFetchResponseGroup:
    image = broker.metadata.image
    unknown = []
    if group.topics is not None:
        unknown = [topic for topic in group.topics if TopicId(topic.topic_id) not in image.topics_by_id]
        group.topics = [topic for topic in group.topics if TopicId(topic.topic_id) in image.topics_by_id]
        for topic in group.topics:
            topic.name = image.topics_by_id[TopicId(topic.topic_id)].name
    answer = await _group(broker, context, group, image)
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
    partitions = [_partition(index, None, ErrorCode.UNKNOWN_TOPIC_ID) for index in asked.partition_indexes]
    return OffsetFetchResponseTopics(topic_id=asked.topic_id, partitions=partitions)


async def _fetch(broker: Broker, group_id: str, topics: Sequence[_AskedTopic] | None) -> _Offsets:
    partitions = None
    if topics is not None:
        partitions = tuple(
            TopicPartition(topic.name, index) for topic in topics for index in topic.partition_indexes
        )
    answer = await broker.groups.run(FetchOffsets(group_id, partitions=partitions))
    return answer.offsets


def _hidden(broker: Broker, context: RequestContext, topics: Iterable[_AskedTopic] | None) -> frozenset[str]:
    """Returns the requested topics whose offsets the client may not see."""
    names = (topic.name for topic in topics or ())
    return broker.access.denied(context.session, AclOperation.DESCRIBE, AclResourceType.TOPIC, names)


def _allowed(topics: Sequence[_A] | None, hidden: frozenset[str]) -> Sequence[_A] | None:
    if topics is None or not hidden:
        return topics
    return [topic for topic in topics if topic.name not in hidden]


def _visible(broker: Broker, context: RequestContext, offsets: _Offsets) -> _Offsets:
    """Returns the offsets that the client may see, of all offsets of the group."""
    names = (partition.topic for partition in offsets)
    hidden = broker.access.denied(context.session, AclOperation.DESCRIBE, AclResourceType.TOPIC, names)
    if not hidden:
        return offsets
    return {partition: found for partition, found in offsets.items() if partition.topic not in hidden}


def _asked(topics: Iterable[_AskedTopic] | None) -> list[tuple[str, list[int]]]:
    return [(topic.name, topic.partition_indexes) for topic in topics or ()]


def _named(offsets: _Offsets) -> list[tuple[str, list[int]]]:
    """Returns all partitions with an offset, by topic."""
    topics: dict[str, list[int]] = {}
    for topic, index in offsets:
        topics.setdefault(topic, []).append(index)
    return list(topics.items())


def _topics(
    asked: list[tuple[str, list[int]]], offsets: _Offsets, error: ErrorCode = ErrorCode.NONE
) -> list[OffsetFetchResponseTopics]:
    return [
        OffsetFetchResponseTopics(
            name=name,
            partitions=[
                _partition(index, offsets.get(TopicPartition(name, index)), error) for index in indexes
            ],
        )
        for name, indexes in asked
    ]


def _partition(
    index: int, committed: CommittedOffset | None, error: ErrorCode = ErrorCode.NONE
) -> OffsetFetchResponsePartitions:
    return OffsetFetchResponsePartitions(
        partition_index=index,
        committed_offset=_NO_OFFSET if committed is None else committed.offset,
        committed_leader_epoch=_NO_EPOCH if committed is None else committed.leader_epoch,
        metadata="" if committed is None else committed.metadata,
        error_code=error,
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
