"""DeleteGroups in all its versions."""

import pytest

from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from chronik.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse

from .group_stage import GroupStage, play_groups


@pytest.mark.parametrize("version", range(4))
def test_each_group_is_answered_for_itself(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        member = await stage.member()

        async def delete(*names: str) -> list[tuple[str, int]]:
            request = DeleteGroupsRequest(groups_names=list(names))
            results = (await stage.ask(request, version, DeleteGroupsResponse)).results
            return [(result.group_id, result.error_code) for result in results]

        assert await delete("g", "nowhere") == [
            ("g", ErrorCode.NON_EMPTY_GROUP),
            ("nowhere", ErrorCode.GROUP_ID_NOT_FOUND),
        ]
        leave = LeaveGroupRequest(group_id="g", member_id=member.member_id)
        await stage.ask(leave, 2, LeaveGroupResponse)
        assert await delete("g", "g") == [("g", ErrorCode.NONE)]
        assert await delete("g") == [("g", ErrorCode.GROUP_ID_NOT_FOUND)]

    play_groups(scene)


def test_version_3_says_why_where_the_code_does_not() -> None:
    async def scene(stage: GroupStage) -> None:
        request = DeleteGroupsRequest(groups_names=["x" * 40_000, "nowhere"])
        too_long, missing = (await stage.ask(request, 3, DeleteGroupsResponse)).results
        assert too_long.error_code == ErrorCode.INVALID_GROUP_ID
        assert too_long.error_message
        # As Kafka: the code says it all.
        assert (missing.error_code, missing.error_message) == (ErrorCode.GROUP_ID_NOT_FOUND, None)

    play_groups(scene)
