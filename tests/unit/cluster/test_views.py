"""What clients of a listener see.

Addresses under its name, leaders from the table, never from the assignment.
"""

from chronik.cluster.leadership import Leader, LeadershipTable
from chronik.cluster.metadata.brokers import FenceBroker
from chronik.cluster.metadata.topics import CreateTopic
from chronik.cluster.views import BrokerView, PartitionView, broker_views, partition_views
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NO_EPOCH, NO_NODE, LeaderEpoch, NodeId

from .builders import World, register

ONE, TWO = NodeId(1), NodeId(2)


def test_brokers_by_listener() -> None:
    world = World(0)
    world.do(register(1, rack="r"))
    assert broker_views(world.image, "PLAINTEXT") == {ONE: BrokerView(ONE, "localhost", 9093, "r")}
    assert broker_views(world.image, "INTERNAL") == {ONE: BrokerView(ONE, "inside", 19093, "r")}
    assert broker_views(world.image, "SSL") == {}


def test_partitions_show_who_leads_them_now() -> None:
    world = World(2)
    world.do(CreateTopic(name="a", assignments={n: [ONE, TWO] for n in range(4)}))
    topic = world.image.topics["a"]
    leadership = LeadershipTable()
    leadership.announce(topic.topic_id, 0, Leader(TWO, LeaderEpoch(7)))
    leadership.announce(topic.topic_id, 1, Leader(NO_NODE, LeaderEpoch(7)))
    leadership.announce(topic.topic_id, 3, Leader(NodeId(9), LeaderEpoch(7)))
    views = partition_views(topic, leadership, broker_views(world.image, "PLAINTEXT"))
    assert [(view.partition, view.error, view.leader, view.leader_epoch) for view in views] == [
        (0, ErrorCode.NONE, TWO, 7),
        (1, ErrorCode.LEADER_NOT_AVAILABLE, NO_NODE, NO_EPOCH),
        (2, ErrorCode.LEADER_NOT_AVAILABLE, NO_NODE, NO_EPOCH),
        (3, ErrorCode.LISTENER_NOT_FOUND, NO_NODE, NO_EPOCH),
    ]


def test_replicas_on_brokers_that_cannot_be_reached_are_offline() -> None:
    world = World(2)
    world.do(CreateTopic(name="a", assignments={n: [ONE, TWO] for n in range(2)}))
    topic = world.image.topics["a"]
    only_one = {ONE: broker_views(world.image, "PLAINTEXT")[ONE]}
    leadership = LeadershipTable()
    leadership.announce(topic.topic_id, 1, Leader(ONE, LeaderEpoch(1)))
    (view,) = partition_views(topic, leadership, only_one, first=1)
    assert view == PartitionView(1, ErrorCode.NONE, ONE, LeaderEpoch(1), [1, 2], [1], [2])


def test_a_fenced_broker_is_not_shown_and_its_replicas_are_offline() -> None:
    world = World(3)
    world.do(CreateTopic(name="a", assignments={0: [ONE, TWO, NodeId(3)]}))
    world.do(FenceBroker(node=TWO, epoch=0))
    assert set(broker_views(world.image, "PLAINTEXT")) == {ONE, NodeId(3)}
    topic, leadership = world.image.topics["a"], LeadershipTable()
    leadership.announce(topic.topic_id, 0, Leader(ONE, LeaderEpoch(1)))
    (view,) = partition_views(topic, leadership, broker_views(world.image, "PLAINTEXT"))
    assert (view.replicas, view.in_sync, view.offline) == ([1, 2, 3], [1, 3], [2])


def test_replicas_that_lag_or_are_lost_are_not_in_sync() -> None:
    world = World(3)
    world.do(CreateTopic(name="a", assignments={0: [ONE, TWO, NodeId(3)]}))
    topic, leadership = world.image.topics["a"], LeadershipTable()
    brokers = broker_views(world.image, "PLAINTEXT")
    leadership.announce(topic.topic_id, 0, Leader(ONE, LeaderEpoch(1)))
    leadership.announce_lagging(topic.topic_id, 0, Leader(ONE, LeaderEpoch(1)), {TWO})
    leadership.on_node_lost(NodeId(3))
    (view,) = partition_views(topic, leadership, brokers)
    assert (view.leader, view.in_sync, view.offline) == (ONE, [1], [3])
    leadership.on_node_lost(ONE)
    (view,) = partition_views(topic, leadership, brokers)
    assert (view.error, view.leader) == (ErrorCode.LEADER_NOT_AVAILABLE, NO_NODE)
    assert (view.in_sync, view.offline) == ([], [1, 3])
