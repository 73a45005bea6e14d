"""DescribeLogDirs (key 35), versions 1 to 5: what the data directory holds, in bytes (KIP-113, KIP-827).

Version 5 says whether a directory takes no new partitions (KIP-1066): never so here.
"""

from chronik.broker.context import Broker, RequestContext
from chronik.broker.partition import Partition
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)


async def handle(
    broker: Broker, context: RequestContext, request: DescribeLogDirsRequest
) -> DescribeLogDirsResponse:
    usage = broker.replicas.disk_usage()
    result = DescribeLogDirsResult(
        log_dir=usage.directory, total_bytes=usage.total_bytes, usable_bytes=usage.usable_bytes
    )
    try:
        result.topics = _topics(_asked(broker, request))
    except KafkaError as error:
        result.error_code = error.code
    return DescribeLogDirsResponse(results=[result])


def on_error(
    request: DescribeLogDirsRequest, code: ErrorCode, message: str | None
) -> DescribeLogDirsResponse:
    return DescribeLogDirsResponse(error_code=code)


def _asked(broker: Broker, request: DescribeLogDirsRequest) -> list[Partition]:
    """All partitions for a null list, else those of the named that are here."""
    if request.topics is None:
        return broker.replicas.partitions()
    found = (
        broker.replicas.find(topic.topic, index) for topic in request.topics for index in topic.partitions
    )
    return [partition for partition in found if partition is not None]


def _topics(partitions: list[Partition]) -> list[DescribeLogDirsTopic]:
    topics: dict[str, DescribeLogDirsTopic] = {}
    for partition in partitions:
        topic, index = partition.name
        entry = topics.setdefault(topic, DescribeLogDirsTopic(name=topic))
        entry.partitions.append(
            DescribeLogDirsPartition(partition_index=index, partition_size=partition.size())
        )
    return list(topics.values())
