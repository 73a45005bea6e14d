"""Records make images: what each record does, what is told about it, and what is refused."""

import pytest

from chronik.cluster.image import ClusterDelta, ClusterImage, delta_from_nothing
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.brokers import BrokerChanges, BrokerRegistered
from chronik.cluster.metadata.configs import CLUSTER_DEFAULT, ConfigChanged, ConfigChanges, topic_resource
from chronik.cluster.metadata.producer_ids import ProducerIdBlock, ProducerIdsAllocated
from chronik.cluster.metadata.subject import MetadataRecord
from chronik.cluster.metadata.topics import (
    GrownTopic,
    NodeLoad,
    PartitionCreated,
    TopicChanges,
    TopicCreated,
    TopicDeleted,
    TopicPartitionImage,
    collision_key,
)
from chronik.vocab.ids import NodeId, ProducerId, TopicId
from chronik.vocab.invariant import InvariantViolation

ONE, TWO = NodeId(1), NodeId(2)
A, B = TopicId(b"a" * 16), TopicId(b"b" * 16)


def partition(topic_id: TopicId, index: int, *replicas: NodeId) -> PartitionCreated:
    return PartitionCreated(topic_id=topic_id, partition=index, replicas=replicas, leader=replicas[0])


def topic(name: str, topic_id: TopicId, partitions: int = 1) -> list[MetadataRecord]:
    return [
        TopicCreated(name=name, topic_id=topic_id),
        *(partition(topic_id, n, ONE) for n in range(partitions)),
    ]


def image_of(*records: MetadataRecord) -> ClusterImage:
    return apply_records(ClusterImage(), records)[0]


def test_a_topic_is_found_by_name_and_by_id() -> None:
    image, delta = apply_records(ClusterImage(), topic("orders", A, partitions=2))
    orders = image.topics["orders"]
    assert image.topics_by_id[A] is orders
    assert [p.nodes for p in orders.partitions] == [(ONE,), (ONE,)]
    assert image.loads == {ONE: NodeLoad(leaders=2, replicas=2)}
    assert delta == ClusterDelta.made_of(TopicChanges(topics=(GrownTopic(orders, 0),)))
    assert delta.topics_created == (orders,)
    assert delta.partitions_created == (TopicPartitionImage(orders, 0), TopicPartitionImage(orders, 1))
    assert delta.partitions_created[1].image is orders.partitions[1]


def test_the_image_before_stays_as_it_was() -> None:
    before = image_of(
        *topic("a", A), ConfigChanged(resource=topic_resource("a"), key="retention.ms", value="1")
    )
    copy = image_of(
        *topic("a", A), ConfigChanged(resource=topic_resource("a"), key="retention.ms", value="1")
    )
    apply_records(
        before,
        [
            partition(A, 1, TWO),
            ConfigChanged(resource=topic_resource("a"), key="retention.ms", value="2"),
            *topic("b", B),
            TopicDeleted(topic_id=A),
            ProducerIdsAllocated(node=ONE, first=ProducerId(0), end=ProducerId(10)),
            BrokerRegistered(node=ONE, directory_id="d", endpoints=()),
        ],
    )
    assert before == copy


def test_what_does_not_change_is_shared() -> None:
    before = image_of(*topic("a", A))
    after, _ = apply_records(before, [ProducerIdsAllocated(node=ONE, first=ProducerId(0), end=ProducerId(1))])
    assert after.topics is before.topics
    assert after.loads is before.loads


def test_a_topic_grows() -> None:
    before = image_of(*topic("a", A))
    image, delta = apply_records(before, [partition(A, 1, TWO, ONE)])
    grown = image.topics["a"]
    assert image.topics_by_id[A] is grown
    assert delta == ClusterDelta.made_of(TopicChanges(topics=(GrownTopic(grown, 1),)))
    assert (delta.topics_created, delta.partitions_created) == ((), (TopicPartitionImage(grown, 1),))
    assert image.loads == {ONE: NodeLoad(1, 2), TWO: NodeLoad(1, 1)}


def test_a_deleted_topic_takes_everything_with_it() -> None:
    config = ConfigChanged(resource=topic_resource("a.b"), key="retention.ms", value="1")
    before = image_of(*topic("a.b", A), config)
    image, delta = apply_records(before, [TopicDeleted(topic_id=A)])
    assert image == ClusterImage()
    assert delta == ClusterDelta.made_of(
        TopicChanges(topics_deleted=(before.topics["a.b"],)),
        ConfigChanges(configs_changed=(topic_resource("a.b"),)),
    )


def test_a_name_may_be_used_again_after_deletion() -> None:
    before = image_of(*topic("a_b", A))
    image, delta = apply_records(before, [TopicDeleted(topic_id=A), *topic("a_b", B)])
    assert image.topics["a_b"].topic_id == B
    assert set(image.topics_by_id) == {B}
    assert [t.topic_id for t in delta.topics_deleted] == [A]
    assert [t.topic_id for t in delta.topics_created] == [B]


def test_what_comes_and_goes_at_once_is_not_mentioned() -> None:
    config = ConfigChanged(resource=topic_resource("a.b"), key="retention.ms", value="1")
    image, delta = apply_records(ClusterImage(), [*topic("a.b", A), config, TopicDeleted(topic_id=A)])
    assert (image, delta) == (ClusterImage(), ClusterDelta())


def test_a_topic_that_grows_and_goes_is_deleted_as_it_was_before() -> None:
    before = image_of(*topic("a", A))
    image, delta = apply_records(before, [partition(A, 1, TWO), TopicDeleted(topic_id=A)])
    assert image == ClusterImage()
    assert delta == ClusterDelta.made_of(TopicChanges(topics_deleted=(before.topics["a"],)))


def test_settings_come_and_go() -> None:
    resource = topic_resource("a")
    set_one = ConfigChanged(resource=resource, key="retention.ms", value="1")
    image, delta = apply_records(image_of(*topic("a", A)), [set_one])
    assert image.topic_config("a") == image.config(resource) == {"retention.ms": "1"}
    assert delta == ClusterDelta.made_of(ConfigChanges(configs_changed=(resource,)))
    image, _ = apply_records(image, [ConfigChanged(resource=resource, key="retention.ms", value=None)])
    assert image.configs == {}
    assert image.topic_config("a") == {}


def test_unsetting_what_is_not_set_is_harmless() -> None:
    image = image_of(ConfigChanged(resource=CLUSTER_DEFAULT, key="log.retention.ms", value=None))
    assert image.configs == {}


def test_the_latest_registration_of_a_node_counts() -> None:
    first = BrokerRegistered(node=ONE, directory_id="d", endpoints=())
    second = BrokerRegistered(node=ONE, directory_id="d", endpoints=(), rack="r")
    image, delta = apply_records(ClusterImage(), [first, second])
    assert image.brokers == {ONE: second}
    assert delta == ClusterDelta.made_of(BrokerChanges(brokers_registered=(second,)))


def test_producer_ids_move_on() -> None:
    record = ProducerIdsAllocated(node=ONE, first=ProducerId(0), end=ProducerId(1000))
    image, delta = apply_records(ClusterImage(), [record])
    assert image.next_producer_id == 1000
    assert delta.producer_ids_allocated == (ProducerIdBlock(ONE, ProducerId(0), ProducerId(1000)),)


@pytest.mark.parametrize(
    ("base", "record", "message"),
    [
        (topic("a", A), TopicCreated(name="a", topic_id=B), "created twice"),
        (topic("a", A), TopicCreated(name="b", topic_id=A), "id of another"),
        (topic("a.b", A), TopicCreated(name="a_b", topic_id=B), "collides with a.b"),
        (topic("a", A), partition(A, 0, ONE), "out of order"),
        (topic("a", A), partition(A, 2, ONE), "out of order"),
        (topic("a", A), partition(A, 1, ONE, ONE), "a replica twice"),
        ([], partition(A, 0, ONE), "unknown topic"),
        ([], TopicDeleted(topic_id=A), "unknown topic"),
        ([], ConfigChanged(resource=topic_resource("a"), key="k", value="v"), "unknown topic a"),
        (
            topic("a", A),
            PartitionCreated(topic_id=A, partition=1, replicas=(ONE,), leader=TWO),
            "led by no replica",
        ),
        (
            [ProducerIdsAllocated(node=ONE, first=ProducerId(0), end=ProducerId(10))],
            ProducerIdsAllocated(node=ONE, first=ProducerId(5), end=ProducerId(15)),
            "although 10 is next",
        ),
    ],
)
@pytest.mark.parametrize("is_one_batch", [True, False])
def test_records_that_do_not_fit_stop_loudly(
    base: list[MetadataRecord], record: MetadataRecord, message: str, is_one_batch: bool
) -> None:
    image, records = (ClusterImage(), [*base, record]) if is_one_batch else (image_of(*base), [record])
    with pytest.raises(InvariantViolation, match=message):
        apply_records(image, records)


def test_a_topic_deleted_in_the_same_batch_is_unknown() -> None:
    with pytest.raises(InvariantViolation, match="unknown topic"):
        apply_records(image_of(*topic("a", A)), [TopicDeleted(topic_id=A), partition(A, 1, ONE)])


def test_internal_topics_are_known_by_name() -> None:
    image = image_of(*topic("__consumer_offsets", A), *topic("orders", B))
    assert image.topics["__consumer_offsets"].is_internal
    assert not image.topics["orders"].is_internal


@pytest.mark.parametrize(
    ("name", "key"), [("orders", None), ("a-b", None), ("a.b", "a_b"), ("a_b", "a_b"), ("a.b_c", "a_b_c")]
)
def test_only_names_with_dots_or_underscores_can_collide(name: str, key: str | None) -> None:
    assert collision_key(name) == key


def test_the_delta_from_nothing_names_everything() -> None:
    records = [
        BrokerRegistered(node=ONE, directory_id="d", endpoints=()),
        *topic("a", A, partitions=2),
        *topic("b", B),
        ConfigChanged(resource=topic_resource("a"), key="retention.ms", value="1"),
    ]
    image, delta = apply_records(ClusterImage(), records)
    assert delta_from_nothing(image) == delta
