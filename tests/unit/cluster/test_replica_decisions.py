"""What the controller decides about replicas that change, and what it makes of reports of members."""

import random

import pytest

from chronik.cluster.image import delta_between
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.brokers import FenceBroker
from chronik.cluster.metadata.features import FeatureLevel
from chronik.cluster.metadata.premises import TopicDefaults
from chronik.cluster.metadata.replica_decisions import factor_changes
from chronik.cluster.metadata.replicas import (
    ChangeReplicas,
    PartitionChanged,
    PartitionImage,
    ReplicaRef,
    ReportMembers,
)
from chronik.cluster.metadata.subject import Command
from chronik.cluster.metadata.topics import CreatePartitions, CreateTopic, DeleteTopic, NodeLoad
from chronik.cluster.snapshot import decode_snapshot, encode_snapshot
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.features import METADATA_LEVEL
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId
from chronik.vocab.invariant import InvariantViolation

from .builders import World

ONE, TWO, THREE, FOUR = (NodeId(n) for n in range(1, 5))


class Partition:
    """Partition 0 of a topic on a cluster of four nodes."""

    def __init__(self, *replicas: NodeId, level: int = 2, per_node: int = 100) -> None:
        self.world = World(4, defaults=TopicDefaults(partitions_per_node_max=per_node))
        self.world.apply([FeatureLevel(name=METADATA_LEVEL, level=level)])
        self.world.do(CreateTopic(name="t", assignments={0: replicas}))

    @property
    def topic_id(self) -> TopicId:
        return self.world.image.topics["t"].topic_id

    @property
    def image(self) -> PartitionImage:
        return self.world.image.topics["t"].partitions[0]

    def change(self, *nodes: NodeId, partition: int = 0) -> PartitionImage:
        self.world.do(ChangeReplicas(topic_id=self.topic_id, partition=partition, nodes=nodes))
        return self.image

    def report(self, *members: NodeId, revision: int | None = None) -> PartitionImage:
        revision = self.image.revision if revision is None else revision
        self.world.do(ReportMembers(topic_id=self.topic_id, partition=0, revision=revision, members=members))
        return self.image

    def refusal(self, command: Command) -> ErrorCode:
        before = self.world.image
        with pytest.raises(KafkaError) as caught:
            self.world.decide(command)
        assert self.world.image is before
        assert caught.value.message
        return caught.value.code


def test_who_is_added_is_a_replica_at_once_and_of_this_revision() -> None:
    it = Partition(ONE)
    assert (it.image.replicas, it.image.target, it.image.revision) == ((ReplicaRef(ONE),), (), 0)
    raised = it.change(ONE, TWO, THREE)
    assert raised.replicas == (ReplicaRef(ONE), ReplicaRef(TWO, 1), ReplicaRef(THREE, 1))
    assert (raised.target, raised.wanted, raised.revision) == ((), (ONE, TWO, THREE), 1)
    assert (raised.founders, raised.first_leader) == ((ONE,), ONE)


def test_who_is_to_go_stays_until_a_leader_reports_that_its_group_let_it_go() -> None:
    it = Partition(ONE, TWO, THREE)
    lowered = it.change(TWO)
    # As Kafka shows a reassignment: what shall be first, and what is to go last.
    assert (lowered.nodes, lowered.target, lowered.revision) == ((TWO, ONE, THREE), (TWO,), 1)
    assert lowered.preferred_leader == TWO
    assert it.report(ONE, TWO, THREE).revision == 1
    assert (it.report(TWO, THREE).nodes, it.image.target, it.image.revision) == ((TWO, THREE), (TWO,), 2)
    assert (it.report(TWO).nodes, it.image.target, it.image.revision) == ((TWO,), (), 3)
    assert it.image.replicas == (ReplicaRef(TWO),)


def test_a_report_takes_nothing_from_who_shall_be_a_member() -> None:
    it = Partition(ONE)
    it.change(ONE, TWO)
    assert it.report(ONE).nodes == (ONE, TWO)
    assert it.image.revision == 1


def test_who_returns_is_another_replica() -> None:
    it = Partition(ONE, TWO)
    it.change(ONE)
    it.report(ONE)
    assert it.change(ONE, TWO).replicas == (ReplicaRef(ONE), ReplicaRef(TWO, 3))
    it.change(ONE)
    it.report(ONE)
    assert it.change(ONE, TWO).revision_of(TWO) == 6
    assert it.image.revision_of(THREE) is None


def test_who_was_to_go_and_shall_stay_keeps_its_name() -> None:
    """It has forgotten nothing: only a report lets it delete what it holds."""
    it = Partition(ONE, TWO, THREE)
    it.change(ONE)
    assert it.change(THREE, ONE).replicas == (ReplicaRef(THREE), ReplicaRef(ONE), ReplicaRef(TWO))
    assert (it.image.target, it.image.revision) == ((THREE, ONE), 2)


def test_what_is_so_leaves_no_record_and_another_order_another_preferred_leader() -> None:
    it = Partition(ONE, TWO)
    assert it.change(ONE, TWO).revision == 0
    assert it.change(TWO, ONE).preferred_leader == TWO
    assert (it.image.revision, it.image.replicas) == (1, (ReplicaRef(TWO), ReplicaRef(ONE)))
    assert it.change(TWO, ONE).revision == 1


def test_the_load_of_nodes_follows() -> None:
    it = Partition(ONE, TWO)
    it.change(THREE)
    assert dict(it.world.image.loads) == {THREE: NodeLoad(1, 1), ONE: NodeLoad(0, 1), TWO: NodeLoad(0, 1)}
    it.report(THREE)
    assert dict(it.world.image.loads) == {THREE: NodeLoad(1, 1)}
    it.world.do(DeleteTopic(name="t"))
    assert dict(it.world.image.loads) == {}


def test_new_partitions_have_as_many_replicas_as_there_shall_be() -> None:
    it = Partition(ONE, TWO, THREE)
    it.change(TWO)
    it.world.do(CreatePartitions(name="t", count=2))
    assert len(it.world.image.topics["t"].partitions[1].nodes) == 1


def test_what_cannot_be_is_refused() -> None:
    it = Partition(ONE, TWO)

    def refused(*nodes: int, partition: int = 0) -> ErrorCode:
        named = tuple(map(NodeId, nodes))
        return it.refusal(ChangeReplicas(topic_id=it.topic_id, partition=partition, nodes=named))

    assert refused() is ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert refused(1, 1) is ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert refused(1, 5) is ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert refused(1, partition=1) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert refused(1, partition=-1) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    unknown = ChangeReplicas(topic_id=TopicId(b"x" * 16), partition=0, nodes=(ONE,))
    assert it.refusal(unknown) is ErrorCode.UNKNOWN_TOPIC_ID
    assert (
        it.refusal(ReportMembers(topic_id=unknown.topic_id, partition=0, revision=0, members=(ONE,)))
        is ErrorCode.UNKNOWN_TOPIC_ID
    )


def test_a_fenced_node_may_stay_and_is_not_added() -> None:
    it = Partition(ONE, TWO)
    it.world.do(FenceBroker(node=TWO, epoch=0))
    it.world.do(FenceBroker(node=THREE, epoch=0))
    command = ChangeReplicas(topic_id=it.topic_id, partition=0, nodes=(ONE, THREE))
    assert it.refusal(command) is ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert it.change(TWO, ONE, FOUR).revision == 1


def test_nodes_that_are_full_are_given_no_more() -> None:
    it = Partition(ONE, TWO, THREE, per_node=1)
    assert it.change(ONE, TWO, FOUR).nodes == (ONE, TWO, FOUR, THREE)
    it = Partition(ONE, TWO, per_node=1)
    it.world.do(CreateTopic(name="u", replication_factor=2, partitions=1))
    command = ChangeReplicas(topic_id=it.topic_id, partition=0, nodes=(ONE, TWO, THREE))
    assert it.refusal(command) is ErrorCode.POLICY_VIOLATION


@pytest.mark.parametrize("ahead", [-1, 1])
def test_a_report_of_another_revision_is_refused(ahead: int) -> None:
    it = Partition(ONE, TWO, THREE)
    it.change(ONE, TWO)
    it.change(ONE)
    report = ReportMembers(topic_id=it.topic_id, partition=0, revision=2 + ahead, members=(ONE,))
    assert it.refusal(report) is ErrorCode.INVALID_UPDATE_VERSION


def test_an_earlier_level_has_constant_replicas() -> None:
    it = Partition(ONE, level=1)
    change = ChangeReplicas(topic_id=it.topic_id, partition=0, nodes=(ONE, TWO))
    report = ReportMembers(topic_id=it.topic_id, partition=0, revision=0, members=(ONE,))
    assert [it.refusal(command) for command in (change, report)] == [ErrorCode.UNSUPPORTED_VERSION] * 2


def test_a_snapshot_and_a_delta_to_it_have_the_last_change() -> None:
    it = Partition(ONE, TWO, THREE)
    it.world.do(CreateTopic(name="other"))
    before = it.world.image
    it.change(TWO)
    it.report(TWO)
    restored, _ = decode_snapshot(encode_snapshot(it.world.image, Offset(7)))
    assert restored == it.world.image
    (changed,) = delta_between(before, restored).partitions_changed
    assert (changed.topic.name, changed.partition, changed.image.nodes) == ("t", 0, (TWO,))
    assert delta_between(restored, it.world.image).partitions_changed == ()


def test_a_delta_names_a_partition_as_created_or_as_changed() -> None:
    it = Partition(ONE)
    created = it.world.decide(CreateTopic(name="u", assignments={0: (ONE,)}, topic_id=TopicId(b"u" * 16)))
    change = PartitionChanged(
        topic_id=TopicId(b"u" * 16),
        partition=0,
        replicas=(ReplicaRef(ONE), ReplicaRef(TWO, 1)),
        target=(),
        revision=1,
    )
    image, delta = apply_records(it.world.image, [*created, change])
    assert [one.image.nodes for one in delta.partitions_created] == [(ONE, TWO)]
    assert delta.partitions_changed == ()
    # A topic that grows and has a partition changed in one step is in both, as it is then.
    grown = it.world.decide(CreatePartitions(name="t", count=2))
    image, delta = apply_records(it.world.image, [*grown, change._replace(topic_id=it.topic_id)])
    assert [(one.topic, one.partition) for one in delta.partitions_created] == [(image.topics["t"], 1)]
    assert [(one.topic, one.partition) for one in delta.partitions_changed] == [(image.topics["t"], 0)]
    gone, delta = apply_records(it.world.image, [change._replace(topic_id=it.topic_id), *_deletion(it)])
    assert (len(delta.topics_deleted), delta.partitions_changed) == (1, ())
    assert gone.loads == {}


def _deletion(it: Partition) -> list[object]:
    it.world.epochs[it.topic_id] = {0: LeaderEpoch(1)}
    return list(it.world.decide(DeleteTopic(name="t")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"revision": 0},
        {"partition": 1},
        {"replicas": ()},
        {"replicas": (ReplicaRef(ONE), ReplicaRef(ONE, 1))},
        # Nobody but a founder is of revision 0, and nobody of a change to come.
        {"replicas": (ReplicaRef(TWO),)},
        {"replicas": (ReplicaRef(ONE), ReplicaRef(TWO, 2))},
        {"target": (TWO,)},
    ],
)
def test_a_record_that_cannot_be_stops_whoever_reads_it(wrong: dict[str, object]) -> None:
    it = Partition(ONE)
    right = PartitionChanged(
        topic_id=it.topic_id, partition=0, replicas=(ReplicaRef(ONE),), target=(), revision=1
    )
    assert apply_records(it.world.image, [right])
    with pytest.raises(InvariantViolation):
        apply_records(it.world.image, [right._replace(**wrong)])  # type: ignore[arg-type]


def test_a_topic_gets_more_and_fewer_replicas() -> None:
    world = Partition(ONE).world
    world.do(CreateTopic(name="many", partitions=6, replication_factor=1))

    def give(factor: int) -> int:
        topic = world.image.topics["many"]
        changes = factor_changes(world.image, topic, factor, None, random.Random(1))
        for change in changes:
            world.do(change)
        assert [len(p.wanted) for p in world.image.topics["many"].partitions] == [factor] * 6
        return len(changes)

    leaders = [p.preferred_leader for p in world.image.topics["many"].partitions]
    assert (give(3), give(3), give(2), give(1)) == (6, 0, 6, 6)
    assert [p.preferred_leader for p in world.image.topics["many"].partitions] == leaders
    with pytest.raises(KafkaError, match="Replication factor 5 cannot be reached"):
        give(5)
