"""JoinGroup: who may join, under which id, and whether that means a rebalance.

Static members (KIP-345) come back under a new id and take their old place; dynamic ones are first given an id
and sent back to join with it (KIP-394), so that a retried first join does not add a ghost.
"""

from chronik.broker.coordinator.log import RECORDS_BYTES_MAX
from chronik.broker.coordinator.shard import Ticket
from chronik.broker.groups.commands import UNKNOWN_MEMBER_ID, Join, JoinAnswer, SyncAnswer
from chronik.broker.groups.config import (
    NEW_MEMBER_JOIN_TIMEOUT_MS,
    PENDING_MEMBER_TIMEOUT_MS_MAX,
    PENDING_MEMBERS_MAX,
    STRING_BYTES_MAX,
    GroupConfig,
)
from chronik.broker.groups.group import Group
from chronik.broker.groups.member import Member
from chronik.broker.groups.rebalance import (
    answer_join,
    answer_sync,
    generation_answer,
    joined_members,
    maybe_complete_join,
    park_join,
    prepare_or_complete,
    remove_member,
    renew_session,
)
from chronik.broker.groups.state import GroupState
from chronik.broker.groups.subscription import subscribed_topics
from chronik.broker.groups.timers import Timer
from chronik.broker.groups.turn import Turn
from chronik.vocab.errors import ErrorCode


def join(turn: Turn, command: Join, ticket: Ticket) -> None:
    error = _check_request(turn.config, command)
    if error is not ErrorCode.NONE:
        _refuse(turn, ticket, error, command.member_id)
        return
    group = turn.groups.get(command.group_id)
    if group is None:
        if command.member_id != UNKNOWN_MEMBER_ID:
            _refuse(turn, ticket, ErrorCode.UNKNOWN_MEMBER_ID, command.member_id)
            return
        group = turn.groups[command.group_id] = Group(command.group_id, state_timestamp_ms=turn.now.wall_ms)
    if not _has_room(turn.config, group, command):
        _turn_away(turn, group, command, ticket)
    elif not group.supports(command.protocol_type, command.protocols):
        _refuse(turn, ticket, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, command.member_id)
    elif command.member_id == UNKNOWN_MEMBER_ID:
        _join_without_id(turn, group, command, ticket)
    else:
        _join_with_id(turn, group, command, ticket)
    turn.forget_if_vacant(group)


def _check_request(config: GroupConfig, command: Join) -> ErrorCode:
    if not config.session_timeout_min_ms <= command.session_timeout_ms <= config.session_timeout_max_ms:
        return ErrorCode.INVALID_SESSION_TIMEOUT
    strings = (command.instance_id or "", command.protocol_type, *(name for name, _ in command.protocols))
    if any(len(text.encode()) > STRING_BYTES_MAX for text in strings):
        return ErrorCode.INVALID_REQUEST
    if sum(len(metadata) for _, metadata in command.protocols) > RECORDS_BYTES_MAX:
        return ErrorCode.INVALID_REQUEST
    return ErrorCode.NONE


def _refuse(turn: Turn, ticket: Ticket, error: ErrorCode, member_id: str) -> None:
    turn.answer(ticket, JoinAnswer(error=error, member_id=member_id))


def _has_room(config: GroupConfig, group: Group, command: Join) -> bool:
    """Checks group.max.size. While a rebalance gathers members only those that joined count, so that the
    last ones to rejoin a group that has become too large are refused.
    """
    # A static member that comes back takes its own place.
    member = group.members.get(command.member_id or group.static_members.get(command.instance_id or "", ""))
    if group.state is GroupState.PREPARING_REBALANCE:
        is_parked = member is not None and member.awaiting_join is not None
        return is_parked or group.members_awaiting_join < config.members_max
    return member is not None or len(group.members) < config.members_max


def _turn_away(turn: Turn, group: Group, command: Join, ticket: Ticket) -> None:
    _refuse(turn, ticket, ErrorCode.GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER_ID)
    group.pending_members.discard(command.member_id)
    if command.member_id in group.members:
        remove_member(turn, group, command.member_id)
    maybe_complete_join(turn, group)


def _join_without_id(turn: Turn, group: Group, command: Join, ticket: Ticket) -> None:
    if command.instance_id is not None:
        owner = group.static_members.get(command.instance_id)
        if owner is None:
            _add(turn, group, command, command.new_member_id, ticket)
        else:
            _take_over(turn, group, group.members[owner], command, ticket)
    elif command.requires_known_member_id:
        _hand_out_id(turn, group, command, ticket)
    else:
        _add(turn, group, command, command.new_member_id, ticket)


def _hand_out_id(turn: Turn, group: Group, command: Join, ticket: Ticket) -> None:
    if len(group.pending_members) >= PENDING_MEMBERS_MAX:
        # Retriable: the client comes back after its backoff, and unused ids expire.
        _refuse(turn, ticket, ErrorCode.COORDINATOR_NOT_AVAILABLE, UNKNOWN_MEMBER_ID)
        return
    group.pending_members.add(command.new_member_id)
    lifetime_ms = min(command.session_timeout_ms, PENDING_MEMBER_TIMEOUT_MS_MAX)
    turn.wake(Timer.SESSION, group, command.new_member_id, after_ms=lifetime_ms)
    _refuse(turn, ticket, ErrorCode.MEMBER_ID_REQUIRED, command.new_member_id)


def _join_with_id(turn: Turn, group: Group, command: Join, ticket: Ticket) -> None:
    if command.member_id in group.pending_members:
        if command.instance_id is not None:
            # Ids are handed out to dynamic members only.
            _refuse(turn, ticket, ErrorCode.INVALID_REQUEST, command.member_id)
        else:
            _add(turn, group, command, command.member_id, ticket)
        return
    error = group.check_member(command.member_id, command.instance_id)
    if error is not ErrorCode.NONE:
        _refuse(turn, ticket, error, command.member_id)
        return
    member = group.members[command.member_id]
    if _changes_nothing(group, member, command):
        # The client missed the answer to its join, or was sent here by a heartbeat that came too late.
        renew_session(turn, group, member)
        turn.answer(ticket, generation_answer(group, member.member_id))
        return
    _update(group, member, command)
    park_join(turn, member, ticket)
    prepare_or_complete(turn, group, f"{member.member_id} rejoins: {command.reason or 'no reason given'}")


def _changes_nothing(group: Group, member: Member, command: Join) -> bool:
    """The member is in this generation already, with the same metadata. A stable group's leader is an
    exception: it rejoins when something else calls for a new assignment, such as new partitions.
    """
    if member.protocols != command.protocols:
        return False
    if group.state is GroupState.STABLE:
        return not group.is_leader(member.member_id)
    return group.state is GroupState.COMPLETING_REBALANCE


def _add(turn: Turn, group: Group, command: Join, member_id: str, ticket: Ticket) -> None:
    member = Member(
        member_id=member_id,
        instance_id=command.instance_id,
        client_id=command.client_id,
        client_host=command.client_host,
        session_timeout_ms=command.session_timeout_ms,
        rebalance_timeout_ms=command.rebalance_timeout_ms,
        protocols=command.protocols,
        is_new=True,
    )
    group.add(member, command.protocol_type)
    group.has_joined_in_delay = True
    park_join(turn, member, ticket)
    turn.wake(Timer.SESSION, group, member_id, after_ms=NEW_MEMBER_JOIN_TIMEOUT_MS)
    prepare_or_complete(turn, group, f"{member_id} joins: {command.reason or 'no reason given'}")


def _update(group: Group, member: Member, command: Join) -> None:
    group.set_protocols(member, command.protocols)
    member.session_timeout_ms = command.session_timeout_ms
    member.rebalance_timeout_ms = command.rebalance_timeout_ms
    member.client_id = command.client_id
    member.client_host = command.client_host


def _take_over(turn: Turn, group: Group, member: Member, command: Join, ticket: Ticket) -> None:
    """A static member started again. The earlier owner of the instance id is fenced, here and in all its
    later requests.
    """
    old_member_id = member.member_id
    answer_join(turn, member, JoinAnswer(error=ErrorCode.FENCED_INSTANCE_ID, member_id=old_member_id))
    answer_sync(turn, member, SyncAnswer(error=ErrorCode.FENCED_INSTANCE_ID))
    turn.cancel(Timer.SESSION, group, old_member_id)
    topics_before = subscribed_topics(member.metadata(group.protocol_name))
    group.replace_static(member, command.new_member_id)
    member.is_new = False
    _update(group, member, command)
    renew_session(turn, group, member)
    turn.log(group, f"{command.instance_id} comes back as {member.member_id}, was {old_member_id}")
    if group.state is GroupState.STABLE and not _needs_rebalance(group, member, topics_before):
        _take_over_quietly(turn, group, member, old_member_id, command, ticket)
        return
    park_join(turn, member, ticket)
    # In CompletingRebalance too: the leader may already be assigning to the old id.
    prepare_or_complete(turn, group, f"static member {command.instance_id} comes back with changes")


def _needs_rebalance(group: Group, member: Member, topics_before: frozenset[str] | None) -> bool:
    """Kafka only checks whether the same protocol would be chosen; then a consumer restarted with other
    topics keeps its old assignment. The bytes cannot be compared: sticky assignors put the member's
    owned partitions into them.
    """
    if group.select_protocol() != group.protocol_name:
        return True
    topics_now = subscribed_topics(member.metadata(group.protocol_name))
    return group.uses_consumer_protocol and topics_now != topics_before


def _take_over_quietly(
    turn: Turn, group: Group, member: Member, old_member_id: str, command: Join, ticket: Ticket
) -> None:
    """The generation goes on under the new id; other members do not notice."""
    turn.write_group(group)
    answer = generation_answer(group, member.member_id)
    if group.is_leader(member.member_id):
        answer = _leader_answer(group, answer, old_member_id, can_skip=command.can_skip_assignment)
    turn.answer(ticket, answer)


def _leader_answer(group: Group, answer: JoinAnswer, old_member_id: str, *, can_skip: bool) -> JoinAnswer:
    """A returning leader must not assign again. KIP-814 has a field for that; older clients receive their
    former id as leader.
    """
    return JoinAnswer(
        member_id=answer.member_id,
        generation=answer.generation,
        protocol_type=answer.protocol_type,
        protocol_name=answer.protocol_name,
        leader_id=answer.leader_id if can_skip else old_member_id,
        skip_assignment=can_skip,
        members=joined_members(group) if can_skip else (),
    )
