"""ListOffsets (key 2), versions 1 to 11: offsets by time, and the ends of a partition.

Special timestamps: -1 latest, -2 earliest, -3 the record with the largest timestamp (KIP-734), -4 earliest
local, -5 latest tiered, -6 earliest that waits to be tiered (KIP-405, KIP-1005, KIP-1023); without tiering
there is only the local log. A partition named twice in one request is refused, as by Kafka.

A newly elected leader may not know the records that its predecessor acknowledged: until it does, only the
earliest offset is answered (KIP-207).
"""

from collections import Counter

from chronik.broker.context import Broker, RequestContext
from chronik.broker.gateway import PartitionGateway
from chronik.broker.needs import Needs, each_topic
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

_LATEST = -1
_EARLIEST = -2
_MAX_TIMESTAMP = -3
_EARLIEST_LOCAL = -4
_LATEST_TIERED = -5
_EARLIEST_PENDING_UPLOAD = -6
_FIRST_VERSION_WITH = {
    _MAX_TIMESTAMP: 7,
    _EARLIEST_LOCAL: 8,
    _LATEST_TIERED: 9,
    _EARLIEST_PENDING_UPLOAD: 11,
}
_FIRST_VERSION_WITH_OFFSET_NOT_AVAILABLE = 5
_TIERED_KINDS = (_LATEST_TIERED, _EARLIEST_PENDING_UPLOAD)
_EARLIEST_KINDS = (_EARLIEST, _EARLIEST_LOCAL, *_TIERED_KINDS)
_READ_COMMITTED = 1
_UNKNOWN = -1


NEEDS = Needs(each=(each_topic(AclOperation.DESCRIBE),))


async def handle(broker: Broker, context: RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse:
    is_read_committed = request.isolation_level == _READ_COMMITTED
    times = Counter(
        (topic.name, wanted.partition_index) for topic in request.topics for wanted in topic.partitions
    )
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    _answer(broker, context.api_version, topic.name, wanted, is_read_committed)
                    if times[topic.name, wanted.partition_index] == 1
                    else _failed(wanted, ErrorCode.INVALID_REQUEST)
                    for wanted in {wanted.partition_index: wanted for wanted in topic.partitions}.values()
                ],
            )
            for topic in request.topics
        ]
    )


def on_error(request: ListOffsetsRequest, code: ErrorCode, message: str | None) -> ListOffsetsResponse:
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name, partitions=[_failed(wanted, code) for wanted in topic.partitions]
            )
            for topic in request.topics
        ]
    )


def _answer(
    broker: Broker, api_version: int, topic: str, wanted: ListOffsetsPartition, is_read_committed: bool
) -> ListOffsetsPartitionResponse:
    try:
        partition = broker.replicas.replica(topic, wanted.partition_index)
        partition.check_leader(wanted.current_leader_epoch)
        if api_version < _FIRST_VERSION_WITH.get(wanted.timestamp, 0):
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
        if wanted.timestamp not in _EARLIEST_KINDS and not partition.is_own_term_committed:
            raise KafkaError(_not_settled(api_version))
        timestamp, offset = _find(partition, wanted.timestamp, is_read_committed)
    except KafkaError as error:
        return _failed(wanted, error.code)
    epoch = _UNKNOWN if offset == _UNKNOWN else partition.epoch_at(offset)
    return ListOffsetsPartitionResponse(
        partition_index=wanted.partition_index, timestamp=timestamp, offset=offset, leader_epoch=epoch
    )


def _not_settled(api_version: int) -> ErrorCode:
    if api_version < _FIRST_VERSION_WITH_OFFSET_NOT_AVAILABLE:
        return ErrorCode.LEADER_NOT_AVAILABLE
    return ErrorCode.OFFSET_NOT_AVAILABLE


def _find(partition: PartitionGateway, timestamp: int, is_read_committed: bool) -> tuple[int, int]:
    """(timestamp, offset); -1 where there is none."""
    end_offset = partition.last_stable_offset if is_read_committed else partition.high_watermark
    if timestamp == _LATEST:
        return _UNKNOWN, end_offset
    if timestamp in (_EARLIEST, _EARLIEST_LOCAL):
        return _UNKNOWN, partition.log_start_offset
    if timestamp in _TIERED_KINDS:
        return _UNKNOWN, _UNKNOWN
    if timestamp == _MAX_TIMESTAMP:
        found = partition.offset_of_max_timestamp()
    elif timestamp >= 0:
        found = partition.offset_for_timestamp(timestamp)
    else:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"no such special timestamp: {timestamp}")
    if found is None or found.offset >= end_offset:
        return _UNKNOWN, _UNKNOWN
    return found.timestamp, found.offset


def _failed(wanted: ListOffsetsPartition, code: ErrorCode) -> ListOffsetsPartitionResponse:
    return ListOffsetsPartitionResponse(
        partition_index=wanted.partition_index,
        error_code=code,
        timestamp=_UNKNOWN,
        offset=_UNKNOWN,
        leader_epoch=_UNKNOWN,
    )
