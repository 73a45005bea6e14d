"""OffsetCommit (key 8), versions 2 to 9: where a group has got to, answered when it is committed.

Partitions that do not exist are refused one by one; the rest is committed as one batch. Versions 2 to 4 may
bring a retention time of their own. From version 9 a group that does not exist is GROUP_ID_NOT_FOUND, before
it ILLEGAL_GENERATION.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import Commit, CommitAnswer, OffsetToCommit
from chronik.cluster.image import ClusterImage
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import TopicPartition
from chronik.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

_FIRST_VERSION_WITH_NOT_FOUND = 9
_NO_RETENTION = -1

Errors = dict[TopicPartition, ErrorCode]


async def handle(
    broker: Broker, context: RequestContext, request: OffsetCommitRequest
) -> OffsetCommitResponse:
    offsets = _known_offsets(broker.metadata.image, request)
    if not offsets:
        return _response(request, {}, otherwise=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
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
    error = _error(answer, context.api_version)
    errors = dict.fromkeys(offsets, error) if error else dict(zip(offsets, answer.errors, strict=True))
    return _response(request, errors, otherwise=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def on_error(request: OffsetCommitRequest, code: ErrorCode, message: str | None) -> OffsetCommitResponse:
    """The same error for every partition named."""
    return _response(request, {}, otherwise=code)


def _known_offsets(image: ClusterImage, request: OffsetCommitRequest) -> dict[TopicPartition, OffsetToCommit]:
    """What can be committed, by partition; of two offsets for one partition the last."""
    offsets: dict[TopicPartition, OffsetToCommit] = {}
    for topic in request.topics:
        known = image.topics.get(topic.name)
        count = len(known.partitions) if known is not None else 0
        for asked in topic.partitions:
            if 0 <= asked.partition_index < count:
                partition = TopicPartition(topic.name, asked.partition_index)
                offsets[partition] = _to_commit(partition, asked)
    return offsets


def _to_commit(partition: TopicPartition, asked: OffsetCommitRequestPartition) -> OffsetToCommit:
    return OffsetToCommit(
        partition=partition,
        offset=asked.committed_offset,
        leader_epoch=asked.committed_leader_epoch,
        metadata=asked.committed_metadata or "",
    )


def _error(answer: CommitAnswer, version: int) -> ErrorCode:
    if answer.error is ErrorCode.GROUP_ID_NOT_FOUND and version < _FIRST_VERSION_WITH_NOT_FOUND:
        return ErrorCode.ILLEGAL_GENERATION
    return answer.error


def _response(request: OffsetCommitRequest, errors: Errors, *, otherwise: ErrorCode) -> OffsetCommitResponse:
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=asked.partition_index,
                        error_code=errors.get(TopicPartition(topic.name, asked.partition_index), otherwise),
                    )
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
