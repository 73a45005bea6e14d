"""Heartbeat in all its versions."""

import asyncio

import pytest

from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse

from .group_stage import GroupStage, play_groups


@pytest.mark.parametrize("version", range(5))
def test_heartbeats_keep_a_member_and_tell_it_of_rebalances(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        async def beat(generation: int, member_id: str, group_id: str = "g") -> int:
            request = HeartbeatRequest(group_id=group_id, member_id=member_id, generation_id=generation)
            return (await stage.ask(request, version, HeartbeatResponse)).error_code

        member = await stage.member()
        assert await beat(1, member.member_id) == ErrorCode.NONE
        assert await beat(0, member.member_id) == ErrorCode.ILLEGAL_GENERATION
        assert await beat(1, "stranger") == ErrorCode.UNKNOWN_MEMBER_ID
        assert await beat(1, member.member_id, "") == ErrorCode.INVALID_GROUP_ID
        other = asyncio.ensure_future(stage.join(version=3))
        await asyncio.sleep(0.1)
        assert await beat(1, member.member_id) == ErrorCode.REBALANCE_IN_PROGRESS
        other.cancel()

    play_groups(scene)
