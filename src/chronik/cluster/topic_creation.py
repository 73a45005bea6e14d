"""Creates topics that are ready when the call returns: every partition with a leader, known to every node.

This is the promise "the first send works": topics that these functions return may be shown to clients. A
topic that existed before only needs leaders; one that is created now is waited for until every node that
serves has applied its records, so that no client reaches a node that does not know it.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from chronik.cluster.image import ClusterDelta
from chronik.cluster.leadership import LeadershipTable, PartitionKey
from chronik.cluster.metadata.topics import CreateTopic, TopicImage
from chronik.cluster.metadata_service import MetadataService
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.invariant import invariant

_log = logging.getLogger(__name__)

# Of which the loss of one is the loss of the majority.
_PAIR = 2

# The change was not made, or it is not known here: it may still come.
_NOT_YET = frozenset({ErrorCode.NOT_CONTROLLER, ErrorCode.REQUEST_TIMED_OUT})


async def ensure_topics(
    metadata: MetadataService,
    leadership: LeadershipTable,
    commands: Sequence[CreateTopic],
    deadline: float,
) -> list[TopicImage | KafkaError]:
    """`ensure_topic` for many at once.

    They share their commits. Failures are returned, in the order of `commands`.
    """

    async def ensure(command: CreateTopic) -> TopicImage | KafkaError:
        try:
            return await ensure_topic(metadata, leadership, command, deadline)
        except KafkaError as error:
            return error

    return list(await asyncio.gather(*map(ensure, commands)))


async def ensure_topic(
    metadata: MetadataService, leadership: LeadershipTable, command: CreateTopic, deadline: float
) -> TopicImage:
    """The topic as `command` describes it, or as it exists already, when each of its partitions has a leader.

    `deadline` is on the loop's clock, in seconds; past it LEADER_NOT_AVAILABLE is raised, and the topic may
    come later. Raises KafkaError when it cannot be created.
    """
    existing = metadata.image.topics.get(command.name)
    topic = existing or await _create_unless_exists(metadata, command, deadline)
    if await leadership.wait_for(partition_keys([topic]), deadline):
        raise KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, f"Topic {command.name} has no leaders yet")
    if existing is None and not await metadata.wait_applied_everywhere(deadline):
        raise KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, f"Topic {command.name} is not known everywhere yet")
    return topic


async def create_topic(
    metadata: MetadataService,
    leadership: LeadershipTable,
    command: CreateTopic,
    deadline: float,
    *,
    validate_only: bool = False,
) -> TopicImage:
    """The topic that `command` created, or would create, for CreateTopics.

    `deadline` is on the loop's clock, in seconds; past it REQUEST_TIMED_OUT is raised, and the topic may come
    later, as from Kafka. Raises KafkaError when it cannot be created.
    """
    try:
        async with asyncio.timeout_at(deadline):
            delta = await metadata.submit(command, validate_only=validate_only, deadline=deadline)
    except TimeoutError:
        message = "The topic was not yet created when the request timed out"
        raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, message) from None
    (topic,) = delta.topics_created
    if not validate_only:
        _log_notice(topic)
        await wait_ready(metadata, leadership, delta, deadline)
    return topic


def replication_notice(topic: TopicImage) -> str | None:
    """Returns what a Kafka user would not expect of a topic's replication; None as a rule."""
    pairs = sum(len(partition.wanted) == _PAIR for partition in topic.partitions)
    if not pairs:
        return None
    return (
        f"{pairs} partition(s) of topic {topic.name} have 2 replicas: a majority of 2 is both, so while one "
        "of their nodes is away nobody leads them, and they take and give no records, whatever "
        "min.insync.replicas says; 3 replicas survive the loss of one"
    )


def _log_notice(topic: TopicImage) -> None:
    notice = replication_notice(topic)
    if notice is not None:
        _log.warning("%s", notice, extra={"topic": topic.name})


async def wait_ready(
    metadata: MetadataService, leadership: LeadershipTable, delta: ClusterDelta, deadline: float
) -> None:
    """Wait until the partitions that `delta` created have leaders and are known everywhere.

    Raises REQUEST_TIMED_OUT past `deadline`, on the loop's clock in seconds.
    """
    created = [PartitionKey(new.topic.topic_id, new.partition) for new in delta.partitions_created]
    if await leadership.wait_for(created, deadline):
        message = "The partitions had no leaders yet when the request timed out"
        raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, message)
    if not await metadata.wait_applied_everywhere(deadline):
        message = "The partitions were not known to all brokers yet when the request timed out"
        raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, message)


def partition_keys(topics: Iterable[TopicImage]) -> list[PartitionKey]:
    """Returns all partitions of `topics`, as the leadership table names them."""
    return [
        PartitionKey(topic.topic_id, partition)
        for topic in topics
        for partition in range(len(topic.partitions))
    ]


async def _create_unless_exists(
    metadata: MetadataService, command: CreateTopic, deadline: float
) -> TopicImage:
    """Raises LEADER_NOT_AVAILABLE past `deadline`."""
    try:
        async with asyncio.timeout_at(deadline):
            return await _create(metadata, command, deadline)
    except TimeoutError:
        pass
    except KafkaError as error:
        if error.code not in _NOT_YET:
            raise
    raise KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, f"Topic {command.name} is still being created")


async def _create(metadata: MetadataService, command: CreateTopic, deadline: float) -> TopicImage:
    while True:
        existing = metadata.image.topics.get(command.name)
        if existing is not None:
            return existing
        try:
            delta = await metadata.submit(command, deadline=deadline)
        except KafkaError as error:
            if error.code is not ErrorCode.TOPIC_ALREADY_EXISTS:
                raise
            # Another request was faster; the topic is in the image now, unless it was deleted again.
            continue
        invariant(len(delta.topics_created) == 1, "the creation of {} created no topic", command.name)
        _log_notice(delta.topics_created[0])
        return delta.topics_created[0]
