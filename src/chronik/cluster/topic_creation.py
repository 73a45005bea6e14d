"""Topics that are there when the call returns: created unless they exist, every partition with a leader.

This is the promise "the first send works": what these functions return may be shown to clients.
"""

import asyncio
from collections.abc import Iterable, Sequence

from chronik.cluster.commands import CreateTopic
from chronik.cluster.image import TopicImage
from chronik.cluster.leadership import LeadershipTable, PartitionKey
from chronik.cluster.metadata_service import MetadataService
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.invariant import invariant


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
    try:
        async with asyncio.timeout_at(deadline):
            topic = await _create_unless_exists(metadata, command)
    except TimeoutError:
        raise KafkaError(
            ErrorCode.LEADER_NOT_AVAILABLE, f"Topic {command.name} is still being created"
        ) from None
    if await leadership.wait_for(partition_keys([topic]), deadline):
        raise KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, f"Topic {command.name} has no leaders yet")
    return topic


def partition_keys(topics: Iterable[TopicImage]) -> list[PartitionKey]:
    """All partitions of `topics`, as the leadership table names them."""
    return [
        PartitionKey(topic.topic_id, partition)
        for topic in topics
        for partition in range(len(topic.partitions))
    ]


async def _create_unless_exists(metadata: MetadataService, command: CreateTopic) -> TopicImage:
    while True:
        existing = metadata.image.topics.get(command.name)
        if existing is not None:
            return existing
        try:
            delta = await metadata.submit(command)
        except KafkaError as error:
            if error.code is not ErrorCode.TOPIC_ALREADY_EXISTS:
                raise
            # Somebody else was faster; it is in the image now, unless it was deleted again.
            continue
        invariant(len(delta.topics_created) == 1, "the creation of {} created no topic", command.name)
        return delta.topics_created[0]
