"""SyncGroup in all its versions."""

import pytest

from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

from .group_stage import GroupStage, play_groups


@pytest.mark.parametrize("version", range(6))
def test_the_leader_s_assignment_comes_back(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        synced = await stage.sync(await stage.join(version=3), version=version)
        assert (synced.error_code, synced.assignment) == (0, b"all")
        if version >= 5:
            assert (synced.protocol_type, synced.protocol_name) == ("consumer", "range")

    play_groups(scene)


@pytest.mark.parametrize("version", range(6))
def test_errors_reach_the_client(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        async def code(request: SyncGroupRequest) -> int:
            request.protocol_type, request.protocol_name = "consumer", "range"
            return (await stage.ask(request, version, SyncGroupResponse)).error_code

        joined = await stage.join(version=3)
        assert await code(SyncGroupRequest(group_id="")) == ErrorCode.INVALID_GROUP_ID
        assert await code(SyncGroupRequest(group_id="g", member_id="m")) == ErrorCode.UNKNOWN_MEMBER_ID
        stale = SyncGroupRequest(group_id="g", member_id=joined.member_id, generation_id=0)
        assert await code(stale) == ErrorCode.ILLEGAL_GENERATION

    play_groups(scene)


@pytest.mark.parametrize(
    ("version", "code"), [(4, ErrorCode.NONE), (5, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)]
)
def test_type_and_name_of_the_protocol_are_required_from_version_5(version: int, code: ErrorCode) -> None:
    async def scene(stage: GroupStage) -> None:
        joined = await stage.join(version=3)
        request = SyncGroupRequest(
            group_id="g", member_id=joined.member_id, generation_id=joined.generation_id
        )
        assert (await stage.ask(request, version, SyncGroupResponse)).error_code == code

    play_groups(scene)
