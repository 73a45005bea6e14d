"""JoinGroup in all its versions."""

import asyncio

import pytest

from chronik.broker.handlers import join_group
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse
from tests.unit.broker.groups.play import subscription

from .group_stage import GroupStage, play_groups


@pytest.mark.parametrize("version", range(4))
def test_old_clients_join_in_one_step(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        joined = await stage.join(version=version)
        assert (joined.error_code, joined.generation_id, joined.protocol_name) == (0, 1, "range")
        assert joined.leader == joined.member_id != ""
        assert [(m.member_id, m.metadata) for m in joined.members] == [
            (joined.member_id, subscription(["t"]))
        ]

    play_groups(scene)


@pytest.mark.parametrize("version", range(4, 10))
def test_newer_clients_are_given_an_id_first(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        first = await stage.join(version=version)
        assert first.error_code == ErrorCode.MEMBER_ID_REQUIRED
        assert first.member_id
        joined = await stage.join(first.member_id, version=version)
        assert (joined.error_code, joined.generation_id, joined.member_id) == (0, 1, first.member_id)
        assert joined.protocol_type == ("consumer" if version >= 7 else None)

    play_groups(scene)


@pytest.mark.parametrize("version", range(5, 10))
def test_static_members_join_in_one_step_and_are_named_to_the_leader(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        joined = await stage.join(version=version, instance_id="one")
        assert joined.member_id.startswith("one-")
        assert [m.group_instance_id for m in joined.members] == ["one"]

    play_groups(scene)


@pytest.mark.parametrize(("version", "skips"), [(8, False), (9, True)])
def test_a_static_leader_that_returns_skips_the_assignment_if_it_can(version: int, skips: bool) -> None:
    async def scene(stage: GroupStage) -> None:
        joined = await stage.join(version=version, instance_id="one")
        await stage.sync(joined)
        again = await stage.join(version=version, instance_id="one")
        assert (again.error_code, again.generation_id, again.skip_assignment) == (0, 1, skips)
        assert (again.leader == again.member_id) is skips
        assert len(again.members) == skips
        assert (await stage.sync(again)).assignment == b"all"

    play_groups(scene)


def test_the_answer_waits_for_the_other_members() -> None:
    async def scene(stage: GroupStage) -> None:
        first = await stage.member()
        second = asyncio.ensure_future(stage.join(version=3))
        await asyncio.sleep(1)
        assert not second.done()
        again = await stage.join(first.member_id, version=3)
        joined = await second
        assert (again.generation_id, joined.generation_id) == (2, 2)
        assert len(again.members) == 2
        assert joined.members == []
        assert joined.leader == again.member_id

    play_groups(scene)


@pytest.mark.parametrize("version", range(10))
def test_errors_reach_the_client(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        assert (await stage.join(version=version, group_id="")).error_code == ErrorCode.INVALID_GROUP_ID
        unknown = await stage.join("stranger", version=version)
        assert unknown.error_code == ErrorCode.UNKNOWN_MEMBER_ID
        assert unknown.member_id == "stranger"
        assert unknown.protocol_name == (None if version >= 7 else "")

    play_groups(scene)


def test_without_a_rebalance_timeout_the_session_s_is_used() -> None:
    async def scene(stage: GroupStage) -> None:
        await stage.join(version=0)
        (group,) = stage.groups.groups()
        assert group.rebalance_timeout_ms == 10_000

    play_groups(scene)


def test_members_are_described_as_kafka_does() -> None:
    async def scene(stage: GroupStage) -> None:
        joined = await stage.join(version=3)
        (group,) = stage.groups.groups()
        assert group.members[joined.member_id].client_host == "/127.0.0.1"

    play_groups(scene)


def test_on_error_names_the_member() -> None:
    response = join_group.on_error(JoinGroupRequest(member_id="m"), ErrorCode.NOT_COORDINATOR, None)
    # Without a protocol there is no name, as in Kafka.
    assert response == JoinGroupResponse(
        error_code=ErrorCode.NOT_COORDINATOR, protocol_name=None, member_id="m"
    )
