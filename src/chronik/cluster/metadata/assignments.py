"""Shared by the decisions about new topics and about changed replicas: which brokers can take replicas,
and the validation of a manual assignment.
"""

from collections.abc import Sequence

from chronik.cluster.image import ClusterImage
from chronik.cluster.metadata.placement import PlacementNode
from chronik.cluster.metadata.premises import Live, TopicDefaults
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId


def check_replicas(
    image: ClusterImage, nodes: Sequence[NodeId], factor: int | None = None
) -> tuple[NodeId, ...]:
    """The replicas of one partition. Raises INVALID_REPLICA_ASSIGNMENT. `factor`: how many there must be."""
    problem = None
    unknown = [node for node in nodes if node not in image.brokers]
    if not nodes:
        problem = "is empty"
    elif len(set(nodes)) != len(nodes):
        problem = "names a broker twice"
    elif unknown:
        problem = f"names the broker {unknown[0]}, which is not registered"
    elif factor is not None and len(nodes) != factor:
        problem = f"has {len(nodes)} replica(s), where {factor} are expected"
    if problem is not None:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"The manual assignment {list(nodes)} {problem}"
        )
    return tuple(nodes)


def check_partitions_per_node(
    image: ClusterImage, added: int, replication_factor: int, defaults: TopicDefaults
) -> None:
    """Refuses partitions for which the nodes together have no room. Raises POLICY_VIOLATION.

    Checked before any of these partitions is created.
    """
    room = len(image.brokers) * defaults.partitions_per_node_max
    held = sum(load.replicas for load in image.loads.values())
    if image.brokers and held + added * replication_factor > room:
        raise KafkaError(
            ErrorCode.POLICY_VIOLATION,
            f"{added} more partition(s) would exceed the limit of {defaults.partitions_per_node_max} "
            f"partition replicas per broker ({held} exist on {len(image.brokers)} broker(s))",
        )


def placement_nodes(image: ClusterImage, live: Live) -> list[PlacementNode]:
    """Returns all registered brokers; those that do not serve count as not live."""
    return [
        PlacementNode(broker.node, broker.rack, is_usable(image, broker.node, live))
        for broker in image.brokers.values()
    ]


def is_usable(image: ClusterImage, node: NodeId, live: Live) -> bool:
    """True for a broker that serves."""
    return node not in image.fenced and (live is None or node in live)
