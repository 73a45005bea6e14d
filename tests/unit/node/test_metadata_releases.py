"""Kinds of metadata records in a cluster: what a new one takes, and what nodes of two releases make of it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.metadata.features import UpdateFeatures
from chronik.cluster.metadata.passed_over import PassedOver
from chronik.cluster.metadata.replicas import ChangeReplicas
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.cluster.metadata.table import SubjectTable
from chronik.cluster.metadata.topics import CreateTopic
from chronik.cluster.metadata_service import MetadataService
from chronik.node import local_broker
from chronik.node.data_directory import DataDirectoryError
from chronik.sim.agreement import disagreements
from chronik.sim.cluster import NODES, SimCluster, SimNode
from chronik.sim.process import on_processes
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.features import METADATA_LEVEL, FeatureUpdate, UpgradeType
from chronik.vocab.ids import NodeId
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from tests.unit.cluster.flags_subject import FlagChanges, Flags, SetFlag, flags_subject

ONE, TWO, THREE = NODES

OLD = SUBJECTS
NEW = SUBJECTS.with_subject(flags_subject())
IGNORABLE = SUBJECTS.with_subject(flags_subject(is_ignorable=True))

# Levels that are there in this release, and what a later one adds.
LAST = SUBJECTS.last_level
NEXT = LAST + 1
NEXT_LEVEL = SUBJECTS.with_subject(flags_subject(level=NEXT))


def raise_to(level: int) -> UpdateFeatures:
    return UpdateFeatures(updates=(FeatureUpdate(METADATA_LEVEL, level, UpgradeType.UPGRADE),))


def _first_release() -> SubjectTable:
    """This one as it was before there was a second level."""
    (*subjects, _) = SUBJECTS.subjects
    return SubjectTable(
        [
            subject._replace(
                records=tuple(form for form in subject.records if form.level == 1),
                commands=tuple(form for form in subject.commands if form.level == 1),
            )
            for subject in subjects
        ]
    )


LEVEL_ONE = _first_release()


class Releases:
    """Which release each node runs from its next start on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, releases: Mapping[NodeId, SubjectTable]) -> None:
        self.of = dict(releases)
        self.room = SimCluster()
        # What subscribers of each node's metadata were told of flags.
        self.seen: dict[NodeId, list[tuple[str, ...]]] = {node: [] for node in NODES}
        monkeypatch.setattr(local_broker, "MetadataService", self._make)

    def _make(self, *args: Any, node: NodeId, **options: Any) -> MetadataService:
        service = MetadataService(*args, node=node, subjects=self.of[node], **options)

        def on_metadata(delta: ClusterDelta, image: ClusterImage) -> None:
            if delta.of(FlagChanges).flags_set:
                self.seen[node].append(delta.of(FlagChanges).flags_set)

        service.subscribe(on_metadata)
        return service

    async def restart(self, node: NodeId, release: SubjectTable) -> SimNode:
        self.of[node] = release
        await self.room.stop(node)
        return await self.room.open_node(node)

    async def submit(self, node: NodeId, command: object, **options: Any) -> ClusterDelta:
        metadata = self.room.nodes[node].broker.metadata
        return await self.room.nodes[node].do(metadata.submit(command, **options))

    async def controller(self) -> NodeId:
        while True:
            for node in self.room.nodes.values():
                if node.broker.metadata.is_controller:
                    return node.node
            await asyncio.sleep(0.05)

    async def agree(self) -> None:
        """Wait until all nodes have applied the same."""
        async with asyncio.timeout(20):
            while disagreements(self.room):
                await asyncio.sleep(0.05)

    async def catch_up(self) -> None:
        """Wait until all nodes have applied as much, whatever they make of it."""
        async with asyncio.timeout(20):
            while len({node.broker.metadata.applied_offset for node in self.room.nodes.values()}) > 1:
                await asyncio.sleep(0.05)

    def flags(self, node: NodeId) -> Mapping[str, int]:
        return self.room.nodes[node].broker.metadata.image.of(Flags).values

    def snapshot(self, node: NodeId) -> None:
        self.room.nodes[node].local.metadata_partition.take_snapshot()


@on_processes
async def test_a_subject_is_one_module_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    releases = Releases(monkeypatch, dict.fromkeys(NODES, NEW))
    room = await releases.room.open()
    # From each node: the controller's own command, and those that travel.
    for value, node in enumerate(NODES):
        delta = await releases.submit(node, SetFlag(name="a", value=value))
        assert delta == ClusterDelta.made_of(FlagChanges(flags_set=("a",)))
    assert await releases.submit(ONE, SetFlag(name="a", value=2)) == ClusterDelta()
    with pytest.raises(KafkaError, match="A flag has a name"):
        await releases.submit(TWO, SetFlag(name="", value=1))
    await releases.agree()
    assert releases.seen == {node: [("a",)] * 3 for node in NODES}
    # Restored from a snapshot, and the log behind it.
    await room.nodes[TWO].do(_call(releases.snapshot, TWO))
    await releases.submit(ONE, SetFlag(name="b", value=7))
    room.crash(TWO, is_power_lost=True)
    await room.open_node(TWO)
    assert releases.flags(TWO) == {"a": 2, "b": 7}
    await releases.agree()
    await room.close()


async def _call(function: Any, *args: Any) -> None:
    function(*args)


@on_processes
async def test_an_older_node_passes_over_what_may_be_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    releases = Releases(monkeypatch, {ONE: IGNORABLE, TWO: IGNORABLE, THREE: OLD})
    room = await releases.room.open()
    if await releases.controller() == THREE:
        await releases.restart(THREE, OLD)
    for value in range(3):
        await releases.submit(ONE, SetFlag(name="a", value=value))
    await releases.submit(ONE, CreateTopic(name="after"))
    await releases.catch_up()
    # It has all else, and keeps what it does not know.
    assert "after" in room.nodes[THREE].broker.metadata.image.topics
    assert releases.flags(THREE) == {}
    kept = room.nodes[THREE].broker.metadata.image.of(PassedOver).kept
    assert [record.name for record in kept] == ["FlagSet"] * 3
    said = [record for record in caplog.records if "passed over" in record.message]
    assert [vars(record)["kinds"] for record in said] == ["FlagSet"]
    # Also in its snapshots, for the release that it is upgraded to.
    await room.nodes[THREE].do(_call(releases.snapshot, THREE))
    await releases.restart(THREE, IGNORABLE)
    assert releases.flags(THREE) == {"a": 2}
    await releases.agree()
    await room.close()


@on_processes
async def test_a_level_is_raised_when_all_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    releases = Releases(monkeypatch, dict.fromkeys(NODES, OLD))
    room = await releases.room.open()
    await releases.restart(ONE, NEXT_LEVEL)
    await releases.restart(TWO, NEXT_LEVEL)
    while await releases.controller() == THREE:
        await releases.restart(THREE, OLD)
    assert await levels(room.nodes[ONE]) == (1, NEXT, LAST)
    assert await levels(room.nodes[THREE]) == (1, LAST, LAST)
    with pytest.raises(KafkaError, match=f"SetFlag needs level {NEXT} of ") as said:
        await releases.submit(ONE, SetFlag(name="a", value=1))
    assert said.value.code is ErrorCode.UNSUPPORTED_VERSION
    with pytest.raises(KafkaError, match=f"Broker 3 only supports versions 1-{LAST}") as said:
        await releases.submit(ONE, raise_to(NEXT))
    assert said.value.code is ErrorCode.INVALID_UPDATE_VERSION
    await releases.restart(THREE, NEXT_LEVEL)
    await releases.submit(ONE, raise_to(NEXT), validate_only=True)
    assert await levels(room.nodes[ONE]) == (1, NEXT, LAST)
    await releases.submit(ONE, raise_to(NEXT))
    await releases.agree()
    assert [await levels(room.nodes[node]) for node in NODES] == [(1, NEXT, NEXT)] * 3
    await releases.submit(ONE, SetFlag(name="a", value=1))
    await releases.agree()
    # What an older release can do is to refuse, and to leave everything as it is.
    with pytest.raises(DataDirectoryError, match=f"version is {NEXT}, .* a release that knows level {NEXT}"):
        await releases.restart(THREE, OLD)
    room.crash(THREE, is_power_lost=False)
    releases.of[THREE] = NEXT_LEVEL
    await room.open_node(THREE)
    await releases.agree()
    await room.close()


@on_processes
async def test_a_new_cluster_begins_at_the_last_level(monkeypatch: pytest.MonkeyPatch) -> None:
    releases = Releases(monkeypatch, dict.fromkeys(NODES, NEXT_LEVEL))
    room = await releases.room.open()
    assert await levels(room.nodes[ONE]) == (1, NEXT, NEXT)
    await releases.submit(THREE, SetFlag(name="a", value=1))
    await releases.agree()
    await room.close()


@on_processes
async def test_replicas_change_when_all_know_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    releases = Releases(monkeypatch, dict.fromkeys(NODES, LEVEL_ONE))
    room = await releases.room.open()
    assert await levels(room.nodes[ONE]) == (1, 1, 1)
    (topic,) = (await releases.submit(ONE, CreateTopic(name="t", assignments={0: NODES}))).topics_created
    change = ChangeReplicas(topic_id=topic.topic_id, partition=0, nodes=(TWO, THREE, ONE))
    for node in NODES:
        await releases.restart(node, SUBJECTS)
    with pytest.raises(KafkaError, match="ChangeReplicas needs level 2 of ") as said:
        await releases.submit(TWO, change)
    assert said.value.code is ErrorCode.UNSUPPORTED_VERSION
    await releases.submit(ONE, raise_to(2))
    (changed,) = (await releases.submit(TWO, change)).partitions_changed
    assert (changed.image.nodes, changed.image.revision) == ((TWO, THREE, ONE), 1)
    await releases.agree()
    with pytest.raises(DataDirectoryError, match=r"version is 2, .* a release that knows level 2"):
        await releases.restart(THREE, LEVEL_ONE)
    room.crash(THREE, is_power_lost=False)
    releases.of[THREE] = SUBJECTS
    await room.open_node(THREE)
    await releases.agree()
    await room.close()


async def levels(node: SimNode) -> tuple[int, int, int]:
    """First and last level that a node supports, and the one that is in force, as it tells clients."""
    request = ApiVersionsRequest(client_software_name="a", client_software_version="1")
    response = await node.ask(request, 3, ApiVersionsResponse)
    (supported,) = [key for key in response.supported_features if key.name == METADATA_LEVEL]
    (finalized,) = [key for key in response.finalized_features if key.name == METADATA_LEVEL]
    assert finalized.min_version_level == finalized.max_version_level
    return supported.min_version, supported.max_version, finalized.max_version_level
