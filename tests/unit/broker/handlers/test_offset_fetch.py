"""OffsetFetch: one group in old versions, many in new ones."""

import pytest

from chronik.broker.groups.commands import Commit, OffsetToCommit
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import TopicPartition
from chronik.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)

from .group_stage import GroupStage, play_groups

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
    group = OffsetFetchRequestGroup(
        group_id=group_id,
        topics=None
        if topics is None
        else [OffsetFetchRequestTopics(name=n, partition_indexes=i) for n, i in topics.items()],
    )
    answer = await stage.ask(OffsetFetchRequest(groups=[group]), version, OffsetFetchResponse)
    (found,) = answer.groups
    told = [
        (t.name, p.partition_index, p.committed_offset, p.committed_leader_epoch, p.metadata, p.error_code)
        for t in found.topics
        for p in t.partitions
    ]
    assert found.group_id == group_id
    return found.error_code, told


@pytest.mark.parametrize("version", range(1, 10))
def test_committed_offsets_and_where_there_are_none(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        await _commit(stage, "g", "t", 1, 5)
        epoch = 3 if version >= 5 else -1
        expected: list[Told] = [
            ("t", 1, 5, epoch, "m", 0),
            ("t", 0, -1, -1, "", 0),
            ("nowhere", 7, -1, -1, "", 0),
        ]
        assert await _fetch(stage, version, {"t": [1, 0], "nowhere": [7]}) == (0, expected)
        nothing: list[Told] = [("t", 0, -1, -1, "", 0)]
        assert await _fetch(stage, version, {"t": [0]}, "nobody") == (0, nothing)

    play_groups(scene)


@pytest.mark.parametrize("version", range(2, 10))
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


@pytest.mark.parametrize("version", range(1, 10))
def test_errors_are_where_clients_of_the_version_look_for_them(version: int) -> None:
    """aiokafka looks at the partitions alone, up to the version 3 that it knows."""

    async def scene(stage: GroupStage) -> None:
        await _commit(stage, "g", "t", 0, 1)
        stage.groups.on_topic_lost()
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
