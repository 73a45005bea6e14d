"""Epochs rise over the topics of a name: a partition begins above all that led before it."""

import random

import pytest

from chronik.cluster.image import ClusterImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.leadership import Leader, LeadershipTable
from chronik.cluster.metadata.topics import (
    CreatePartitions,
    CreateTopic,
    DeleteTopic,
    TopicDeleted,
    TopicImage,
)
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.snapshot import decode_snapshot, encode_snapshot
from chronik.sim.virtual_time import virtual
from chronik.vocab.ids import NO_NODE, LeaderEpoch, NodeId, Offset

from .builders import DEFAULTS, World, register
from .fakes import FakeMetadataLog

ONE = NodeId(1)


def created(world: World, name: str = "t", partitions: int = 1) -> TopicImage:
    (topic,) = world.do(CreateTopic(name=name, partitions=partitions)).topics_created
    return topic


def led(world: World, topic: TopicImage, *epochs: int) -> None:
    world.epochs[topic.topic_id] = {n: LeaderEpoch(epoch) for n, epoch in enumerate(epochs)}


def first_epochs(topic: TopicImage) -> list[int]:
    return [partition.first_epoch for partition in topic.partitions]


def test_the_first_topics_of_a_cluster_begin_at_the_first_epoch() -> None:
    assert first_epochs(created(World(), partitions=2)) == [1, 1]


def test_a_topic_made_again_begins_above_all_that_led_the_last_one() -> None:
    world = World()
    led(world, created(world, partitions=3), 1, 5, 2)
    world.do(DeleteTopic(name="t"))
    assert all(epoch > 5 for epoch in first_epochs(created(world, partitions=3)))


def test_elections_that_were_not_heard_of_have_room() -> None:
    """One that was under way when the topic was deleted must not end above the next topic."""
    world = World()
    led(world, created(world), 5)
    world.do(DeleteTopic(name="t"))
    assert first_epochs(created(world)) == [16]


def test_so_do_those_of_a_partition_of_which_nothing_was_heard() -> None:
    world = World()
    led(world, created(world), 5)
    world.do(DeleteTopic(name="t"))
    led(world, created(world, partitions=2), 16)
    world.do(DeleteTopic(name="t"))
    assert first_epochs(created(world)) == [1017]


def test_partitions_that_are_added_begin_above_those_that_were_deleted() -> None:
    """The topic that had this name before may have had more of them."""
    world = World()
    led(world, created(world, partitions=2), 1, 7)
    world.do(DeleteTopic(name="t"))
    created(world)
    world.do(CreatePartitions(name="t", count=2))
    assert all(epoch > 7 for epoch in first_epochs(world.image.topics["t"]))


def test_deleting_by_id_is_the_same() -> None:
    world = World()
    topic = created(world)
    led(world, topic, 5)
    world.do(DeleteTopic(topic_id=topic.topic_id))
    assert first_epochs(created(world)) == [16]


def test_the_floor_never_falls_and_rises_only_by_topics_that_were_led_above_it() -> None:
    world = World()
    a, b = created(world, "a"), created(world, "b")
    led(world, a, 30)
    led(world, b, 2)
    world.do(DeleteTopic(name="a"))
    assert world.image.epoch_floor == 40
    world.do(DeleteTopic(name="b"))
    assert world.image.epoch_floor == 40


def test_the_floor_leaves_room_for_elections() -> None:
    world = World()
    led(world, created(world), 2**31 - 20)
    world.do(DeleteTopic(name="t"))
    assert world.image.epoch_floor == 2**30


def test_a_snapshot_remembers_the_floor_and_where_partitions_began() -> None:
    world = World()
    led(world, created(world), 5)
    world.do(DeleteTopic(name="t"))
    created(world)
    image, _ = decode_snapshot(encode_snapshot(world.image, Offset(9)))
    assert image == world.image
    assert (image.epoch_floor, first_epochs(image.topics["t"])) == (15, [16])


def test_a_deletion_of_a_release_that_did_not_say_leaves_the_floor() -> None:
    world = World()
    topic = created(world)
    image, _ = apply_records(world.image, [TopicDeleted(topic_id=topic.topic_id)])
    assert image.epoch_floor == 0


@virtual
@pytest.mark.parametrize("leader", [Leader(ONE, LeaderEpoch(5)), Leader(NO_NODE, LeaderEpoch(5))])
async def test_the_controller_asks_the_leadership_table(leader: Leader) -> None:
    """Also of a leader that has resigned."""
    table, log = LeadershipTable(), FakeMetadataLog()
    service = MetadataService(log, lambda: DEFAULTS, random.Random(0), epochs_heard=table.epochs)
    await service.submit(register(1))
    topic = (await service.submit(CreateTopic(name="t"))).topics_created[0]
    table.announce(topic.topic_id, 0, leader)
    await service.submit(DeleteTopic(name="t"))
    again = (await service.submit(CreateTopic(name="t"))).topics_created[0]
    assert first_epochs(again) == [16]


def test_an_empty_image_has_no_floor() -> None:
    assert ClusterImage().epoch_floor == 0
