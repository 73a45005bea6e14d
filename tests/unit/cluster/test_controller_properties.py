"""Whatever is asked in whatever order.

The image takes every record, stays whole, and comes back by replay.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.cluster.controller import decide
from chronik.cluster.image import ClusterDelta, ClusterImage, delta_between
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.brokers import BrokerRegistered, FenceBroker
from chronik.cluster.metadata.configs import (
    CLUSTER_DEFAULT,
    AlterConfigs,
    AlterOp,
    ConfigChange,
    IncrementalAlterConfigs,
    topic_resource,
)
from chronik.cluster.metadata.premises import Premises, TopicDefaults
from chronik.cluster.metadata.producer_ids import PRODUCER_ID_BLOCK, AllocateProducerIds
from chronik.cluster.metadata.replicas import ChangeReplicas, ReportMembers
from chronik.cluster.metadata.subject import Command, MetadataRecord
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.cluster.metadata.topics import (
    CreatePartitions,
    CreateTopic,
    DeleteTopic,
    NodeLoad,
    collision_key,
)
from chronik.cluster.record_codec import decode, encode
from chronik.cluster.snapshot import decode_snapshot, encode_snapshot
from chronik.vocab.config.topic_names import topic_name_problem
from chronik.vocab.errors import KafkaError
from chronik.vocab.features import METADATA_LEVEL, FeatureRange
from chronik.vocab.ids import NO_TOPIC_ID, NodeId, Offset

from .builders import register

DEFAULTS = TopicDefaults(partitions=2, replication_factor=1, partitions_per_node_max=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A change of replicas, or a report of members, of a topic by its name."""

    name: str
    partition: int
    nodes: Sequence[NodeId]
    revision: int | None = None


def registration(node: int) -> Command:
    """Of a node of this release."""
    return register(node)._replace(features=(FeatureRange(METADATA_LEVEL, 1, SUBJECTS.last_level),))


# Few and alike, so that commands meet each other's topics.
names = st.sampled_from(
    ["a", "b", "a.b", "a_b", "x.y", "x_y", "__consumer_offsets", "", ".", "bad name", "__meta"]
)
nodes = st.integers(1, 4).map(NodeId)
replicas = st.lists(nodes, max_size=3)
keys = st.sampled_from(["retention.ms", "cleanup.policy", "no.such.setting"])
values = st.sampled_from(["1", "compact", "delete", "x", None])
changes = st.builds(ConfigChange, keys, st.sampled_from(AlterOp), values)
resources = names.map(topic_resource) | st.just(CLUSTER_DEFAULT)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        CreateTopic,
        name=names,
        partitions=st.integers(-2, 5),
        replication_factor=st.integers(-2, 4),
        configs=st.dictionaries(keys, values, max_size=2),
    ),
    st.builds(CreateTopic, name=names, assignments=st.dictionaries(st.integers(0, 2), replicas, max_size=3)),
    st.builds(CreatePartitions, name=names, count=st.integers(-1, 8)),
    st.builds(
        CreatePartitions, name=names, count=st.integers(1, 4), assignments=st.lists(replicas, max_size=2)
    ),
    st.builds(DeleteTopic, name=names),
    st.builds(IncrementalAlterConfigs, resource=resources, changes=st.lists(changes, max_size=3)),
    st.builds(AlterConfigs, resource=resources, entries=st.dictionaries(keys, values, max_size=2)),
    st.integers(1, 4).map(registration),
    st.builds(FenceBroker, node=nodes, epoch=st.integers(0, 2)),
    st.builds(AllocateProducerIds, node=nodes),
    st.builds(Named, name=names, partition=st.integers(0, 2), nodes=replicas),
    st.builds(Named, name=names, partition=st.integers(0, 2), nodes=replicas, revision=st.integers(0, 3)),
)


def named(image: ClusterImage, command: Command) -> Command:
    """With the id of the topic of its name."""
    if not isinstance(command, Named):
        return command
    topic = image.topics.get(command.name)
    topic_id = NO_TOPIC_ID if topic is None else topic.topic_id
    if command.revision is None:
        return ChangeReplicas(topic_id=topic_id, partition=command.partition, nodes=command.nodes)
    return ReportMembers(
        topic_id=topic_id, partition=command.partition, revision=command.revision, members=command.nodes
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(commands, max_size=40), st.integers(0, 2**32), st.integers(1, 40))
def test_any_history(history: Sequence[Command], seed: int, batch: int) -> None:
    image, records = ClusterImage(), list[MetadataRecord]()
    premises = Premises(defaults=DEFAULTS, randomness=random.Random(seed), last_level=SUBJECTS.last_level)
    for command in [registration(1), *history]:
        before = image
        try:
            decided = list(decide(image, named(image, command), premises))
        except KafkaError:
            continue
        image, delta = apply_records(image, decided)
        records.extend(decided)
        check_whole(image)
        check_delta(before, image, delta)
    check_replay(records, image, batch)


def check_whole(image: ClusterImage) -> None:
    """Every redundant part of the image agrees with the topics."""
    assert {topic.topic_id: topic for topic in image.topics.values()} == dict(image.topics_by_id)
    assert all(topic_name_problem(name) is None for name in image.topics)
    collisions = {key: name for name in image.topics if (key := collision_key(name)) is not None}
    assert image.collision_names == collisions
    assert set(collisions.values()) == {name for name in image.topics if collision_key(name) is not None}
    loads: dict[NodeId, NodeLoad] = {}
    for topic in image.topics.values():
        assert topic.partitions
        for partition in topic.partitions:
            assert set(partition.nodes) <= set(image.brokers)
            assert len(partition.directories) == len(partition.founders)
            assert partition.nodes
            assert len(set(partition.nodes)) == len(partition.nodes)
            assert partition.wanted == partition.nodes[: len(partition.wanted)]
            assert len(partition.target) < len(partition.nodes)
            assert all(0 <= replica.revision <= partition.revision for replica in partition.replicas)
            for node in partition.nodes:
                load = loads.get(node, NodeLoad())
                loads[node] = NodeLoad(load.leaders + (node == partition.preferred_leader), load.replicas + 1)
    assert image.loads == loads
    room = len(image.brokers) * DEFAULTS.partitions_per_node_max
    assert sum(load.replicas for load in loads.values()) <= room
    assert {r.name for r in image.configs if r != CLUSTER_DEFAULT} <= set(image.topics)
    assert all(image.configs.values())
    assert image.fenced <= set(image.brokers)
    assert image.next_producer_id % PRODUCER_ID_BLOCK == 0


def check_delta(before: ClusterImage, after: ClusterImage, delta: ClusterDelta) -> None:
    """The delta is what a comparison of the images shows."""
    created = {t.topic_id for t in delta.topics_created}
    deleted = {t.topic_id for t in delta.topics_deleted}
    assert created == set(after.topics_by_id) - set(before.topics_by_id)
    assert deleted == set(before.topics_by_id) - set(after.topics_by_id)
    grown = {
        (topic.topic_id, n)
        for topic in after.topics.values()
        for n in range(len(topic.partitions))
        if topic.topic_id not in before.topics_by_id
        or n >= len(before.topics_by_id[topic.topic_id].partitions)
    }
    assert {(p.topic.topic_id, p.partition) for p in delta.partitions_created} == grown
    assert all(after.topics_by_id[p.topic.topic_id] is p.topic for p in delta.partitions_created)
    changed = {
        (topic.topic_id, n): partition
        for topic in after.topics.values()
        if topic.topic_id in before.topics_by_id
        for n, partition in enumerate(topic.partitions[: len(before.topics_by_id[topic.topic_id].partitions)])
        if partition != before.topics_by_id[topic.topic_id].partitions[n]
    }
    assert {(p.topic.topic_id, p.partition): p.image for p in delta.partitions_changed} == changed
    assert set(delta_between(before, after).partitions_changed) == set(delta.partitions_changed)
    assert all(
        partition.revision > before.topics_by_id[topic_id].partitions[n].revision
        for (topic_id, n), partition in changed.items()
    )
    differing = {r for r in {*before.configs, *after.configs} if before.config(r) != after.config(r)}
    assert set(delta.configs_changed) == differing
    registered: set[BrokerRegistered] = set(after.brokers.values()) - set(before.brokers.values())
    assert set(delta.brokers_registered) == registered
    assert set(delta.brokers_fenced) == after.fenced - before.fenced
    assert before.fenced - after.fenced <= {broker.node for broker in registered}


def check_replay(records: Sequence[MetadataRecord], image: ClusterImage, batch: int) -> None:
    """Bytes of the log make the same image, however they are cut."""
    read = [decode(*encode(record)) for record in records]
    assert apply_records(ClusterImage(), read)[0] == image
    replayed = ClusterImage()
    for start in range(0, len(read), batch):
        replayed, _ = apply_records(replayed, read[start : start + batch])
    assert replayed == image
    restored, _ = decode_snapshot(encode_snapshot(image, Offset(0)))
    assert restored == image
