"""The metadata records: what `__meta` holds, one frozen value per fact.

They say what happened, never what was asked for: a command that was refused leaves none. Their bytes are made
in `record_codec`; what they add up to is `image.ClusterImage`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from chronik.vocab.config.definition import ResourceType
from chronik.vocab.ids import FIRST_EPOCH, LeaderEpoch, NodeId, ProducerId, TopicId


class ConfigResource(NamedTuple):
    """A thing that has configuration.

    A broker without a name is the default of all brokers of the cluster.
    """

    type: ResourceType
    name: str


def topic_resource(name: str) -> ConfigResource:
    """The resource that holds a topic's settings."""
    return ConfigResource(ResourceType.TOPIC, name)


# Below every epoch of a partition that can be deleted: new partitions begin at the first one.
NO_FLOOR = LeaderEpoch(0)

CLUSTER_DEFAULT = ConfigResource(ResourceType.BROKER, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerEndpoint:
    """Where clients reach a broker by one of its listeners."""

    listener: str
    host: str
    port: int
    # PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
    security_protocol: str = "PLAINTEXT"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRegistered:
    """A node came up with these addresses. The latest registration of a node counts; it ends its fencing."""

    node: NodeId
    # Names the data directory, not the process: a node that lost its disk registers with another one.
    directory_id: str
    endpoints: tuple[BrokerEndpoint, ...]
    rack: str | None = None
    # Counts the registrations of this node: what was decided about an earlier one does not concern this one.
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFenced:
    """A node is not to be shown to clients, nor given replicas, until it registers again."""

    node: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCreated:
    """A topic exists. Its partitions and configuration follow in the same append."""

    name: str
    topic_id: TopicId


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionCreated:
    """The next partition of a topic exists.

    `leader`, one of `replicas`, leads its first epoch without an election.
    """

    topic_id: TopicId
    partition: int
    replicas: tuple[NodeId, ...]
    leader: NodeId
    # The data directory each replica begins in, in the order of `replicas`. Empty: decided by a release that
    # did not say.
    directories: tuple[str, ...] = ()
    # The epoch that `leader` leads: above all that partitions of this name had before. In records of releases
    # that did not say it is the lowest there is.
    first_epoch: LeaderEpoch = FIRST_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDeleted:
    """A topic, its partitions and its configuration are gone."""

    topic_id: TopicId
    # No partition of it was led in an epoch above this one.
    last_epoch: LeaderEpoch = NO_FLOOR


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFloorRaised:
    """New partitions begin above `epoch`: no deleted topic was led in a later one.

    Only in snapshots, in place of the deletions that they stand for.
    """

    epoch: LeaderEpoch


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChanged:
    """One dynamic setting of a resource has a new value; None takes it back to its default."""

    resource: ConfigResource
    key: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerIdsAllocated:
    """A node may hand out the producer ids from `first` up to `end` (exclusive)."""

    node: NodeId
    first: ProducerId
    end: ProducerId


MetadataRecord = (
    BrokerRegistered
    | BrokerFenced
    | TopicCreated
    | PartitionCreated
    | TopicDeleted
    | EpochFloorRaised
    | ConfigChanged
    | ProducerIdsAllocated
)
