"""DeleteRecords (key 21), versions 0 to 2: raise the log start offset; -1 means up to the high watermark
(KIP-107).

The leader's log start is durable when it answers; followers receive it from the leader, after the answer.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, each_topic
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset
from chronik.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

_UNKNOWN = -1


NEEDS = Needs(each=(each_topic(AclOperation.DELETE),))


async def handle(
    broker: Broker, context: RequestContext, request: DeleteRecordsRequest
) -> DeleteRecordsResponse:
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=topic.name,
                partitions=[await _delete(broker, topic.name, wanted) for wanted in topic.partitions],
            )
            for topic in request.topics
        ]
    )


def on_error(request: DeleteRecordsRequest, code: ErrorCode, message: str | None) -> DeleteRecordsResponse:
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=topic.name, partitions=[_failed(wanted, code) for wanted in topic.partitions]
            )
            for topic in request.topics
        ]
    )


async def _delete(broker: Broker, topic: str, wanted: DeleteRecordsPartition) -> DeleteRecordsPartitionResult:
    try:
        partition = broker.replicas.replica(topic, wanted.partition_index)
        if partition.is_internal:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, "records of internal topics are the broker's")
        if not partition.config.deletes:
            raise KafkaError(
                ErrorCode.POLICY_VIOLATION, "records of a compacted topic cannot be deleted by offset"
            )
        low_watermark = await partition.delete_records(Offset(wanted.offset))
    except KafkaError as error:
        return _failed(wanted, error.code)
    return DeleteRecordsPartitionResult(partition_index=wanted.partition_index, low_watermark=low_watermark)


def _failed(wanted: DeleteRecordsPartition, code: ErrorCode) -> DeleteRecordsPartitionResult:
    return DeleteRecordsPartitionResult(
        partition_index=wanted.partition_index, low_watermark=_UNKNOWN, error_code=code
    )
