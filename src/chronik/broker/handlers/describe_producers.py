"""DescribeProducers (key 61), version 0: the idempotent producers a partition remembers (KIP-664)."""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Each, Needs
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.vocab.config.topic_names import topic_name_problem
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)

_NONE = -1


NEEDS = Needs(
    each=(
        Each(
            operation=AclOperation.READ,
            resource_type=AclResourceType.TOPIC,
            name=lambda broker, request, topic: None if topic_name_problem(topic.name) else str(topic.name),
        ),
    )
)


async def handle(
    broker: Broker, context: RequestContext, request: DescribeProducersRequest
) -> DescribeProducersResponse:
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[_describe(broker, topic.name, index) for index in topic.partition_indexes],
            )
            for topic in request.topics
        ]
    )


def on_error(
    request: DescribeProducersRequest, code: ErrorCode, message: str | None
) -> DescribeProducersResponse:
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[
                    PartitionResponse(partition_index=index, error_code=code, error_message=message)
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )


def _describe(broker: Broker, topic: str, index: int) -> PartitionResponse:
    problem = topic_name_problem(topic)
    if problem is not None:
        return PartitionResponse(
            partition_index=index,
            error_code=ErrorCode.INVALID_TOPIC_EXCEPTION,
            error_message=f"{topic!r} is no topic name: {problem}",
        )
    try:
        partition = broker.replicas.replica(topic, index)
        partition.check_leader()
    except KafkaError as error:
        is_known = topic in broker.metadata.image.topics
        message = error.message or (None if is_known else f"there is no topic {topic}")
        return PartitionResponse(partition_index=index, error_code=error.code, error_message=message)
    return PartitionResponse(
        partition_index=index,
        error_message=None,
        active_producers=[
            ProducerState(
                producer_id=producer.producer_id,
                producer_epoch=producer.epoch,
                last_sequence=producer.last_sequence,
                last_timestamp=producer.last_timestamp,
                coordinator_epoch=producer.coordinator_epoch,
                current_txn_start_offset=_NONE
                if producer.txn_first_offset is None
                else producer.txn_first_offset,
            )
            for producer in partition.active_producers()
        ],
    )
