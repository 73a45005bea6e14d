"""Snapshots: the image comes back as it was, and those who follow deltas hear what changed."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.cluster.controller import decide
from chronik.cluster.image import ClusterDelta, ClusterImage, delta_between, delta_from_nothing
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.brokers import FenceBroker
from chronik.cluster.metadata.premises import Premises
from chronik.cluster.metadata.subject import Command
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.cluster.metadata.topics import CreatePartitions, CreateTopic, DeleteTopic
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.record_codec import UnreadableRecord
from chronik.cluster.snapshot import UnreadableSnapshot, decode_snapshot, encode_snapshot
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NodeId, Offset

from .builders import DEFAULTS, World, register
from .fakes import FakeMetadataLog
from .test_controller_properties import DEFAULTS as TIGHT
from .test_controller_properties import check_delta, check_whole, commands, named


def after(image: ClusterImage, history: Sequence[Command], draw: random.Random) -> ClusterImage:
    premises = Premises(defaults=TIGHT, randomness=draw, last_level=SUBJECTS.last_level)
    for command in history:
        try:
            image, _ = apply_records(image, decide(image, named(image, command), premises))
        except KafkaError:
            continue
    return image


histories = st.lists(commands, max_size=30)


@settings(max_examples=100, deadline=None)
@given(histories, st.integers(0, 2**32), st.integers(0, 2**62).map(Offset))
def test_an_image_comes_back_as_it_was(history: Sequence[Command], seed: int, offset: Offset) -> None:
    image = after(ClusterImage(), history, random.Random(seed))
    again, at = decode_snapshot(encode_snapshot(image, offset))
    assert (again, at) == (image, offset)
    check_whole(again)


@settings(max_examples=100, deadline=None)
@given(histories, histories, st.integers(0, 2**32))
def test_the_delta_between_images_leads_from_one_to_the_other(
    history: Sequence[Command], more: Sequence[Command], seed: int
) -> None:
    draw = random.Random(seed)
    old = after(ClusterImage(), history, draw)
    new = after(old, more, draw)
    delta = delta_between(old, new)
    check_delta(old, new, delta)
    check_deletions(old, new, delta)
    assert delta_between(new, new) == ClusterDelta()


def check_deletions(old: ClusterImage, new: ClusterImage, delta: ClusterDelta) -> None:
    """Sets of things that follow deltas end up with what the new image has."""
    partitions = {(p.topic.topic_id, p.partition) for p in delta_from_nothing(old).partitions_created}
    deleted = {topic.topic_id for topic in delta.topics_deleted}
    partitions = {partition for partition in partitions if partition[0] not in deleted}
    partitions |= {(p.topic.topic_id, p.partition) for p in delta.partitions_created}
    assert partitions == {(p.topic.topic_id, p.partition) for p in delta_from_nothing(new).partitions_created}
    brokers = {**old.brokers, **{broker.node: broker for broker in delta.brokers_registered}}
    assert brokers == dict(new.brokers)
    fenced = old.fenced - {broker.node for broker in delta.brokers_registered} | {*delta.brokers_fenced}
    assert fenced == new.fenced


def test_a_damaged_snapshot_is_refused() -> None:
    world = World(2)
    world.do(CreateTopic(name="a"))
    data = encode_snapshot(world.image, Offset(7))
    newer = data[:12] + b"\x02" + data[13:]
    unknown = encode_snapshot(ClusterImage(), Offset(7))
    for damaged, reason in (
        (data[:10], "cut short"),
        (data[:-1], "damaged"),
        (data[:-2] + b"xx", "damaged"),
        (b"something else" + data, "no metadata snapshot"),
        (newer, "newer release"),
    ):
        with pytest.raises(UnreadableSnapshot, match=reason):
            decode_snapshot(damaged)
    assert decode_snapshot(unknown) == (ClusterImage(), 7)
    assert issubclass(UnreadableSnapshot, UnreadableRecord)


def test_a_snapshot_with_records_of_a_newer_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronik.cluster.snapshot.encode", lambda record, subjects: (b"Surprise", b"{}"))
    data = encode_snapshot(World(1).image, Offset(7))
    with pytest.raises(UnreadableSnapshot, match="'Surprise' is not known"):
        decode_snapshot(data)


@virtual
async def test_a_service_goes_on_from_a_snapshot_and_tells_what_changed() -> None:
    log, other_log = FakeMetadataLog(), FakeMetadataLog()
    service = MetadataService(log, lambda: DEFAULTS, random.Random(0))
    for node in (1, 2):
        await service.submit(register(node))
    await service.submit(CreateTopic(name="old"))
    await service.submit(CreateTopic(name="grows"))
    other_log.batches = list(log.batches)
    other = MetadataService(other_log, lambda: DEFAULTS, random.Random(0))
    other.replay()
    heard: list[tuple[ClusterDelta, ClusterImage]] = []
    other.subscribe(lambda delta, image: heard.append((delta, image)))

    await service.submit(DeleteTopic(name="old"))
    await service.submit(CreateTopic(name="new"))
    await service.submit(CreatePartitions(name="grows", count=2))
    await service.submit(FenceBroker(node=NodeId(2), epoch=0))
    offset, data = service.snapshot()
    assert offset == service.applied_offset == log.high_watermark
    assert other.load_snapshot(data)
    assert other.image == service.image
    assert other.applied_offset == offset
    ((delta, image),) = heard
    assert image is other.image
    assert [topic.name for topic in delta.topics_created] == ["new"]
    assert [topic.name for topic in delta.topics_deleted] == ["old"]
    assert delta.brokers_fenced == (2,)
    # It knows as much now.
    assert not other.load_snapshot(data)
    # The log goes on behind the snapshot.
    await service.submit(CreateTopic(name="newer"))
    other_log.batches = [*log.batches]
    other.on_committed()
    assert other.image == service.image
    assert len(heard) == 2


@virtual
async def test_a_node_starts_from_a_snapshot_and_the_rest_of_the_log() -> None:
    log = FakeMetadataLog()
    service = MetadataService(log, lambda: DEFAULTS, random.Random(0))
    await service.submit(register(1))
    _, data = service.snapshot()
    await service.submit(CreateTopic(name="a"))
    again = MetadataService(log, lambda: DEFAULTS, random.Random(0))
    assert again.load_snapshot(data)
    again.replay()
    assert again.image == service.image
    assert again.applied_offset == service.applied_offset
