"""LeaveGroup: one member in old versions, many in new ones."""

import pytest

from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity

from .group_stage import GroupStage, play_groups


@pytest.mark.parametrize("version", range(3))
def test_one_member_leaves(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        async def leave(member_id: str, group_id: str = "g") -> int:
            request = LeaveGroupRequest(group_id=group_id, member_id=member_id)
            return (await stage.ask(request, version, LeaveGroupResponse)).error_code

        member = await stage.member()
        assert await leave("stranger") == ErrorCode.UNKNOWN_MEMBER_ID
        assert await leave("stranger", "nowhere") == ErrorCode.UNKNOWN_MEMBER_ID
        assert await leave(member.member_id) == ErrorCode.NONE
        assert await leave(member.member_id) == ErrorCode.UNKNOWN_MEMBER_ID
        assert await leave(member.member_id, "") == ErrorCode.INVALID_GROUP_ID

    play_groups(scene)


@pytest.mark.parametrize("version", range(3, 6))
def test_members_leave_together_by_either_of_their_ids(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        joined = await stage.join(instance_id="one")
        request = LeaveGroupRequest(
            group_id="g",
            members=[
                MemberIdentity(member_id="stranger"),
                MemberIdentity(member_id=joined.member_id, group_instance_id="two"),
                MemberIdentity(group_instance_id="one"),
            ],
        )
        answer = await stage.ask(request, version, LeaveGroupResponse)
        assert answer.error_code == ErrorCode.NONE
        assert [(m.member_id, m.group_instance_id, m.error_code) for m in answer.members] == [
            ("stranger", None, ErrorCode.UNKNOWN_MEMBER_ID),
            (joined.member_id, "two", ErrorCode.UNKNOWN_MEMBER_ID),
            ("", "one", ErrorCode.NONE),
        ]

    play_groups(scene)
