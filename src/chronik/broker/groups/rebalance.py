"""The rebalance: begins and ends the join phase, and removes members from a group.

    Empty, Stable, CompletingRebalance --prepare--> PreparingRebalance --joined--> CompletingRebalance, Empty

A join phase ends as soon as every known member has joined. Three things bound the wait for the missing ones:
each member's session timeout, the rebalance timeout of the group, and, for ids handed out and never used,
PENDING_MEMBER_GRACE_MS.
"""

from chronik.broker.coordinator.shard import Ticket
from chronik.broker.groups.commands import JoinAnswer, JoinedMember, SyncAnswer
from chronik.broker.groups.config import PENDING_MEMBER_GRACE_MS
from chronik.broker.groups.group import Group
from chronik.broker.groups.member import NO_ASSIGNMENT, Member
from chronik.broker.groups.state import GroupState
from chronik.broker.groups.timers import Timer
from chronik.broker.groups.turn import Turn
from chronik.vocab.errors import ErrorCode


def prepare_or_complete(turn: Turn, group: Group, reason: str) -> None:
    """Called after members came, went or changed: starts a rebalance, or ends the running one if it can."""
    if group.can_rebalance:
        prepare(turn, group, reason)
    else:
        maybe_complete_join(turn, group)


def prepare(turn: Turn, group: Group, reason: str) -> None:
    """Makes every member join again."""
    if group.state is GroupState.COMPLETING_REBALANCE:
        for member in group.members.values():
            member.assignment = NO_ASSIGNMENT
            answer_sync(turn, member, SyncAnswer(error=ErrorCode.REBALANCE_IN_PROGRESS))
    turn.cancel(Timer.SYNC, group)
    group.pending_sync.clear()
    is_initial = group.state is GroupState.EMPTY
    group.transition(GroupState.PREPARING_REBALANCE, turn.now.wall_ms)
    turn.log(group, f"preparing to rebalance generation {group.generation}: {reason}")
    delay_ms = turn.config.initial_rebalance_delay_ms
    if is_initial and delay_ms > 0:
        group.initial_delay_left_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
        group.has_joined_in_delay = False
        turn.wake(Timer.JOIN, group, after_ms=delay_ms)
        return
    turn.wake(Timer.JOIN, group, after_ms=group.rebalance_timeout_ms)
    maybe_complete_join(turn, group)


def maybe_complete_join(turn: Turn, group: Group) -> None:
    """Ends the join phase if no member is missing any more."""
    if group.state is not GroupState.PREPARING_REBALANCE or group.initial_delay_left_ms is not None:
        return
    if not group.has_all_joined:
        return
    if group.pending_members:
        turn.wake_not_after(Timer.JOIN, group, after_ms=PENDING_MEMBER_GRACE_MS)
        return
    _complete_join(turn, group)


def on_join_deadline(turn: Turn, group: Group) -> None:
    """The initial delay, the rebalance timeout, or the grace for pending members is over."""
    if group.state is not GroupState.PREPARING_REBALANCE:
        return
    left_ms = group.initial_delay_left_ms
    if left_ms and group.has_joined_in_delay:
        delay_ms = min(turn.config.initial_rebalance_delay_ms, left_ms)
        group.initial_delay_left_ms = left_ms - delay_ms
        group.has_joined_in_delay = False
        turn.wake(Timer.JOIN, group, after_ms=delay_ms)
        return
    _complete_join(turn, group)


def on_sync_deadline(turn: Turn, group: Group) -> None:
    """Removes members that received the generation and did not sync within the rebalance timeout."""
    if group.state not in (GroupState.COMPLETING_REBALANCE, GroupState.STABLE) or not group.pending_sync:
        return
    missing = sorted(group.pending_sync)
    for member_id in missing:
        remove_member(turn, group, member_id)
    prepare(turn, group, f"{', '.join(missing)} did not sync in time")


def on_session_deadline(turn: Turn, group: Group, member_id: str) -> None:
    """A member, or a pending member, sent nothing for its session timeout."""
    if member_id in group.pending_members:
        group.pending_members.remove(member_id)
        turn.log(group, f"pending member {member_id} never joined")
        maybe_complete_join(turn, group)
        turn.forget_if_vacant(group)
        return
    member = group.members.get(member_id)
    if member is None:
        return
    # A member with a request parked here cannot send heartbeats; its session goes on when that is answered. A
    # new member is different: it may have given up the join and come back under another id.
    if not member.is_new and (member.awaiting_join is not None or member.awaiting_sync is not None):
        return
    remove_member(turn, group, member_id)
    prepare_or_complete(turn, group, f"the session of {member_id} timed out")


def remove_member(turn: Turn, group: Group, member_id: str) -> None:
    """Removes a member and answers its parked requests; the caller starts the rebalance that must follow."""
    turn.cancel(Timer.SESSION, group, member_id)
    member = group.remove(member_id)
    answer_join(turn, member, JoinAnswer(error=ErrorCode.UNKNOWN_MEMBER_ID))
    answer_sync(turn, member, SyncAnswer(error=ErrorCode.UNKNOWN_MEMBER_ID))
    turn.log(group, f"member {member_id} removed")


def renew_session(turn: Turn, group: Group, member: Member) -> None:
    turn.wake(Timer.SESSION, group, member.member_id, after_ms=member.session_timeout_ms)


def generation_answer(group: Group, member_id: str) -> JoinAnswer:
    """Returns the current generation as the answer to a member that has joined it."""
    members: tuple[JoinedMember, ...] = ()
    if group.is_leader(member_id):
        members = joined_members(group)
    return JoinAnswer(
        member_id=member_id,
        generation=group.generation,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        leader_id=group.leader_id or "",
        members=members,
    )


def joined_members(group: Group) -> tuple[JoinedMember, ...]:
    return tuple(
        JoinedMember(
            member_id=member.member_id,
            instance_id=member.instance_id,
            metadata=member.metadata(group.protocol_name),
        )
        for member in group.members.values()
    )


def park_join(turn: Turn, member: Member, ticket: Ticket) -> None:
    """A second join of a member whose first is still parked means that the client gave the first up."""
    answer_join(turn, member, JoinAnswer(error=ErrorCode.REBALANCE_IN_PROGRESS, member_id=member.member_id))
    member.awaiting_join = ticket


def answer_join(turn: Turn, member: Member, answer: JoinAnswer) -> None:
    if member.awaiting_join is not None:
        turn.answer(member.awaiting_join, answer)
        member.awaiting_join = None


def answer_sync(turn: Turn, member: Member, answer: SyncAnswer) -> None:
    if member.awaiting_sync is not None:
        turn.answer(member.awaiting_sync, answer)
        member.awaiting_sync = None


def _complete_join(turn: Turn, group: Group) -> None:
    turn.cancel(Timer.JOIN, group)
    group.initial_delay_left_ms = None
    for member in _late_dynamic_members(group):
        remove_member(turn, group, member.member_id)
    if group.members and not group.elect_leader():
        # Only static members that did not come back: they keep their places until their sessions end.
        turn.wake(Timer.JOIN, group, after_ms=group.rebalance_timeout_ms)
        return
    group.generation += 1
    if group.members:
        _begin_sync(turn, group)
    else:
        _become_empty(turn, group)


def _late_dynamic_members(group: Group) -> list[Member]:
    return [m for m in group.members.values() if m.awaiting_join is None and not m.is_static]


def _begin_sync(turn: Turn, group: Group) -> None:
    group.protocol_name = group.select_protocol()
    group.refresh_topics()
    group.transition(GroupState.COMPLETING_REBALANCE, turn.now.wall_ms)
    turn.log(group, f"generation {group.generation} has {len(group.members)} members")
    for member in group.members.values():
        member.is_new = False
        renew_session(turn, group, member)
        answer_join(turn, member, generation_answer(group, member.member_id))
    group.pending_sync = set(group.members)
    turn.wake(Timer.SYNC, group, after_ms=group.rebalance_timeout_ms)


def _become_empty(turn: Turn, group: Group) -> None:
    group.protocol_name = None
    group.leader_id = None
    group.transition(GroupState.EMPTY, turn.now.wall_ms)
    group.refresh_topics()
    turn.log(group, f"empty at generation {group.generation}")
    turn.write_group(group)
