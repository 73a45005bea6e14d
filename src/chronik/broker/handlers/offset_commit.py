"""OffsetCommit (key 8), versions 2 to 10: stores a group's offsets, answered when they are committed.

Partitions that do not exist are refused one by one; the rest is committed as one batch. Versions 2 to 4 may
have a retention time of their own. From version 9 a group that does not exist is GROUP_ID_NOT_FOUND, before
it ILLEGAL_GENERATION. Version 10 names topics by id (KIP-848): a topic that was deleted and created again is
another one, whose offsets a late commit for the old one cannot move.
"""

from collections.abc import Sequence

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import Commit, CommitAnswer, OffsetToCommit
from chronik.broker.needs import Needs, each_topic_by_name_or_id, on_group
from chronik.cluster.image import ClusterImage
from chronik.cluster.metadata.topics import TopicImage
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import TopicId, TopicPartition
from chronik.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

_FIRST_VERSION_WITH_NOT_FOUND = 9
_FIRST_VERSION_WITH_IDS = 10
_NO_RETENTION = -1

Offsets = dict[TopicPartition, OffsetToCommit]
Errors = dict[TopicPartition, ErrorCode]


NEEDS = Needs(whole=(on_group(AclOperation.READ),), each=(each_topic_by_name_or_id(AclOperation.READ),))


async def handle(
    broker: Broker, context: RequestContext, request: OffsetCommitRequest
) -> OffsetCommitResponse:
    image, version = broker.metadata.image, context.api_version
    topics = [_find(image, asked, version) for asked in request.topics]
    offsets = _known_offsets(request, topics)
    if not offsets:
        return _response(request, topics, {}, version)
    retention_ms = request.retention_time_ms
    answer = await broker.groups.run(
        Commit(
            request.group_id,
            member_id=request.member_id,
            instance_id=request.group_instance_id,
            generation=request.generation_id_or_member_epoch,
            retention_ms=None if retention_ms == _NO_RETENTION else retention_ms,
            offsets=tuple(offsets.values()),
        )
    )
    error = _error(answer, version)
    one_by_one = (_topic_error(each, version) for each in answer.errors)
    errors = dict.fromkeys(offsets, error) if error else dict(zip(offsets, one_by_one, strict=True))
    return _response(request, topics, errors, version)


def on_error(request: OffsetCommitRequest, code: ErrorCode, message: str | None) -> OffsetCommitResponse:
    """The same error for every partition named."""
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    OffsetCommitResponsePartition(partition_index=asked.partition_index, error_code=code)
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _find(image: ClusterImage, asked: OffsetCommitRequestTopic, version: int) -> TopicImage | None:
    if version >= _FIRST_VERSION_WITH_IDS:
        return image.topics_by_id.get(TopicId(asked.topic_id))
    return image.topics.get(asked.name)


def _known_offsets(request: OffsetCommitRequest, topics: Sequence[TopicImage | None]) -> Offsets:
    """Returns the offsets that can be committed, by partition; of two for one partition the last."""
    offsets: Offsets = {}
    for asked_topic, topic in zip(request.topics, topics, strict=True):
        for asked in asked_topic.partitions:
            if topic is not None and 0 <= asked.partition_index < len(topic.partitions):
                partition = TopicPartition(topic.name, asked.partition_index)
                offsets[partition] = _to_commit(partition, topic.topic_id, asked)
    return offsets


def _to_commit(
    partition: TopicPartition, topic_id: TopicId, asked: OffsetCommitRequestPartition
) -> OffsetToCommit:
    return OffsetToCommit(
        partition=partition,
        offset=asked.committed_offset,
        leader_epoch=asked.committed_leader_epoch,
        metadata=asked.committed_metadata or "",
        topic_id=topic_id,
    )


def _error(answer: CommitAnswer, version: int) -> ErrorCode:
    if answer.error is ErrorCode.GROUP_ID_NOT_FOUND and version < _FIRST_VERSION_WITH_NOT_FOUND:
        return ErrorCode.ILLEGAL_GENERATION
    return answer.error


def _topic_error(error: ErrorCode, version: int) -> ErrorCode:
    """Returns the error for a topic deleted during the commit: unknown, by name or id as the request had
    it.
    """
    if error is ErrorCode.UNKNOWN_TOPIC_ID and version < _FIRST_VERSION_WITH_IDS:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return error


def _response(
    request: OffsetCommitRequest, topics: Sequence[TopicImage | None], errors: Errors, version: int
) -> OffsetCommitResponse:
    """Partitions without an entry in `errors` do not exist."""
    response = on_error(request, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None)
    for answered, topic in zip(response.topics, topics, strict=True):
        for partition in answered.partitions:
            if topic is not None:
                key = TopicPartition(topic.name, partition.partition_index)
                partition.error_code = errors.get(key, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            elif version >= _FIRST_VERSION_WITH_IDS:
                partition.error_code = ErrorCode.UNKNOWN_TOPIC_ID
    return response
