"""OffsetCommit in all its versions."""

import asyncio

import pytest

from chronik.cluster.metadata.topics import DeleteTopic
from chronik.sim.virtual_time import wait_until_idle
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, TopicPartition
from chronik.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)

from .group_stage import GroupStage, play_groups

VERSIONS = range(2, 11)
FIRST_VERSION_WITH_IDS = 10
# No topic of the stage has it.
OTHER_ID = b"i" * 16


def _request(topics: dict[str, dict[int, int]], **fields: object) -> OffsetCommitRequest:
    request = OffsetCommitRequest(
        group_id="g",
        topics=[
            OffsetCommitRequestTopic(
                name=name,
                partitions=[
                    OffsetCommitRequestPartition(partition_index=index, committed_offset=offset)
                    for index, offset in offsets.items()
                ],
            )
            for name, offsets in topics.items()
        ],
    )
    for name, value in fields.items():
        setattr(request, name, value)
    return request


async def _commit(
    stage: GroupStage, version: int, request: OffsetCommitRequest
) -> list[tuple[str, int, int]]:
    """Names stand for ids where the version has those; the answer is given names again."""
    names = {}
    for topic in request.topics:
        known = stage.metadata.image.topics.get(topic.name)
        topic.topic_id = OTHER_ID if known is None else known.topic_id
        names[topic.topic_id] = topic.name
    answer = await stage.ask(request, version, OffsetCommitResponse)
    has_ids = version >= FIRST_VERSION_WITH_IDS
    assert all(t.name == "" for t in answer.topics if has_ids)
    return [
        (names[t.topic_id] if has_ids else t.name, p.partition_index, p.error_code)
        for t in answer.topics
        for p in t.partitions
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_partitions_that_do_not_exist_are_refused_one_by_one(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        request = _request({"t": {0: 5, 2: 5, -1: 5}, "nowhere": {0: 5}, "u": {0: 7}})
        assert await _commit(stage, version, request) == [
            ("t", 0, 0),
            ("t", 2, unknown),
            ("t", -1, unknown),
            ("nowhere", 0, unknown if version < FIRST_VERSION_WITH_IDS else ErrorCode.UNKNOWN_TOPIC_ID),
            ("u", 0, 0),
        ]
        (group,) = stage.groups.groups()
        assert {partition: committed.offset for partition, committed in group.offsets} == {
            TopicPartition("t", 0): 5,
            TopicPartition("u", 0): 7,
        }

    play_groups(scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_members_commit_with_their_generation(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        member = await stage.member()
        good = _request({"t": {0: 5}}, member_id=member.member_id, generation_id_or_member_epoch=1)
        assert await _commit(stage, version, good) == [("t", 0, 0)]
        stale = _request({"t": {0: 5, 1: 5}}, member_id=member.member_id, generation_id_or_member_epoch=0)
        assert await _commit(stage, version, stale) == [
            ("t", 0, ErrorCode.ILLEGAL_GENERATION),
            ("t", 1, ErrorCode.ILLEGAL_GENERATION),
        ]

    play_groups(scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_member_of_a_group_that_does_not_exist(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        request = _request({"t": {0: 5}}, member_id="m", generation_id_or_member_epoch=3)
        expected = ErrorCode.GROUP_ID_NOT_FOUND if version >= 9 else ErrorCode.ILLEGAL_GENERATION
        assert await _commit(stage, version, request) == [("t", 0, expected)]

    play_groups(scene)


def test_metadata_epoch_and_retention_are_kept() -> None:
    async def scene(stage: GroupStage) -> None:
        request = _request({"t": {0: 5}})
        request.topics[0].partitions[0].committed_leader_epoch = 4
        request.topics[0].partitions[0].committed_metadata = "note"
        await _commit(stage, 9, request)
        (group,) = stage.groups.groups()
        committed = group.offsets.get(TopicPartition("t", 0))
        assert committed is not None
        assert (committed.leader_epoch, committed.metadata) == (4, "note")
        assert committed.expire_timestamp_ms is None
        request = _request({"t": {0: 6}}, retention_time_ms=5_000)
        request.topics[0].partitions[0].committed_metadata = None
        await _commit(stage, 4, request)
        committed = group.offsets.get(TopicPartition("t", 0))
        assert committed is not None
        assert (committed.leader_epoch, committed.metadata) == (-1, "")
        assert committed.expire_timestamp_ms == committed.commit_timestamp_ms + 5_000

    play_groups(scene)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_failing_log_fails_every_partition(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        await _commit(stage, version, _request({"t": {0: 1}}))
        stage.group_log.refusal = KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS)
        assert await _commit(stage, version, _request({"t": {0: 5, 1: 5}})) == [
            ("t", 0, ErrorCode.COORDINATOR_NOT_AVAILABLE),
            ("t", 1, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        ]

    play_groups(scene)


def test_offsets_of_a_deleted_topic_go_with_it() -> None:
    async def scene(stage: GroupStage) -> None:
        await _commit(stage, 9, _request({"t": {0: 5}, "u": {0: 7}}))
        await stage.metadata.submit(DeleteTopic(name="t"))
        await wait_until_idle()
        (group,) = stage.groups.groups()
        assert [partition for partition, _ in group.offsets] == [TopicPartition("u", 0)]

    play_groups(scene)


@pytest.mark.parametrize("version", range(6, 10))
def test_a_late_commit_by_name_does_not_move_the_offset_of_the_next_topic(version: int) -> None:
    """A consumer of the old topic sends the epoch of its last record, from version 6 on."""

    async def scene(stage: GroupStage) -> None:
        await stage.metadata.submit(DeleteTopic(name="t"))
        await stage.create("t", 1)
        assert await _commit(stage, version, _request({"t": {0: 5}})) == [("t", 0, ErrorCode.NONE)]
        late = _request({"t": {0: 100}})
        late.topics[0].partitions[0].committed_leader_epoch = 1
        unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert await _commit(stage, version, late) == [("t", 0, unknown)]
        (group,) = stage.groups.groups()
        assert [committed.offset for _, committed in group.offsets] == [5]

    play_groups(scene)


def test_a_topic_that_goes_while_its_commit_waits_is_unknown() -> None:
    """The coordinator was loading when the request came."""

    async def scene(stage: GroupStage) -> None:
        await _commit(stage, 9, _request({"u": {0: 7}}))
        stage.group_log.read_gate.clear()
        for partition in range(4):
            stage.groups.runtime.on_leader(partition, LeaderEpoch(9))
        waiting = asyncio.ensure_future(_commit(stage, 9, _request({"t": {0: 5}, "u": {0: 8}})))
        await wait_until_idle()
        await stage.metadata.submit(DeleteTopic(name="t"))
        await stage.create("t", 1)
        stage.group_log.read_gate.set()
        assert await waiting == [
            ("t", 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            ("u", 0, ErrorCode.NONE),
        ]

    play_groups(scene)
