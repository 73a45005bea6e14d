"""DescribeGroups, ListGroups, DeleteGroups."""

from chronik.broker.coordinator.shard import Ticket
from chronik.broker.groups.commands import (
    DeleteGroup,
    DeleteGroupAnswer,
    DescribeAnswer,
    DescribedMember,
    DescribeGroup,
    ListAnswer,
    ListedGroup,
    ListGroups,
)
from chronik.broker.groups.group import Group
from chronik.broker.groups.state import GroupState
from chronik.broker.groups.timers import Timer
from chronik.broker.groups.turn import Turn
from chronik.vocab.errors import ErrorCode


def describe(turn: Turn, command: DescribeGroup, ticket: Ticket) -> None:
    """Metadata and assignments only of a stable group: before that they are not of one generation."""
    group = turn.groups.get(command.group_id)
    if group is None:
        answer = DescribeAnswer(error=ErrorCode.GROUP_ID_NOT_FOUND, state=GroupState.DEAD.value)
    else:
        is_stable = group.state is GroupState.STABLE
        answer = DescribeAnswer(
            state=group.state.value,
            protocol_type=group.protocol_type or "",
            protocol_name=(group.protocol_name or "") if is_stable else "",
            members=_describe_members(group, is_stable=is_stable),
        )
    turn.answer(ticket, answer)


def _describe_members(group: Group, *, is_stable: bool) -> tuple[DescribedMember, ...]:
    return tuple(
        DescribedMember(
            member_id=member.member_id,
            instance_id=member.instance_id,
            client_id=member.client_id,
            client_host=member.client_host,
            metadata=member.metadata(group.protocol_name) if is_stable else b"",
            assignment=member.assignment if is_stable else b"",
        )
        for member in group.members.values()
    )


def list_groups(turn: Turn, command: ListGroups, ticket: Ticket) -> None:
    listed = (
        ListedGroup(group_id=group.group_id, protocol_type=group.protocol_type or "", state=group.state.value)
        for group in turn.groups.values()
    )
    turn.answer(ticket, ListAnswer(groups=tuple(listed)))


def delete(turn: Turn, command: DeleteGroup, ticket: Ticket) -> None:
    """Deletes a group without members, and its offsets."""
    group = turn.groups.get(command.group_id)
    if group is None:
        turn.answer(ticket, DeleteGroupAnswer(error=ErrorCode.GROUP_ID_NOT_FOUND))
        return
    if group.state is not GroupState.EMPTY:
        turn.answer(ticket, DeleteGroupAnswer(error=ErrorCode.NON_EMPTY_GROUP))
        return
    for partition, _ in list(group.offsets):
        turn.write_offset_tombstone(group, partition)
    turn.write_group_tombstone(group)
    for member_id in group.pending_members:
        turn.cancel(Timer.SESSION, group, member_id)
    group.transition(GroupState.DEAD, turn.now.wall_ms)
    del turn.groups[group.group_id]
    turn.log(group, "deleted on request")
    turn.answer(ticket, DeleteGroupAnswer())
