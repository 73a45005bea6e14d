"""The controller's decisions about topics and partitions, after Kafka's ReplicationControlManager."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from chronik.cluster.image import ClusterImage
from chronik.cluster.metadata.assignments import (
    check_partitions_per_node,
    check_replicas,
    is_usable,
    placement_nodes,
)
from chronik.cluster.metadata.configs import ConfigChanged, topic_resource
from chronik.cluster.metadata.placement import place
from chronik.cluster.metadata.premises import Live, Premises, TopicDefaults
from chronik.cluster.metadata.replica_decisions import change_replicas, report_members
from chronik.cluster.metadata.replicas import (
    REPLICAS_LEVEL,
    ChangeReplicas,
    PartitionChanged,
    ReportMembers,
)
from chronik.cluster.metadata.subject import CommandForm, MetadataRecord, RecordForm, Subject
from chronik.cluster.metadata.topics import (
    USE_DEFAULT,
    CreatePartitions,
    CreateTopic,
    DeleteTopic,
    EpochFloorRaised,
    GrownTopic,
    PartitionCreated,
    TopicChanges,
    TopicCreated,
    TopicDeleted,
    TopicImage,
    Topics,
    collision_key,
)
from chronik.vocab.config.topic import validate_topic_config
from chronik.vocab.config.topic_names import validate_topic_name
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, LeaderEpoch, NodeId, TopicId
from chronik.vocab.seams import Randomness

# Elections in a deleted topic unknown to the deciding node: those under way then, and those on nodes that had
# not applied the deletion. Each takes an election timeout, gossip some milliseconds.
_ELECTIONS_UNHEARD_MAX = 10

# The same for a partition without any report: its replicas have been away since this controller started. It
# costs nothing but numbers.
_ELECTIONS_UNKNOWN_MAX = 1000

# Epochs have 31 bits. Here the floor stays, so that elections go on to have room; with the steps above a
# cluster comes here after a hundred million topics deleted.
_EPOCH_FLOOR_MAX = 2**30


def create_topic(image: ClusterImage, command: CreateTopic, premises: Premises) -> list[MetadataRecord]:
    """Records of a new topic: itself, its partitions, its settings. None when this very command made it.

    Raises KafkaError.
    """
    defaults, randomness, live = premises.defaults, premises.randomness, premises.live
    if command.topic_id is not None and command.topic_id in premises.deleted:
        # A repeated creation must not bring back a topic deleted since.
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "The topic was created, and deleted again")
    if made_already(image, command) is not None:
        return []
    _check_new_name(image, command.name)
    configs = {key: value for key, value in command.configs.items() if value is not None}
    resource = topic_resource(command.name)
    if configs:
        validate_topic_config(configs, defaults.settings)
    if command.assignments:
        replicas = _assigned(image, command, defaults)
    else:
        replicas = _placed(image, command, defaults, randomness, live)
    topic_id = _topic_id(image, command, randomness)
    records: list[MetadataRecord] = [TopicCreated(name=command.name, topic_id=topic_id)]
    records.extend(_partition_records(image, topic_id, 0, replicas, live))
    records.extend(ConfigChanged(resource=resource, key=key, value=value) for key, value in configs.items())
    return records


def made_already(image: ClusterImage, command: CreateTopic) -> TopicImage | None:
    """The topic, when `command` comes a second time because its sender lost the answer to the first."""
    topic = image.topics.get(command.name)
    return topic if topic is not None and topic.topic_id == command.topic_id else None


def with_topic_id(command: CreateTopic, randomness: Randomness) -> CreateTopic:
    """Returns the command with an id of its own, so that it may be sent twice."""
    return command if command.topic_id is not None else replace(command, topic_id=draw_topic_id(randomness))


def changes_made_already(image: ClusterImage, command: CreateTopic) -> TopicChanges:
    """Returns the changes that `command` made the first time."""
    topic = made_already(image, command)
    return TopicChanges() if topic is None else TopicChanges(topics=(GrownTopic(topic, 0),))


def delete_topic(image: ClusterImage, command: DeleteTopic, premises: Premises) -> list[MetadataRecord]:
    """The record of a deletion. Raises KafkaError."""
    if (command.name is None) == (command.topic_id is None):
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, "A topic is deleted by its name or by its id, not by both"
        )
    if command.name is not None:
        topic = existing_topic(image, command.name)
    else:
        found = image.topics_by_id.get(TopicId(command.topic_id or NO_TOPIC_ID))
        if found is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID, "This server does not host a topic of this id")
        topic = found
    last_epoch = _last_epoch(topic, premises.epochs_heard(topic.topic_id))
    return [TopicDeleted(topic_id=topic.topic_id, last_epoch=LeaderEpoch(min(last_epoch, _EPOCH_FLOOR_MAX)))]


def _last_epoch(topic: TopicImage, heard: Mapping[int, LeaderEpoch]) -> int:
    """An epoch that none of a topic's partitions was led beyond, nor will be until its replicas are gone."""
    return max(
        heard[partition] + _ELECTIONS_UNHEARD_MAX
        if partition in heard
        else image.first_epoch + _ELECTIONS_UNKNOWN_MAX
        for partition, image in enumerate(topic.partitions)
    )


def create_partitions(
    image: ClusterImage, command: CreatePartitions, premises: Premises
) -> list[MetadataRecord]:
    """Records of a topic's additional partitions. Raises KafkaError."""
    defaults, randomness, live = premises.defaults, premises.randomness, premises.live
    topic = existing_topic(image, command.name)
    current = len(topic.partitions)
    _check_growth(command.name, current, command.count)
    added = command.count - current
    replication_factor = len(topic.partitions[0].wanted)
    check_partitions_per_node(image, added, replication_factor, defaults)
    if command.assignments is not None:
        if len(command.assignments) != added:
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"{added} partition(s) would be added, but {len(command.assignments)} assignment(s) came",
            )
        replicas = [check_replicas(image, nodes, replication_factor) for nodes in command.assignments]
    else:
        replicas = place(placement_nodes(image, live), image.loads, added, replication_factor, randomness)
    return _partition_records(image, topic.topic_id, current, replicas, live)


def existing_topic(image: ClusterImage, name: str) -> TopicImage:
    """The topic of this name. Raises UNKNOWN_TOPIC_OR_PARTITION."""
    topic = image.topics.get(name)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic {name!r} does not exist")
    return topic


def _check_new_name(image: ClusterImage, name: str) -> None:
    validate_topic_name(name)
    if name in image.topics:
        raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
    key = collision_key(name)
    other = image.collision_names.get(key) if key is not None else None
    if other is not None:
        raise KafkaError(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"Topic '{name}' collides with existing topic '{other}': metric names confuse '.' and '_'",
        )


def _check_growth(name: str, current: int, count: int) -> None:
    if count == current:
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"Topic already has {current} partition(s).")
    if count < current:
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS,
            f"The topic {name} currently has {current} partition(s); {count} would not be an increase.",
        )


def _placed(
    image: ClusterImage, command: CreateTopic, defaults: TopicDefaults, randomness: Randomness, live: Live
) -> list[tuple[NodeId, ...]]:
    partitions = defaults.partitions if command.partitions == USE_DEFAULT else command.partitions
    factor = (
        defaults.replication_factor
        if command.replication_factor == USE_DEFAULT
        else command.replication_factor
    )
    if partitions <= 0:
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS, f"{partitions} partitions: at least 1, or -1 for the default"
        )
    if factor <= 0:
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Replication factor {factor}: at least 1, or -1 for the default",
        )
    check_partitions_per_node(image, partitions, factor, defaults)
    return place(placement_nodes(image, live), image.loads, partitions, factor, randomness)


def _assigned(image: ClusterImage, command: CreateTopic, defaults: TopicDefaults) -> list[tuple[NodeId, ...]]:
    if command.replication_factor != USE_DEFAULT or command.partitions != USE_DEFAULT:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            "With a manual assignment, the number of partitions and the replication factor must be -1",
        )
    assignments: Mapping[int, Sequence[NodeId]] = command.assignments
    if set(assignments) != set(range(len(assignments))):
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "The partitions of a manual assignment must be consecutive, beginning with 0",
        )
    factor = len(assignments[0])
    check_partitions_per_node(image, len(assignments), factor, defaults)
    return [check_replicas(image, assignments[partition], factor) for partition in range(len(assignments))]


def draw_topic_id(randomness: Randomness) -> TopicId:
    """An id that no topic has."""
    while True:
        topic_id = TopicId(randomness.randbytes(16))
        # Kafka's tools print ids in URL-safe base64; one that begins with '-' would be taken for an option.
        if topic_id != NO_TOPIC_ID and topic_id[0] >> 2 != 62:
            return topic_id


def _topic_id(image: ClusterImage, command: CreateTopic, randomness: Randomness) -> TopicId:
    if command.topic_id is not None:
        asked = command.topic_id
        if len(asked) != len(NO_TOPIC_ID) or asked == NO_TOPIC_ID or asked in image.topics_by_id:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "The topic id asked for cannot be had")
        return asked
    while True:
        topic_id = draw_topic_id(randomness)
        if topic_id not in image.topics_by_id:
            return topic_id


def _partition_records(
    image: ClusterImage, topic_id: TopicId, first: int, replicas: Sequence[tuple[NodeId, ...]], live: Live
) -> list[MetadataRecord]:
    return [
        PartitionCreated(
            topic_id=topic_id,
            partition=first + n,
            replicas=nodes,
            leader=_first_leader(image, nodes, live),
            directories=tuple(image.brokers[node].directory_id for node in nodes),
            first_epoch=LeaderEpoch(image.epoch_floor + 1),
        )
        for n, nodes in enumerate(replicas)
    ]


def _first_leader(image: ClusterImage, replicas: tuple[NodeId, ...], live: Live) -> NodeId:
    """The first that can lead at once: an assignment by hand may name brokers that are away."""
    usable = (node for node in replicas if is_usable(image, node, live))
    leader = next(usable, None)
    if leader is None:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"None of the brokers {list(replicas)} of the manual assignment is there now",
        )
    return leader


SUBJECT = Subject(
    name="topics",
    image=Topics,
    changes=TopicChanges,
    records=(
        RecordForm(kind=TopicCreated),
        RecordForm(kind=PartitionCreated),
        # Who passed over one would take part in a group that has let it go.
        RecordForm(kind=PartitionChanged, level=REPLICAS_LEVEL),
        RecordForm(kind=TopicDeleted),
        RecordForm(kind=EpochFloorRaised),
    ),
    commands=(
        CommandForm(
            kind=CreateTopic,
            decide=create_topic,
            is_repeatable=True,
            prepare=with_topic_id,
            repeated=changes_made_already,
        ),
        CommandForm(kind=DeleteTopic, decide=delete_topic),
        CommandForm(kind=CreatePartitions, decide=create_partitions),
        CommandForm(kind=ChangeReplicas, decide=change_replicas, level=REPLICAS_LEVEL),
        CommandForm(kind=ReportMembers, decide=report_members, level=REPLICAS_LEVEL),
    ),
)
