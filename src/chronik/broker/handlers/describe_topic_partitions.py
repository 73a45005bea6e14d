"""DescribeTopicPartitions (key 75), version 0: topics and their partitions, a page at a time (KIP-966).

Topics come in the order of their names; a page ends after the requested number of partitions, and its cursor
names the start of the next one. Raft has no eligible leader replicas: both lists are empty, and never null,
because Kafka sends lists and its Java Admin client (3.8 and later) iterates over them. Unlike Metadata it
never creates topics or waits.
"""

from collections.abc import Iterable
from heapq import merge
from itertools import groupby, islice

from chronik.broker.context import Broker, RequestContext
from chronik.broker.needs import Inside, Needs
from chronik.broker.slices import Steps
from chronik.cluster.metadata.topics import TopicImage
from chronik.cluster.views import PartitionView, broker_views, partition_views
from chronik.vocab.acl import AclOperation, AclResourceType
from chronik.vocab.config.topic_names import topic_name_problem
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.messages.describe_topic_partitions import (
    CursorResponse,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)

# Kafka's default of max.request.partition.size.limit: a page of it is about 100 KiB.
_PARTITIONS_PER_PAGE_MAX = 2000

# Topics looked at in one step, and names sorted in one.
_STEP = 64
_RUN = 1000

NEEDS = Needs(
    inside=(
        Inside(
            operation=AclOperation.DESCRIBE,
            resource_type=AclResourceType.TOPIC,
            otherwise="refused where it is named, left out where all are asked for",
        ),
    ),
)


def handle(
    broker: Broker, context: RequestContext, request: DescribeTopicPartitionsRequest
) -> Steps[DescribeTopicPartitionsResponse]:
    """In steps: a request may name hundreds of thousands of topics."""
    if request.cursor is not None and request.cursor.partition_index < 0:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "The cursor's partition is negative")
    cursor = request.cursor
    if request.topics and cursor and all(topic.name != cursor.topic_name for topic in request.topics):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "The cursor's topic is not among those named")
    page = _Page(broker, context, request)
    names = yield from _names(broker, request)
    if broker.access.allows_all:
        return (yield from page.fill(names))
    named = list(names)
    denied = broker.access.denied(context.session, AclOperation.DESCRIBE, AclResourceType.TOPIC, named)
    response = yield from page.fill(name for name in named if name not in denied)
    if request.topics:
        response.topics += [_denied(name) for name in named if name in denied]
    return response


def on_error(
    request: DescribeTopicPartitionsRequest, code: ErrorCode, message: str | None
) -> DescribeTopicPartitionsResponse:
    """The same error for every topic named."""
    return DescribeTopicPartitionsResponse(
        topics=[DescribeTopicPartitionsResponseTopic(error_code=code, name=t.name) for t in request.topics]
    )


def _names(broker: Broker, request: DescribeTopicPartitionsRequest) -> Steps[Iterable[str]]:
    """Names from the cursor on, each once, in their order.

    No topic named means all.
    """
    topics = broker.metadata.image.topics
    cursor = request.cursor.topic_name if request.cursor is not None else ""
    if not request.topics:
        return sorted(name for name in topics if name >= cursor)
    runs: list[list[str]] = []
    for start in range(0, len(request.topics), _RUN):
        run = request.topics[start : start + _RUN]
        runs.append(sorted(topic.name for topic in run if topic.name >= cursor))
        yield
    return (name for name, _ in groupby(merge(*runs)))


class _Page:
    """The part of the answer that fits into one response."""

    def __init__(
        self, broker: Broker, context: RequestContext, request: DescribeTopicPartitionsRequest
    ) -> None:
        self._broker = broker
        self._session = context.session
        self._brokers = broker_views(broker.metadata.image, context.session.listener)
        self._cursor = request.cursor
        # Only then are topics that do not exist an error.
        self._names_given = bool(request.topics)
        self._room = max(1, min(request.response_partition_limit, _PARTITIONS_PER_PAGE_MAX))
        self._topics: list[DescribeTopicPartitionsResponseTopic] = []

    def fill(self, names: Iterable[str]) -> Steps[DescribeTopicPartitionsResponse]:
        next_cursor = None
        for number, name in enumerate(names):
            if not number % _STEP:
                yield
            next_cursor = self._add(name)
            if next_cursor is not None:
                break
        return DescribeTopicPartitionsResponse(topics=self._topics, next_cursor=next_cursor)

    def _add(self, name: str) -> CursorResponse | None:
        """Add one topic. Returns where the next page begins, when this one is full."""
        topic = self._broker.metadata.image.topics.get(name)
        if topic is None:
            if self._names_given:
                self._topics.append(_missing(name, self._operations(name)))
            return None
        first = self._first_partition(name)
        if self._room == 0:
            return CursorResponse(topic_name=name, partition_index=first)
        views = partition_views(topic, self._broker.leadership, self._brokers, first=first)
        partitions = [_partition(view) for view in islice(views, self._room)]
        self._topics.append(_topic(topic, partitions, self._operations(name)))
        self._room -= len(partitions)
        end = first + len(partitions)
        return CursorResponse(topic_name=name, partition_index=end) if end < len(topic.partitions) else None

    def _operations(self, name: str) -> int:
        return self._broker.access.operations(self._session, AclResourceType.TOPIC, name)

    def _first_partition(self, name: str) -> int:
        return self._cursor.partition_index if self._cursor and self._cursor.topic_name == name else 0


def _denied(name: str) -> DescribeTopicPartitionsResponseTopic:
    """Existence is not disclosed."""
    return DescribeTopicPartitionsResponseTopic(error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED, name=name)


def _missing(name: str, operations: int) -> DescribeTopicPartitionsResponseTopic:
    is_illegal = topic_name_problem(name) is not None
    code = ErrorCode.INVALID_TOPIC_EXCEPTION if is_illegal else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return DescribeTopicPartitionsResponseTopic(
        error_code=code, name=name, topic_authorized_operations=operations
    )


def _topic(
    topic: TopicImage, partitions: list[DescribeTopicPartitionsResponsePartition], operations: int
) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.is_internal,
        partitions=partitions,
        topic_authorized_operations=operations,
    )


def _partition(view: PartitionView) -> DescribeTopicPartitionsResponsePartition:
    return DescribeTopicPartitionsResponsePartition(
        error_code=view.error,
        partition_index=view.partition,
        leader_id=view.leader,
        leader_epoch=view.leader_epoch,
        replica_nodes=view.replicas,
        isr_nodes=view.in_sync,
        eligible_leader_replicas=[],
        last_known_elr=[],
        offline_replicas=view.offline,
    )
