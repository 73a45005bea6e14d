"""LeaveGroup: members leave by id, or an administrator removes static ones by instance id (KIP-345).

And clients that disconnect without LeaveGroup while their first join waits.
"""

from chronik.broker.coordinator.shard import Ticket
from chronik.broker.groups.commands import (
    UNKNOWN_MEMBER_ID,
    Abandon,
    AbandonAnswer,
    Leave,
    LeaveAnswer,
    LeavingMember,
)
from chronik.broker.groups.group import Group
from chronik.broker.groups.rebalance import maybe_complete_join, prepare_or_complete, remove_member
from chronik.broker.groups.state import GroupState
from chronik.broker.groups.timers import Timer
from chronik.broker.groups.turn import Turn
from chronik.vocab.errors import ErrorCode


def leave(turn: Turn, command: Leave, ticket: Ticket) -> None:
    """Removes all of them first, then starts one rebalance."""
    group = turn.groups.get(command.group_id)
    if group is None:
        turn.answer(ticket, LeaveAnswer(errors=(ErrorCode.UNKNOWN_MEMBER_ID,) * len(command.members)))
        return
    members_before = len(group.members)
    errors = tuple(_leave_one(turn, group, member) for member in command.members)
    turn.answer(ticket, LeaveAnswer(errors=errors))
    if len(group.members) < members_before:
        reasons = {member.reason or "no reason given" for member in command.members}
        prepare_or_complete(turn, group, f"members left: {', '.join(sorted(reasons))}")
    elif group.state is GroupState.PREPARING_REBALANCE:
        maybe_complete_join(turn, group)
    turn.forget_if_vacant(group)


def _leave_one(turn: Turn, group: Group, leaving: LeavingMember) -> ErrorCode:
    member_id = leaving.member_id
    if member_id in group.pending_members:
        group.pending_members.remove(member_id)
        turn.cancel(Timer.SESSION, group, member_id)
        return ErrorCode.NONE
    if member_id == UNKNOWN_MEMBER_ID and leaving.instance_id is not None:
        member_id = group.static_members.get(leaving.instance_id, UNKNOWN_MEMBER_ID)
    error = group.check_member(member_id, leaving.instance_id)
    if error is ErrorCode.NONE:
        remove_member(turn, group, member_id)
    return error


def abandon(turn: Turn, command: Abandon, ticket: Ticket) -> None:
    """A new dynamic member that disconnects before its first answer would hold up the group for a session
    timeout: removes it. If its client lives after all, it finds its id unknown and joins again. Any
    other member stays until its session ends.
    """
    group = turn.groups.get(command.group_id)
    members = group.members.values() if group is not None else ()
    member = next((m for m in members if m.awaiting_join == command.abandoned), None)
    was_removed = group is not None and member is not None and member.is_new and not member.is_static
    if group is not None and member is not None and was_removed:
        remove_member(turn, group, member.member_id)
        prepare_or_complete(turn, group, f"the connection of {member.member_id} closed while it joined")
        turn.forget_if_vacant(group)
    turn.answer(ticket, AbandonAnswer(was_removed=was_removed))
