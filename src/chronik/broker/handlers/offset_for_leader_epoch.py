"""OffsetForLeaderEpoch (key 23), versions 2 to 4: where an epoch ended, so that a client notices a truncated
log (KIP-320).
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Needs, each_topic
from chronik.broker.partition import Partition
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_EPOCH, LeaderEpoch
from chronik.wire.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)

_UNKNOWN = -1


NEEDS = Needs(each=(each_topic(AclOperation.DESCRIBE, "topic", or_on_cluster=AclOperation.CLUSTER_ACTION),))


async def handle(
    broker: Broker, context: RequestContext, request: OffsetForLeaderEpochRequest
) -> OffsetForLeaderEpochResponse:
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[_answer(broker, topic.topic, wanted) for wanted in topic.partitions],
            )
            for topic in request.topics
        ]
    )


def on_error(
    request: OffsetForLeaderEpochRequest, code: ErrorCode, message: str | None
) -> OffsetForLeaderEpochResponse:
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic, partitions=[_failed(wanted, code) for wanted in topic.partitions]
            )
            for topic in request.topics
        ]
    )


def _answer(broker: Broker, topic: str, wanted: OffsetForLeaderPartition) -> EpochEndOffset:
    try:
        partition = broker.replicas.replica(topic, wanted.partition)
        partition.check_leader(wanted.current_leader_epoch)
    except KafkaError as error:
        return _failed(wanted, error.code)
    if wanted.leader_epoch == NO_EPOCH:
        return _failed(wanted, ErrorCode.NONE)
    epoch, end_offset = _find(partition, wanted.leader_epoch)
    return EpochEndOffset(partition=wanted.partition, leader_epoch=epoch, end_offset=end_offset)


def _find(partition: Partition, wanted: int) -> tuple[int, int]:
    """The largest epoch that is not above `wanted`, and where it ends; -1, -1 when nothing is known."""
    log, current = partition.log, partition.leader_epoch
    if wanted == current:
        # It has not ended: it reaches as far as a consumer may read. A new leader does not know how far that
        # is, and must not look as if it had lost something.
        return wanted, partition.high_watermark if partition.is_own_term_committed else log.end_offset
    latest = log.latest_epoch
    if latest <= wanted < current and latest < current:
        # Nothing is written in the current epoch yet. It begins where the log ends, as Kafka notes at once.
        return (latest if latest >= 0 else wanted), log.end_offset
    found = log.end_offset_for_epoch(LeaderEpoch(wanted))
    return found.epoch, found.end_offset


def _failed(wanted: OffsetForLeaderPartition, code: ErrorCode) -> EpochEndOffset:
    return EpochEndOffset(
        error_code=code, partition=wanted.partition, leader_epoch=_UNKNOWN, end_offset=_UNKNOWN
    )
