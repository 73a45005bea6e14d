"""A question to the controller and its answer, as they travel between nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chronik.cluster.answers import Answer, Outcome
from chronik.cluster.commands import (
    AllocateProducerIds,
    AlterConfigs,
    Command,
    CreatePartitions,
    CreateTopic,
    DeleteTopic,
    FenceBroker,
    IncrementalAlterConfigs,
    RegisterBroker,
)
from chronik.cluster.image import ClusterDelta, ProducerIdBlock, TopicImage, TopicPartitionImage
from chronik.cluster.json_codec import from_json, to_json
from chronik.cluster.records import BrokerRegistered, ConfigResource
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NodeId, Offset

_COMMANDS: dict[str, type[Command]] = {
    kind.__name__: kind
    for kind in (
        AllocateProducerIds,
        AlterConfigs,
        CreatePartitions,
        CreateTopic,
        DeleteTopic,
        FenceBroker,
        IncrementalAlterConfigs,
        RegisterBroker,
    )
}


class UnknownCommand(ValueError):
    """A question with a command that this release does not have."""


class Question(NamedTuple):
    """A command, and how long its sender waits for the answer."""

    command: Command
    validate_only: bool
    timeout_ms: int


def encode_question(question: Question) -> bytes:
    """One line with the name of the command and the circumstances, one with the command."""
    kind = type(question.command)
    head = f"{kind.__name__} {int(question.validate_only)} {question.timeout_ms}\n"
    return head.encode() + to_json(kind, question.command)


def decode_question(data: bytes) -> Question:
    """Raises ValueError, UnknownCommand."""
    head, _, body = data.partition(b"\n")
    name, validate_only, timeout_ms = head.decode().split(" ")
    kind = _COMMANDS.get(name)
    if kind is None:
        raise UnknownCommand(f"The controller, of an earlier release, does not know the command {name!r}")
    return Question(from_json(kind, body), validate_only == "1", int(timeout_ms))


class _Topic(NamedTuple):
    """A topic that is new from partition `first_new` on: all of it when that is 0."""

    topic: TopicImage
    first_new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """`Answer` without the repetitions in a delta."""

    fate: Outcome
    offset: Offset
    error: ErrorCode
    message: str | None = None
    topics: Sequence[_Topic] = ()
    topics_deleted: Sequence[TopicImage] = ()
    configs_changed: Sequence[ConfigResource] = ()
    brokers_registered: Sequence[BrokerRegistered] = ()
    brokers_fenced: Sequence[NodeId] = ()
    producer_ids_allocated: Sequence[ProducerIdBlock] = ()


def encode_answer(answer: Answer) -> bytes:
    delta = answer.delta
    first_new: dict[bytes, _Topic] = {}
    for created in delta.partitions_created:
        first_new.setdefault(created.topic.topic_id, _Topic(created.topic, created.partition))
    return to_json(
        _Answer,
        _Answer(
            fate=answer.fate,
            offset=answer.offset,
            error=answer.error,
            message=answer.message,
            topics=tuple(first_new.values()),
            topics_deleted=delta.topics_deleted,
            configs_changed=delta.configs_changed,
            brokers_registered=delta.brokers_registered,
            brokers_fenced=delta.brokers_fenced,
            producer_ids_allocated=delta.producer_ids_allocated,
        ),
    )


def decode_answer(data: bytes) -> Answer:
    """Raises ValueError."""
    found = from_json(_Answer, data)
    delta = ClusterDelta(
        topics_created=tuple(new.topic for new in found.topics if new.first_new == 0),
        topics_deleted=tuple(found.topics_deleted),
        partitions_created=tuple(
            TopicPartitionImage(new.topic, partition)
            for new in found.topics
            for partition in range(new.first_new, len(new.topic.partitions))
        ),
        configs_changed=tuple(found.configs_changed),
        brokers_registered=tuple(found.brokers_registered),
        brokers_fenced=tuple(found.brokers_fenced),
        producer_ids_allocated=tuple(found.producer_ids_allocated),
    )
    return Answer(fate=found.fate, offset=found.offset, delta=delta, error=found.error, message=found.message)
