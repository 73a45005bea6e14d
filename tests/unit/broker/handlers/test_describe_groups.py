"""DescribeGroups in all its versions."""

import pytest

from chronik.broker.access import NOT_ASKED
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from tests.unit.broker.groups.play import subscription

from .group_stage import GroupStage, play_groups

# READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS
ALL_OPERATIONS = 0b1101_0100_1000


@pytest.mark.parametrize("version", range(7))
def test_a_stable_group(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        member = await stage.member()
        request = DescribeGroupsRequest(groups=["g"], include_authorized_operations=version >= 3)
        (group,) = (await stage.ask(request, version, DescribeGroupsResponse)).groups
        assert (group.error_code, group.group_id, group.group_state) == (0, "g", "Stable")
        assert (group.protocol_type, group.protocol_data) == ("consumer", "range")
        (described,) = group.members
        assert (described.member_id, described.client_host) == (member.member_id, "/127.0.0.1")
        assert (described.member_metadata, described.member_assignment) == (subscription(["t"]), b"all")
        assert group.authorized_operations == (ALL_OPERATIONS if version >= 3 else NOT_ASKED)

    play_groups(scene)


@pytest.mark.parametrize("version", range(7))
def test_a_group_that_does_not_exist_is_dead(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        request = DescribeGroupsRequest(groups=["nowhere"])
        (group,) = (await stage.ask(request, version, DescribeGroupsResponse)).groups
        assert group.group_state == "Dead"
        if version < 6:
            assert group.error_code == ErrorCode.NONE
        else:
            assert group.error_code == ErrorCode.GROUP_ID_NOT_FOUND
            assert group.error_message == "Group nowhere not found."

    play_groups(scene)


def test_each_group_is_answered_for_itself() -> None:
    async def scene(stage: GroupStage) -> None:
        await stage.member()
        request = DescribeGroupsRequest(groups=["g", "h" * 40_000])
        found = (await stage.ask(request, 5, DescribeGroupsResponse)).groups
        assert [group.error_code for group in found] == [ErrorCode.NONE, ErrorCode.INVALID_GROUP_ID]

    play_groups(scene)
