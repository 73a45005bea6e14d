"""The controller's decisions about the replicas of existing partitions.

They name the nodes that may hold data and the target. Groups follow by themselves, one step at a time, and
report when they have removed a replica.
"""

from collections.abc import Sequence

from chronik.cluster.image import ClusterImage
from chronik.cluster.metadata.assignments import check_partitions_per_node, check_replicas, placement_nodes
from chronik.cluster.metadata.placement import resize
from chronik.cluster.metadata.premises import Live, Premises
from chronik.cluster.metadata.replicas import (
    ChangeReplicas,
    PartitionChanged,
    PartitionImage,
    ReplicaRef,
    ReportMembers,
)
from chronik.cluster.metadata.topics import TopicImage
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, TopicId
from chronik.vocab.seams import Randomness


def change_replicas(
    image: ClusterImage, command: ChangeReplicas, premises: Premises
) -> list[PartitionChanged]:
    """Returns the record of a partition's new target; none when it is unchanged. Raises KafkaError.

    A node that has a replica keeps it by its name, also one that was to be removed.
    """
    partition = _partition(image, command.topic_id, command.partition)
    nodes = check_replicas(image, command.nodes)
    if nodes == partition.wanted:
        return []
    present = {replica.node: replica for replica in partition.replicas}
    added = [node for node in nodes if node not in present]
    _check_added(image, nodes, added, premises)
    revision = partition.revision + 1
    replicas = [present.get(node) or ReplicaRef(node, revision) for node in nodes]
    leaving = [replica for replica in partition.replicas if replica.node not in nodes]
    return [_changed(command, (*replicas, *leaving), nodes, revision)]


def report_members(image: ClusterImage, command: ReportMembers, premises: Premises) -> list[PartitionChanged]:
    """Returns the record that removes replicas that are neither members nor in the target; none without such.

    Raises KafkaError; INVALID_UPDATE_VERSION when the partition has changed since.
    """
    partition = _partition(image, command.topic_id, command.partition)
    if command.revision != partition.revision:
        raise KafkaError(
            ErrorCode.INVALID_UPDATE_VERSION,
            f"Members were reported for revision {command.revision} of the partition, which is at revision "
            f"{partition.revision}",
        )
    kept = {*command.members, *partition.wanted}
    replicas = tuple(replica for replica in partition.replicas if replica.node in kept)
    if replicas == partition.replicas:
        return []
    return [_changed(command, replicas, partition.wanted, partition.revision + 1)]


def factor_changes(
    image: ClusterImage, topic: TopicImage, factor: int, live: Live, randomness: Randomness
) -> list[ChangeReplicas]:
    """Returns commands that give all partitions of a topic `factor` replicas; none for those that have as
    many.

    Raises INVALID_REPLICATION_FACTOR.
    """
    others = [index for index, partition in enumerate(topic.partitions) if len(partition.wanted) != factor]
    present = [_preferred_first(topic.partitions[index]) for index in others]
    resized = resize(placement_nodes(image, live), image.loads, present, factor, randomness)
    return [
        ChangeReplicas(topic_id=topic.topic_id, partition=index, nodes=nodes)
        for index, nodes in zip(others, resized, strict=True)
    ]


def _preferred_first(partition: PartitionImage) -> list[NodeId]:
    first = partition.preferred_leader
    return [first, *(node for node in partition.wanted if node != first)]


def _partition(image: ClusterImage, topic_id: TopicId, index: int) -> PartitionImage:
    topic = image.topics_by_id.get(topic_id)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID, "This server does not host a topic of this id")
    if not 0 <= index < len(topic.partitions):
        raise KafkaError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic {topic.name} has no partition {index}"
        )
    return topic.partitions[index]


def _check_added(
    image: ClusterImage, nodes: Sequence[NodeId], added: Sequence[NodeId], premises: Premises
) -> None:
    fenced = next((node for node in added if node in image.fenced), None)
    if fenced is not None:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"The manual assignment {list(nodes)} adds the broker {fenced}, which is fenced",
        )
    if added:
        check_partitions_per_node(image, 1, len(added), premises.defaults)


def _changed(
    command: ChangeReplicas | ReportMembers,
    replicas: tuple[ReplicaRef, ...],
    wanted: tuple[NodeId, ...],
    revision: int,
) -> PartitionChanged:
    return PartitionChanged(
        topic_id=command.topic_id,
        partition=command.partition,
        replicas=replicas,
        target=() if len(wanted) == len(replicas) else wanted,
        revision=revision,
    )
