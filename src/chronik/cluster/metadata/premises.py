"""Premises of decisions besides the image."""

from collections.abc import Callable, Collection, Container, Mapping
from typing import NamedTuple

from chronik.vocab.config.definition import ConfigValue
from chronik.vocab.ids import NO_NODE, LeaderEpoch, NodeId, TopicId
from chronik.vocab.seams import Randomness

# A partition costs open files, memory and start-up time on each of its nodes; up to here a node has been
# designed for (idle under 5 % of a core).
PARTITIONS_PER_NODE_MAX = 10_000

# Records that one request may add, as of Kafka's controller: a topic is one, and each of its partitions.
# They are one transition, which holds the loop for some 30 microseconds each.
RECORDS_PER_REQUEST_MAX = 10_000

# By topic setting, the defaults of topics. None: those of the tables.
TopicSettings = Mapping[str, ConfigValue | None] | None


class TopicDefaults(NamedTuple):
    """A topic's defaults (num.partitions, default.replication.factor)."""

    partitions: int = 1
    replication_factor: int = 1
    partitions_per_node_max: int = PARTITIONS_PER_NODE_MAX
    settings: TopicSettings = None


# The brokers connected to the deciding node. None: all are.
Live = Collection[NodeId] | None

# The latest epoch of each partition of a topic known to the deciding node.
EpochsHeard = Callable[[TopicId], Mapping[int, LeaderEpoch]]


class Premises(NamedTuple):
    """Collected by the deciding node, for each batch of commands."""

    defaults: TopicDefaults
    randomness: Randomness
    # New replicas go to brokers among them.
    live: Live = None
    epochs_heard: EpochsHeard = lambda topic_id: {}
    # Topics that were deleted lately: a creation that comes again must not bring one back.
    deleted: Container[TopicId] = ()
    # Who decides, for the texts of refusals.
    node: NodeId = NO_NODE
    # The last metadata level that the deciding node knows.
    last_level: int = 1
