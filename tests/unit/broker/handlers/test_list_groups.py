"""ListGroups in all its versions, with and without filters."""

import pytest

from chronik.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse

from .group_stage import GroupStage, play_groups


async def _list(
    stage: GroupStage, version: int, states: list[str] | None = None, types: list[str] | None = None
) -> ListGroupsResponse:
    request = ListGroupsRequest(states_filter=states or [], types_filter=types or [])
    return await stage.ask(request, version, ListGroupsResponse)


@pytest.mark.parametrize("version", range(6))
def test_groups_with_what_the_version_can_say(version: int) -> None:
    async def scene(stage: GroupStage) -> None:
        assert (await _list(stage, version)).groups == []
        await stage.member()
        (group,) = (await _list(stage, version)).groups
        assert (group.group_id, group.protocol_type) == ("g", "consumer")
        assert group.group_state == ("Stable" if version >= 4 else "")
        assert group.group_type == ("classic" if version >= 5 else "")

    play_groups(scene)


def test_filters_do_not_care_for_case() -> None:
    async def scene(stage: GroupStage) -> None:
        await stage.member()
        await stage.join(version=3, group_id="h")

        async def names(states: list[str] | None = None, types: list[str] | None = None) -> list[str]:
            return sorted(group.group_id for group in (await _list(stage, 5, states, types)).groups)

        assert await names() == ["g", "h"]
        assert await names(states=["stable"]) == ["g"]
        assert await names(states=["Stable", "completingREBALANCE"]) == ["g", "h"]
        assert await names(states=["Empty"]) == []
        assert await names(types=["classic"]) == ["g", "h"]
        assert await names(types=["consumer", "share"]) == []

    play_groups(scene)
