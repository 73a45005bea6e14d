"""OffsetFetch: one group in old versions, many in new ones."""

import pytest

from chronik.broker.groups.commands import Commit, OffsetToCommit
from chronik.cluster.metadata.topics import DeleteTopic
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import TopicPartition
from chronik.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from chronik.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)

from .group_stage import GroupStage, play_groups

FIRST_VERSION_WITH_IDS = 10
# No topic of the stage has it.
OTHER_ID = b"i" * 16

Told = tuple[str, int, int, int, str | None, int]


async def _commit(stage: GroupStage, group_id: str, topic: str, partition: int, offset: int) -> None:
    to_commit = OffsetToCommit(
        partition=TopicPartition(topic, partition), offset=offset, leader_epoch=3, metadata="m"
    )
    await stage.groups.run(Commit(group_id, offsets=(to_commit,)))


async def _fetch(
    stage: GroupStage, version: int, topics: dict[str, list[int]] | None, group_id: str = "g"
) -> tuple[int, list[Told]]:
    """Of one group, in the form that all versions have in common; old ones do not tell the epoch."""
    if version < 8:
        request = OffsetFetchRequest(
            group_id=group_id,
            topics=None
            if topics is None
            else [OffsetFetchRequestTopic(name=n, partition_indexes=i) for n, i in topics.items()],
        )
        answer = await stage.ask(request, version, OffsetFetchResponse)
        told = [
            (
                t.name,
                p.partition_index,
                p.committed_offset,
                p.committed_leader_epoch,
                p.metadata,
                p.error_code,
            )
            for t in answer.topics
            for p in t.partitions
        ]
        return answer.error_code, told
    ids = {name: topic.topic_id for name, topic in stage.metadata.image.topics.items()}
    names = {topic_id: name for name, topic_id in ids.items()} | {OTHER_ID: "nowhere"}
    group = OffsetFetchRequestGroup(
        group_id=group_id,
        topics=None
        if topics is None
        else [
            OffsetFetchRequestTopics(name=n, topic_id=ids.get(n, OTHER_ID), partition_indexes=i)
            for n, i in topics.items()
        ],
    )
    answer = await stage.ask(OffsetFetchRequest(groups=[group]), version, OffsetFetchResponse)
    (found,) = answer.groups
    assert all(t.name == "" for t in found.topics if version >= FIRST_VERSION_WITH_IDS)
    told = [
        (
            t.name or names[t.topic_id],
            p.partition_index,
            p.committed_offset,
            p.committed_leader_epoch,
            p.metadata,
            p.error_code,
        )
        for t in found.topics
        for p in t.partitions
    ]
    assert found.group_id == group_id
    return found.error_code, told


@pytest.mark.parametrize("version", range(1, 11))
def test_committed_offsets_and_where_there_are_none(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        await _commit(stage, "g", "t", 1, 5)
        epoch = 3 if version >= 5 else -1
        expected: list[Told] = [
            ("t", 1, 5, epoch, "m", 0),
            ("t", 0, -1, -1, "", 0),
            ("nowhere", 7, -1, -1, "", 0 if version < FIRST_VERSION_WITH_IDS else ErrorCode.UNKNOWN_TOPIC_ID),
        ]
        assert await _fetch(stage, version, {"t": [1, 0], "nowhere": [7]}) == (0, expected)
        nothing: list[Told] = [("t", 0, -1, -1, "", 0)]
        assert await _fetch(stage, version, {"t": [0]}, "nobody") == (0, nothing)

    play_groups(scene)


@pytest.mark.parametrize("version", range(2, 11))
def test_null_topics_ask_for_all(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        await _commit(stage, "g", "t", 0, 1)
        await _commit(stage, "g", "u", 0, 2)
        await _commit(stage, "g", "t", 1, 3)
        epoch = 3 if version >= 5 else -1
        expected: list[Told] = [
            ("t", 0, 1, epoch, "m", 0),
            ("t", 1, 3, epoch, "m", 0),
            ("u", 0, 2, epoch, "m", 0),
        ]
        assert await _fetch(stage, version, None) == (0, expected)
        assert await _fetch(stage, version, None, "nobody") == (0, [])
        assert await _fetch(stage, version, {}) == (0, [])

    play_groups(scene)


@pytest.mark.parametrize("version", range(1, 11))
def test_errors_are_where_clients_of_the_version_look_for_them(version: int) -> None:
    """aiokafka looks at the partitions alone, up to the version 3 that it knows."""

    async def scene(stage: GroupStage) -> None:
        await _commit(stage, "g", "t", 0, 1)
        stage.groups.runtime.on_topic_lost()
        code, told = await _fetch(stage, version, {"t": [0, 1]})
        assert code == (0 if version == 1 else ErrorCode.NOT_COORDINATOR)
        assert [error for *_, error in told] == [ErrorCode.NOT_COORDINATOR] * (2 if version < 8 else 0)

    play_groups(scene)


def test_many_groups_are_answered_each_for_itself() -> None:
    async def scene(stage: GroupStage) -> None:
        await _commit(stage, "g", "t", 0, 1)
        await _commit(stage, "h", "t", 0, 2)
        groups = [OffsetFetchRequestGroup(group_id=name, topics=None) for name in ("g", "x" * 40_000, "h")]
        answer = await stage.ask(OffsetFetchRequest(groups=groups), 9, OffsetFetchResponse)
        assert [group.error_code for group in answer.groups] == [0, ErrorCode.INVALID_GROUP_ID, 0]
        assert [g.topics[0].partitions[0].committed_offset for g in answer.groups if g.topics] == [1, 2]

    play_groups(scene)


def test_a_topic_made_again_has_other_offsets_than_the_one_that_was_deleted() -> None:
    """By id (version 10), neither can the old one's offsets be read nor a late commit move the new one's."""

    async def scene(stage: GroupStage) -> None:
        await _commit(stage, "g", "t", 0, 1)
        old_id = stage.metadata.image.topics["t"].topic_id
        await stage.metadata.submit(DeleteTopic(name="t"))
        await stage.create("t", 1)
        topics = [OffsetFetchRequestTopics(topic_id=old_id, partition_indexes=[0])]
        request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id="g", topics=topics)])
        (group,) = (await stage.ask(request, 10, OffsetFetchResponse)).groups
        (partition,) = group.topics[0].partitions
        assert (group.error_code, partition.error_code) == (0, ErrorCode.UNKNOWN_TOPIC_ID)
        assert partition.committed_offset == -1
        late = OffsetCommitRequest(
            group_id="g",
            topics=[
                OffsetCommitRequestTopic(
                    topic_id=old_id,
                    partitions=[OffsetCommitRequestPartition(partition_index=0, committed_offset=9)],
                )
            ],
        )
        refused = await stage.ask(late, 10, OffsetCommitResponse)
        assert refused.topics[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID
        assert await _fetch(stage, 10, {"t": [0]}) == (0, [("t", 0, -1, -1, "", 0)])

    play_groups(scene)
