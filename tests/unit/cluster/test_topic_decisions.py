"""What the controller answers to topic commands.

The records of those it takes, the error of those it refuses.
"""

import pytest

from chronik.cluster.metadata.configs import ConfigChanged, topic_resource
from chronik.cluster.metadata.premises import Premises, TopicDefaults
from chronik.cluster.metadata.subject import Command
from chronik.cluster.metadata.topic_decisions import create_topic
from chronik.cluster.metadata.topics import (
    CreatePartitions,
    CreateTopic,
    DeleteTopic,
    NodeLoad,
    PartitionCreated,
    TopicCreated,
)
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NO_TOPIC_ID, NodeId, TopicId

from .builders import World

BAD_ASSIGNMENT = ErrorCode.INVALID_REPLICA_ASSIGNMENT
ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)


def refusal(world: World, command: Command) -> ErrorCode:
    before = world.image
    with pytest.raises(KafkaError) as caught:
        world.decide(command)
    assert world.image is before
    assert caught.value.message
    return caught.value.code


def test_a_topic_is_created_with_its_partitions_and_settings() -> None:
    world = World()
    records = world.decide(CreateTopic(name="orders", partitions=2, configs={"retention.ms": "1000"}))
    created = records[0]
    assert isinstance(created, TopicCreated)
    assert created.name == "orders"
    assert records[1:] == [
        *(
            PartitionCreated(
                topic_id=created.topic_id,
                partition=partition,
                replicas=(ONE,),
                leader=ONE,
                directories=("directory-1",),
            )
            for partition in range(2)
        ),
        ConfigChanged(resource=topic_resource("orders"), key="retention.ms", value="1000"),
    ]


def test_defaults_fill_what_is_not_said() -> None:
    world = World(3, defaults=TopicDefaults(partitions=4, replication_factor=3))
    world.do(CreateTopic(name="orders"))
    partitions = world.image.topics["orders"].partitions
    assert len(partitions) == 4
    assert {len(partition.replicas) for partition in partitions} == {3}


def test_a_setting_without_value_keeps_its_default() -> None:
    world = World()
    world.do(CreateTopic(name="orders", configs={"retention.ms": None}))
    assert world.image.topic_config("orders") == {}


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "ü", "a" * 250, "__meta", "a\n", "topic:1"])
def test_illegal_names(name: str) -> None:
    assert refusal(World(), CreateTopic(name=name)) is ErrorCode.INVALID_TOPIC_EXCEPTION


@pytest.mark.parametrize(
    "name", ["a", "a" * 249, "A.b_c-1", "...", "__consumer_offsets", "__transaction_state"]
)
def test_legal_names(name: str) -> None:
    world = World()
    world.do(CreateTopic(name=name))
    assert name in world.image.topics


def test_a_name_exists_once() -> None:
    world = World()
    world.do(CreateTopic(name="orders"))
    assert refusal(world, CreateTopic(name="orders")) is ErrorCode.TOPIC_ALREADY_EXISTS


def test_names_that_metrics_confuse_collide() -> None:
    world = World()
    world.do(CreateTopic(name="a.b"))
    assert refusal(world, CreateTopic(name="a_b")) is ErrorCode.INVALID_TOPIC_EXCEPTION
    world.do(DeleteTopic(name="a.b"))
    world.do(CreateTopic(name="a_b"))


@pytest.mark.parametrize("partitions", [0, -2])
def test_numbers_of_partitions_that_make_no_sense(partitions: int) -> None:
    assert refusal(World(), CreateTopic(name="a", partitions=partitions)) is ErrorCode.INVALID_PARTITIONS


@pytest.mark.parametrize("factor", [0, -2, 3])
def test_replication_factors_that_cannot_be(factor: int) -> None:
    command = CreateTopic(name="a", replication_factor=factor)
    assert refusal(World(2), command) is ErrorCode.INVALID_REPLICATION_FACTOR


def test_without_a_broker_nothing_can_be_placed() -> None:
    assert refusal(World(0), CreateTopic(name="a")) is ErrorCode.INVALID_REPLICATION_FACTOR


def test_manual_assignment() -> None:
    world = World(3)
    world.do(CreateTopic(name="a", assignments={1: [THREE, ONE], 0: [TWO, THREE]}))
    partitions = world.image.topics["a"].partitions
    assert [(p.nodes, p.first_leader) for p in partitions] == [((TWO, THREE), TWO), ((THREE, ONE), THREE)]


@pytest.mark.parametrize(
    "assignments",
    [
        {1: [ONE]},
        {0: [ONE], 2: [ONE]},
        {-1: [ONE]},
        {0: []},
        {0: [ONE, ONE]},
        {0: [NodeId(9)]},
        {0: [ONE], 1: [ONE, TWO]},
    ],
)
def test_manual_assignments_that_cannot_be(assignments: dict[int, list[NodeId]]) -> None:
    command = CreateTopic(name="a", assignments=assignments)
    assert refusal(World(2), command) is BAD_ASSIGNMENT


@pytest.mark.parametrize(
    "command",
    [
        CreateTopic(name="a", assignments={0: [ONE]}, partitions=1),
        CreateTopic(name="a", assignments={0: [ONE]}, replication_factor=1),
    ],
)
def test_manual_assignment_says_all(command: CreateTopic) -> None:
    assert refusal(World(), command) is ErrorCode.INVALID_REQUEST


def test_a_node_carries_so_many_partitions_and_no_more() -> None:
    world = World(2, defaults=TopicDefaults(partitions_per_node_max=10))
    world.do(CreateTopic(name="a", partitions=9, replication_factor=2))
    assert refusal(world, CreateTopic(name="b", partitions=3)) is ErrorCode.POLICY_VIOLATION
    assert refusal(world, CreatePartitions(name="a", count=11)) is ErrorCode.POLICY_VIOLATION
    everywhere = {n: [ONE] for n in range(3)}
    assert refusal(world, CreateTopic(name="b", assignments=everywhere)) is ErrorCode.POLICY_VIOLATION
    world.do(CreateTopic(name="b", partitions=2))
    assert world.image.loads == {ONE: NodeLoad(6, 10), TWO: NodeLoad(5, 10)} or world.image.loads == {
        ONE: NodeLoad(5, 10),
        TWO: NodeLoad(6, 10),
    }


def test_an_absurd_number_of_partitions_is_refused_before_it_is_made() -> None:
    command = CreateTopic(name="a", partitions=2**31 - 1)
    assert refusal(World(), command) is ErrorCode.POLICY_VIOLATION


class IdsInARow:
    """Randomness that draws the given ids one after the other."""

    def __init__(self, *ids: bytes) -> None:
        self.ids = list(ids)

    def random(self) -> float:
        return 0.0

    def randbytes(self, n: int, /) -> bytes:
        return self.ids.pop(0)

    def randrange(self, start: int, stop: int, /) -> int:
        return start


def test_topic_ids_are_drawn_until_one_will_do() -> None:
    world = World()
    world.do(CreateTopic(name="a"))
    used = world.image.topics["a"].topic_id
    begins_like_an_option = bytes([62 << 2]) + bytes(15)
    good = b"g" * 16
    draws = IdsInARow(NO_TOPIC_ID, begins_like_an_option, used, good)
    premises = Premises(defaults=world.defaults, randomness=draws)
    created = create_topic(world.image, CreateTopic(name="b"), premises)[0]
    assert created == TopicCreated(name="b", topic_id=TopicId(good))


def test_deletion_by_name_and_by_id() -> None:
    world = World()
    world.do(CreateTopic(name="a"))
    world.do(CreateTopic(name="b"))
    world.do(DeleteTopic(name="a"))
    world.do(DeleteTopic(topic_id=world.image.topics["b"].topic_id))
    assert world.image.topics == {}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (DeleteTopic(name="a"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (DeleteTopic(name="__meta"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (DeleteTopic(topic_id=TopicId(b"x" * 16)), ErrorCode.UNKNOWN_TOPIC_ID),
        (DeleteTopic(), ErrorCode.INVALID_REQUEST),
        (DeleteTopic(name="a", topic_id=TopicId(b"x" * 16)), ErrorCode.INVALID_REQUEST),
    ],
)
def test_deletions_that_cannot_be(command: DeleteTopic, code: ErrorCode) -> None:
    assert refusal(World(), command) is code


def test_a_topic_grows() -> None:
    world = World(2)
    world.do(CreateTopic(name="a", partitions=1, replication_factor=2))
    delta = world.do(CreatePartitions(name="a", count=3))
    assert [created.partition for created in delta.partitions_created] == [1, 2]
    assert [len(p.replicas) for p in world.image.topics["a"].partitions] == [2, 2, 2]


def test_a_topic_grows_as_assigned() -> None:
    world = World(2)
    world.do(CreateTopic(name="a", assignments={0: [ONE]}))
    world.do(CreatePartitions(name="a", count=3, assignments=[[TWO], [ONE]]))
    assert [p.nodes for p in world.image.topics["a"].partitions] == [(ONE,), (TWO,), (ONE,)]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (CreatePartitions(name="b", count=3), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (CreatePartitions(name="a", count=2), ErrorCode.INVALID_PARTITIONS),
        (CreatePartitions(name="a", count=1), ErrorCode.INVALID_PARTITIONS),
        (CreatePartitions(name="a", count=-1), ErrorCode.INVALID_PARTITIONS),
        (CreatePartitions(name="a", count=4, assignments=[[ONE]]), BAD_ASSIGNMENT),
        (CreatePartitions(name="a", count=3, assignments=[]), BAD_ASSIGNMENT),
        (
            CreatePartitions(name="a", count=3, assignments=[[NodeId(9)]]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (CreatePartitions(name="a", count=3, assignments=[[ONE, TWO]]), BAD_ASSIGNMENT),
    ],
)
def test_growth_that_cannot_be(command: CreatePartitions, code: ErrorCode) -> None:
    world = World(2)
    world.do(CreateTopic(name="a", partitions=2, replication_factor=1))
    assert refusal(world, command) is code
