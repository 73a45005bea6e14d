"""What can be asked of the controller. Each command is decided whole: it leaves all its records or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from chronik.cluster.records import BrokerEndpoint, ConfigResource
from chronik.vocab.ids import NodeId, TopicId

# Partitions, replication factor: "take the broker's default" (KIP-464).
USE_DEFAULT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTopic:
    """Create a topic, placed by the controller or as `assignments` say.

    They map partitions to replicas, of which the first leads first.
    """

    name: str
    partitions: int = USE_DEFAULT
    replication_factor: int = USE_DEFAULT
    assignments: Mapping[int, Sequence[NodeId]] = field(default_factory=dict)
    # A None value leaves the default in place.
    configs: Mapping[str, str | None] = field(default_factory=dict)
    # Chosen by who asks, so that asking again finds what the first time made. None: by the controller.
    topic_id: TopicId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTopic:
    """Delete a topic by its name or by its id: exactly one of the two is given."""

    name: str | None = None
    topic_id: TopicId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePartitions:
    """Let a topic grow to `count` partitions.

    `assignments`, when given, name the replicas of each new one.
    """

    name: str
    count: int
    assignments: Sequence[Sequence[NodeId]] | None = None


class AlterOp(IntEnum):
    """How IncrementalAlterConfigs changes a setting, as the protocol numbers it (KIP-339)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ConfigChange(NamedTuple):
    """One step of an incremental alteration."""

    key: str
    op: AlterOp
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncrementalAlterConfigs:
    """Change some settings of a resource; the others stay."""

    resource: ConfigResource
    changes: Sequence[ConfigChange]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterConfigs:
    """Replace all settings of a resource; those not named go back to their defaults."""

    resource: ConfigResource
    entries: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterBroker:
    """A node tells where it is, and that it serves.

    Leaves no record when the cluster knows it so already. One that was fenced no longer is. Another directory
    than before is a disk that was replaced.
    """

    node: NodeId
    directory_id: str
    endpoints: Sequence[BrokerEndpoint]
    rack: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceBroker:
    """Take a node out of what clients see and out of placement: it is lost, or about to stop.

    Leaves no record when the node has registered anew since registration `epoch`, or is unknown or fenced.
    """

    node: NodeId
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocateProducerIds:
    """A node wants the next block of producer ids."""

    node: NodeId


Command = (
    CreateTopic
    | DeleteTopic
    | CreatePartitions
    | IncrementalAlterConfigs
    | AlterConfigs
    | RegisterBroker
    | FenceBroker
    | AllocateProducerIds
)
