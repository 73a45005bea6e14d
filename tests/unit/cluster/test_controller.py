"""The controller's decisions about brokers: registration, fencing, placement."""

from dataclasses import replace

import pytest

from chronik.cluster.controller import decide
from chronik.cluster.image import ClusterDelta
from chronik.cluster.metadata.brokers import BrokerChanges, BrokerFenced, BrokerRegistered, FenceBroker
from chronik.cluster.metadata.topics import CreatePartitions, CreateTopic, PartitionCreated
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, NodeId, TopicId

from .builders import World, register

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)


def fence(node: NodeId, epoch: int = 0) -> FenceBroker:
    return FenceBroker(node=node, epoch=epoch)


def test_a_fenced_broker_is_fenced_until_it_registers_again() -> None:
    world = World(2)
    assert world.decide(fence(TWO)) == [BrokerFenced(node=TWO)]
    assert world.do(fence(TWO)) == ClusterDelta.made_of(BrokerChanges(brokers_fenced=(TWO,)))
    assert world.image.fenced == {TWO}
    assert world.decide(fence(TWO)) == []
    (again,) = world.do(register(2)).brokers_registered
    assert world.image.fenced == frozenset()
    assert again == World(2).image.brokers[TWO]._replace(epoch=1)


def test_a_late_fence_does_not_meet_a_newer_registration() -> None:
    world = World(1)
    world.do(register(1)._replace(directory_id="another"))
    assert world.image.brokers[ONE].epoch == 1
    assert world.decide(fence(ONE, epoch=0)) == []
    assert world.decide(fence(NodeId(9), epoch=0)) == []
    assert world.decide(fence(ONE, epoch=1)) == [BrokerFenced(node=ONE)]


def test_a_registration_that_is_known_leaves_nothing_and_a_new_disk_is_taken() -> None:
    world = World(1)
    assert world.decide(register(1)) == []
    (record,) = world.decide(register(1)._replace(directory_id="new disk"))
    assert isinstance(record, BrokerRegistered)
    assert (record.directory_id, record.epoch) == ("new disk", 1)


def test_replicas_go_where_a_broker_is_neither_fenced_nor_away() -> None:
    world = World(4)
    world.do(fence(TWO))
    create = CreateTopic(name="a", partitions=20, replication_factor=2)
    records = decide(world.image, create, world.premises(live={ONE, TWO, THREE}))
    placed = [record for record in records if isinstance(record, PartitionCreated)]
    assert {frozenset(record.replicas) for record in placed} == {frozenset({ONE, THREE})}
    assert {record.directories for record in placed} <= {
        ("directory-1", "directory-3"),
        ("directory-3", "directory-1"),
    }


def test_a_majority_that_is_there_is_enough_for_replicas_on_all() -> None:
    world = World(3)
    world.do(fence(TWO))
    create = CreateTopic(name="a", partitions=20, replication_factor=3)
    records = decide(world.image, create, world.premises(live={ONE, TWO, THREE}))
    placed = [record for record in records if isinstance(record, PartitionCreated)]
    assert all(set(record.replicas) == {ONE, TWO, THREE} for record in placed)
    assert {record.leader for record in placed} == {ONE, THREE}
    assert {record.replicas[-1] for record in placed} == {TWO}
    for live, command in (({ONE}, create), ({ONE, TWO, THREE}, replace(create, replication_factor=4))):
        with pytest.raises(KafkaError) as caught:
            decide(world.image, command, world.premises(live=live))
        assert caught.value.code is ErrorCode.INVALID_REPLICATION_FACTOR


def test_added_partitions_too_go_where_brokers_are() -> None:
    world = World(3)
    world.do(CreateTopic(name="a", assignments={0: [THREE, TWO]}))
    world.do(fence(TWO))
    (created,) = decide(world.image, CreatePartitions(name="a", count=2), world.premises(live=None))
    assert isinstance(created, PartitionCreated)
    assert set(created.replicas) == {ONE, THREE}


def test_an_assignment_by_hand_is_led_by_the_first_that_is_there() -> None:
    world = World(3)
    world.do(fence(TWO))
    command = CreateTopic(name="a", assignments={0: [TWO, THREE, ONE]})
    records = decide(world.image, command, world.premises(live={ONE, TWO}))
    created = records[1]
    assert isinstance(created, PartitionCreated)
    assert (created.replicas, created.leader) == ((TWO, THREE, ONE), ONE)
    with pytest.raises(KafkaError) as caught:
        decide(world.image, command, world.premises(live={TWO}))
    assert caught.value.code is ErrorCode.INVALID_REPLICA_ASSIGNMENT


def test_a_creation_that_comes_again_has_made_its_topic() -> None:
    world = World(1)
    command = CreateTopic(name="a", topic_id=TopicId(b"i" * 16))
    world.do(command)
    assert world.image.topics["a"].topic_id == command.topic_id
    assert world.decide(command) == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (CreateTopic(name="a", topic_id=TopicId(b"j" * 16)), ErrorCode.TOPIC_ALREADY_EXISTS),
        (CreateTopic(name="b", topic_id=TopicId(b"i" * 16)), ErrorCode.INVALID_REQUEST),
        (CreateTopic(name="b", topic_id=NO_TOPIC_ID), ErrorCode.INVALID_REQUEST),
    ],
)
def test_ids_that_others_have_are_refused(command: CreateTopic, code: ErrorCode) -> None:
    world = World(1)
    world.do(CreateTopic(name="a", topic_id=TopicId(b"i" * 16)))
    with pytest.raises(KafkaError) as caught:
        world.decide(command)
    assert caught.value.code is code
