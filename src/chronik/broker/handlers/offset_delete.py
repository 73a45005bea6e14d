"""OffsetDelete (key 47), version 0: deletes a group's offsets for topics it does not subscribe to
(KIP-496).
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.groups.commands import DeleteOffsets
from chronik.broker.groups.service import check_group_id
from chronik.broker.needs import Needs, each_topic, on_group
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import TopicPartition
from chronik.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

NEEDS = Needs(whole=(on_group(AclOperation.DELETE),), each=(each_topic(AclOperation.READ),))


async def handle(
    broker: Broker, context: RequestContext, request: OffsetDeleteRequest
) -> OffsetDeleteResponse:
    check_group_id(request.group_id)
    known_topics = broker.metadata.image.topics
    partitions = tuple(
        TopicPartition(topic.name, partition.partition_index)
        for topic in request.topics
        if topic.name in known_topics
        for partition in topic.partitions
        if 0 <= partition.partition_index < len(known_topics[topic.name].partitions)
    )
    answer = await broker.groups.run(DeleteOffsets(request.group_id, partitions=partitions))
    if answer.error is not ErrorCode.NONE:
        raise KafkaError(answer.error)
    errors = dict(zip(partitions, answer.errors, strict=True))
    return OffsetDeleteResponse(
        topics=[
            OffsetDeleteResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetDeleteResponsePartition(
                        partition_index=partition.partition_index,
                        error_code=errors.get(
                            TopicPartition(topic.name, partition.partition_index),
                            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                        ),
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def on_error(request: OffsetDeleteRequest, code: ErrorCode, message: str | None) -> OffsetDeleteResponse:
    return OffsetDeleteResponse(error_code=code)


def on_denied(
    broker: Broker, context: RequestContext, request: OffsetDeleteRequest, code: ErrorCode
) -> OffsetDeleteResponse:
    """Puts the refusal into each partition."""
    return OffsetDeleteResponse(
        topics=[
            OffsetDeleteResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetDeleteResponsePartition(partition_index=each.partition_index, error_code=code)
                    for each in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
