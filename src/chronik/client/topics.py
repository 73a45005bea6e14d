"""Topics: list, create, delete, describe, add partitions, delete records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chronik.client.client import Client
from chronik.client.errors import check, only
from chronik.vocab.ids import NO_TOPIC_ID, TopicId, format_topic_id
from chronik.wire.apis import ApiKey
from chronik.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from chronik.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from chronik.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from chronik.wire.messages.metadata import MetadataResponseTopic

# The broker chooses: `num.partitions`, `default.replication.factor` (KIP-464).
BROKER_DEFAULT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionPlace:
    """The placement of a partition. `leader` is None while it has none."""

    partition: int
    leader: int | None
    leader_epoch: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]
    offline: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic as Metadata shows it. `id` is empty where the broker has no topic ids."""

    name: str
    id: str
    is_internal: bool
    partitions: tuple[PartitionPlace, ...]

    @property
    def replication_factor(self) -> int:
        return max((len(partition.replicas) for partition in self.partitions), default=0)


def list_all(client: Client) -> list[Topic]:
    """Returns all topics by name, internal ones included."""
    return sorted(
        (_topic(topic) for topic in client.metadata(None).topics if topic.error_code == 0),
        key=lambda topic: topic.name,
    )


def find(client: Client, name: str) -> Topic:
    """Returns one topic. Raises ClientError UNKNOWN_TOPIC_OR_PARTITION and others."""

    def attempt() -> Topic:
        topic = only(client.metadata([name]).topics, f"find topic {name}")
        check(topic.error_code, f"find topic {name}")
        return _topic(topic)

    return client.retry(attempt)


def create(
    client: Client,
    name: str,
    *,
    partitions: int = BROKER_DEFAULT,
    replication_factor: int = BROKER_DEFAULT,
    config: Mapping[str, str] | None = None,
    validate_only: bool = False,
) -> str | None:
    """Creates a topic. Returns the broker's remark, if any. Raises ClientError."""
    topic = CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replication_factor,
        configs=[CreatableTopicConfig(name=key, value=value) for key, value in (config or {}).items()],
    )
    request = CreateTopicsRequest(topics=[topic], timeout_ms=_timeout_ms(client), validate_only=validate_only)

    def attempt() -> str | None:
        answer = client.ask_controller(ApiKey.CREATE_TOPICS, request, CreateTopicsResponse)
        result = only(answer.topics, f"create topic {name}")
        check(result.error_code, f"create topic {name}", result.error_message)
        return result.error_message

    return client.retry(attempt)


def delete(client: Client, names: Sequence[str]) -> None:
    """Delete topics. Raises ClientError for the first that cannot be; the others are deleted."""
    request = DeleteTopicsRequest(
        topics=[DeleteTopicState(name=name) for name in names],
        topic_names=list(names),
        timeout_ms=_timeout_ms(client),
    )

    def attempt() -> None:
        answer = client.ask_controller(ApiKey.DELETE_TOPICS, request, DeleteTopicsResponse)
        for result in answer.responses:
            check(result.error_code, f"delete topic {result.name}", result.error_message)

    client.retry(attempt)


def add_partitions(client: Client, name: str, count: int, *, validate_only: bool = False) -> None:
    """Let a topic have `count` partitions in all. Raises ClientError."""
    request = CreatePartitionsRequest(
        topics=[CreatePartitionsTopic(name=name, count=count, assignments=None)],
        timeout_ms=_timeout_ms(client),
        validate_only=validate_only,
    )

    def attempt() -> None:
        answer = client.ask_controller(ApiKey.CREATE_PARTITIONS, request, CreatePartitionsResponse)
        for result in answer.results:
            check(result.error_code, f"add partitions to {name}", result.error_message)

    client.retry(attempt)


def _topic(topic: MetadataResponseTopic) -> Topic:
    partitions = sorted(topic.partitions, key=lambda partition: partition.partition_index)
    return Topic(
        name=topic.name or "",
        id="" if topic.topic_id == NO_TOPIC_ID else format_topic_id(TopicId(topic.topic_id)),
        is_internal=topic.is_internal,
        partitions=tuple(
            PartitionPlace(
                partition=partition.partition_index,
                leader=partition.leader_id if partition.leader_id >= 0 else None,
                leader_epoch=partition.leader_epoch,
                replicas=tuple(partition.replica_nodes),
                in_sync=tuple(partition.isr_nodes),
                offline=tuple(partition.offline_replicas),
            )
            for partition in partitions
        ),
    )


def _timeout_ms(client: Client) -> int:
    return int(client.timeout_s * 1000)
