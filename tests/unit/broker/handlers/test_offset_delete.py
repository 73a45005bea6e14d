"""OffsetDelete: offsets of topics that a group does not subscribe to."""

from chronik.broker.groups.commands import Commit, OffsetToCommit
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import TopicPartition
from chronik.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)

from .group_stage import GroupStage, play_groups


async def _delete(
    stage: GroupStage, group_id: str, **topics: list[int]
) -> tuple[int, list[tuple[str, int, int]]]:
    request = OffsetDeleteRequest(
        group_id=group_id,
        topics=[
            OffsetDeleteRequestTopic(
                name=name,
                partitions=[OffsetDeleteRequestPartition(partition_index=index) for index in indexes],
            )
            for name, indexes in topics.items()
        ],
    )
    answer = await stage.ask(request, 0, OffsetDeleteResponse)
    told = [(t.name, p.partition_index, p.error_code) for t in answer.topics for p in t.partitions]
    return answer.error_code, told


def test_topics_in_use_and_unknown_ones_are_refused() -> None:
    async def scene(stage: GroupStage) -> None:
        for topic in ("t", "u"):
            offset = OffsetToCommit(partition=TopicPartition(topic, 0), offset=1)
            await stage.groups.run(Commit("g", offsets=(offset,)))
        await stage.member()
        assert await _delete(stage, "g", t=[0, 1], u=[0], nowhere=[0]) == (
            ErrorCode.NONE,
            [
                ("t", 0, ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC),
                ("t", 1, ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC),
                ("u", 0, ErrorCode.NONE),
                ("nowhere", 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            ],
        )
        (group,) = stage.groups.groups()
        assert [partition for partition, _ in group.offsets] == [TopicPartition("t", 0)]

    play_groups(scene)


def test_a_group_that_does_not_exist_is_an_error_of_the_whole() -> None:
    async def scene(stage: GroupStage) -> None:
        assert await _delete(stage, "nowhere", t=[0]) == (ErrorCode.GROUP_ID_NOT_FOUND, [])

    play_groups(scene)
