"""SyncGroup and Heartbeat: what members of a generation do while it lasts."""

from chronik.broker.coordinator.shard import Ticket
from chronik.broker.groups.commands import Heartbeat, HeartbeatAnswer, Sync, SyncAnswer
from chronik.broker.groups.group import Group
from chronik.broker.groups.member import NO_ASSIGNMENT
from chronik.broker.groups.rebalance import answer_sync, prepare, renew_session
from chronik.broker.groups.state import GroupState
from chronik.broker.groups.timers import Timer
from chronik.broker.groups.turn import Turn
from chronik.vocab.errors import ErrorCode


def sync(turn: Turn, command: Sync, ticket: Ticket) -> None:
    """The leader's request brings all assignments; the others' wait for it."""
    group = turn.groups.get(command.group_id)
    error = _check(group, command)
    if group is None or error is not ErrorCode.NONE:
        turn.answer(ticket, SyncAnswer(error=error))
        return
    member = group.members[command.member_id]
    _has_synced(turn, group, command.member_id)
    renew_session(turn, group, member)
    if group.state is GroupState.STABLE:
        turn.answer(ticket, _assignment_answer(group, member.assignment))
        return
    answer_sync(turn, member, SyncAnswer(error=ErrorCode.REBALANCE_IN_PROGRESS))
    member.awaiting_sync = ticket
    if group.is_leader(command.member_id):
        _assign(turn, group, dict(command.assignments))


def _check(group: Group | None, command: Sync) -> ErrorCode:
    if group is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    error = group.check_member(command.member_id, command.instance_id)
    if error is not ErrorCode.NONE:
        return error
    if command.generation != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    # KIP-559: a client that names the chosen protocol must be right.
    if command.protocol_type not in (None, group.protocol_type):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if command.protocol_name not in (None, group.protocol_name):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if group.state is GroupState.PREPARING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def _has_synced(turn: Turn, group: Group, member_id: str) -> None:
    group.pending_sync.discard(member_id)
    if not group.pending_sync:
        turn.cancel(Timer.SYNC, group)


def _assign(turn: Turn, group: Group, assignments: dict[str, bytes]) -> None:
    """The group is stable from here on; it is written, and its members are answered when that is
    committed.
    """
    for member in group.members.values():
        member.assignment = assignments.get(member.member_id, NO_ASSIGNMENT)
    if not turn.fits_in_record(group):
        _refuse_assignment(turn, group)
        return
    group.transition(GroupState.STABLE, turn.now.wall_ms)
    turn.write_group(group)
    turn.log(group, f"stable at generation {group.generation} with {len(group.members)} members")
    for member in group.members.values():
        if member.awaiting_sync is not None:
            renew_session(turn, group, member)
            answer_sync(turn, member, _assignment_answer(group, member.assignment))


def _refuse_assignment(turn: Turn, group: Group) -> None:
    """Answers as Kafka does for a group whose record does not fit into a batch."""
    for member in group.members.values():
        member.assignment = NO_ASSIGNMENT
        answer_sync(turn, member, SyncAnswer(error=ErrorCode.UNKNOWN_SERVER_ERROR))
    prepare(turn, group, "its metadata and assignments are too large for a record")


def _assignment_answer(group: Group, assignment: bytes) -> SyncAnswer:
    return SyncAnswer(
        protocol_type=group.protocol_type, protocol_name=group.protocol_name, assignment=assignment
    )


def heartbeat(turn: Turn, command: Heartbeat, ticket: Ticket) -> None:
    """Renews the session; during a rebalance its error makes members join again."""
    group = turn.groups.get(command.group_id)
    error = _check_heartbeat(group, command)
    if group is not None and error is ErrorCode.NONE:
        renew_session(turn, group, group.members[command.member_id])
        if group.state is GroupState.PREPARING_REBALANCE:
            error = ErrorCode.REBALANCE_IN_PROGRESS
    turn.answer(ticket, HeartbeatAnswer(error=error))


def _check_heartbeat(group: Group | None, command: Heartbeat) -> ErrorCode:
    if group is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    error = group.check_member(command.member_id, command.instance_id)
    if error is ErrorCode.NONE and command.generation != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    return error
