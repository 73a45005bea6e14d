"""DescribeLogDirs (key 35), versions 1 to 5: the replicas in the data directory, with sizes in bytes
(KIP-113, KIP-827).

Version 5 has a flag for a directory that takes no new partitions (KIP-1066): never set here.
"""

from collections.abc import Sequence

from chronik.broker.context import Broker, RequestContext
from chronik.broker.gateway import PartitionGateway
from chronik.broker.needs import Needs, on_cluster
from chronik.broker.slices import Steps
from chronik.vocab.acl import AclOperation
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

NEEDS = Needs(whole=(on_cluster(AclOperation.DESCRIBE),))

# Partitions looked up, or described, in one step: one to three microseconds for each.
_STEP = 64


def handle(
    broker: Broker, context: RequestContext, request: DescribeLogDirsRequest
) -> Steps[DescribeLogDirsResponse]:
    """In steps: a node may have tens of thousands of partitions, and a request name more."""
    usage = broker.replicas.disk_usage()
    result = DescribeLogDirsResult(
        log_dir=usage.directory, total_bytes=usage.total_bytes, usable_bytes=usage.usable_bytes
    )
    try:
        partitions = yield from _asked(broker, request)
        result.topics = yield from _topics(partitions)
    except KafkaError as error:
        result.error_code = error.code
    return DescribeLogDirsResponse(results=[result])


def on_error(
    request: DescribeLogDirsRequest, code: ErrorCode, message: str | None
) -> DescribeLogDirsResponse:
    return DescribeLogDirsResponse(error_code=code)


def _asked(broker: Broker, request: DescribeLogDirsRequest) -> Steps[Sequence[PartitionGateway]]:
    """All partitions for a null list, else those requested that are here."""
    if request.topics is None:
        return broker.replicas.partitions()
    found: list[PartitionGateway] = []
    number = 0
    for topic in request.topics:
        for index in topic.partitions:
            number += 1
            if not number % _STEP:
                yield
            partition = broker.replicas.find(topic.topic, index)
            if partition is not None:
                found.append(partition)
    return found


def _topics(partitions: Sequence[PartitionGateway]) -> Steps[list[DescribeLogDirsTopic]]:
    topics: dict[str, DescribeLogDirsTopic] = {}
    for number, partition in enumerate(partitions):
        if not number % _STEP:
            yield
        topic, index = partition.name
        entry = topics.setdefault(topic, DescribeLogDirsTopic(name=topic))
        entry.partitions.append(
            DescribeLogDirsPartition(partition_index=index, partition_size=partition.size())
        )
    return list(topics.values())
