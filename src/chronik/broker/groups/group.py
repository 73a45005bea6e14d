"""A group: its members, their protocol and assignment, and its committed offsets. Only state: the rules
for requests, the end of a join and the records are in the modules next to it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from chronik.broker.coordinator.primitives import MalformedRecord
from chronik.broker.groups.commands import UNKNOWN_MEMBER_ID, Protocols
from chronik.broker.groups.member import Member
from chronik.broker.groups.offsets import GroupOffsets
from chronik.broker.groups.record_format import GroupSnapshot, MemberSnapshot
from chronik.broker.groups.state import TRANSITIONS, GroupState
from chronik.broker.groups.subscription import CONSUMER_PROTOCOL_TYPE, subscribed_topics
from chronik.vocab.errors import ErrorCode
from chronik.vocab.invariant import invariant


@dataclass(slots=True)
class Group:
    """Made by the first join or commit, or by replay; ends when it is deleted, or has nothing left to
    remember.
    """

    group_id: str
    state: GroupState = GroupState.EMPTY
    # Wall time at which the state was entered; None when an old record lacks it.
    state_timestamp_ms: int | None = None
    # Incremented by each completed join; fences every request of a member.
    generation: int = 0
    # None for a group that never had members: someone only keeps offsets under its id ("simple group").
    protocol_type: str | None = None
    protocol_name: str | None = None
    # Invariant: None, or a key of members.
    leader_id: str | None = None
    members: dict[str, Member] = field(default_factory=dict)
    # Instance id to member id. Invariant: exactly the members with an instance id.
    static_members: dict[str, str] = field(default_factory=dict)
    # How many members support a protocol. Invariant: counted over members, no zeros.
    supporters: Counter[str] = field(default_factory=Counter)
    # Member ids handed out and not yet used (KIP-394).
    pending_members: set[str] = field(default_factory=set)
    # Members of this generation that have not sent SyncGroup yet.
    pending_sync: set[str] = field(default_factory=set)
    # While the first members gather: how much longer that may be extended. None otherwise.
    initial_delay_left_ms: int | None = None
    has_joined_in_delay: bool = False
    # Topics of a consumer group's members; None when unknown (no consumers, or metadata that cannot be read).
    topics: frozenset[str] | None = None
    offsets: GroupOffsets = field(default_factory=GroupOffsets)
    # Whether the log holds a group record that would need a tombstone.
    is_written: bool = False

    def transition(self, state: GroupState, now_ms: int) -> None:
        invariant(state in TRANSITIONS[self.state], "{}: {} to {}", self.group_id, self.state, state)
        self.state = state
        self.state_timestamp_ms = now_ms

    @property
    def is_simple(self) -> bool:
        return self.protocol_type is None

    @property
    def uses_consumer_protocol(self) -> bool:
        return self.protocol_type == CONSUMER_PROTOCOL_TYPE

    @property
    def is_vacant(self) -> bool:
        """True if nothing is in it, and nothing of it in the log: it can be dropped without a record."""
        return not (self.members or self.pending_members or self.offsets or self.is_written)

    @property
    def can_rebalance(self) -> bool:
        return GroupState.PREPARING_REBALANCE in TRANSITIONS[self.state]

    @property
    def rebalance_timeout_ms(self) -> int:
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    # Members

    def add(self, member: Member, protocol_type: str) -> None:
        invariant(member.member_id not in self.members, "{} is already a member", member.member_id)
        if not self.members:
            self.protocol_type = protocol_type
        self.members[member.member_id] = member
        self._count_protocols(member.protocols, 1)
        self.pending_members.discard(member.member_id)
        if member.instance_id is not None:
            invariant(member.instance_id not in self.static_members, "{} is taken", member.instance_id)
            self.static_members[member.instance_id] = member.member_id
        if self.leader_id is None:
            self.leader_id = member.member_id

    def remove(self, member_id: str) -> Member:
        """The leadership passes to any other member; who leads is settled again when the join completes."""
        member = self.members.pop(member_id)
        self._count_protocols(member.protocols, -1)
        if member.instance_id is not None:
            del self.static_members[member.instance_id]
        self.pending_sync.discard(member_id)
        if self.leader_id == member_id:
            self.leader_id = next(iter(self.members), None)
        return member

    def replace_static(self, member: Member, new_member_id: str) -> None:
        """The same instance under a new id: it keeps its place, its assignment and its leadership
        (KIP-345).
        """
        invariant(member.instance_id is not None, "{} is not static", member.member_id)
        old_member_id = member.member_id
        member.member_id = new_member_id
        self.members = {m.member_id: m for m in self.members.values()}
        self.static_members[member.instance_id or ""] = new_member_id
        if old_member_id in self.pending_sync:
            self.pending_sync.remove(old_member_id)
            self.pending_sync.add(new_member_id)
        if self.leader_id == old_member_id:
            self.leader_id = new_member_id

    def check_member(self, member_id: str, instance_id: str | None) -> ErrorCode:
        """Checks that these two name one member; an older owner of an instance id is fenced (KIP-345)."""
        if instance_id is not None:
            owner = self.static_members.get(instance_id)
            if owner is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if owner != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def is_leader(self, member_id: str) -> bool:
        return self.leader_id == member_id

    @property
    def members_awaiting_join(self) -> int:
        return sum(member.awaiting_join is not None for member in self.members.values())

    @property
    def has_all_joined(self) -> bool:
        """True if all known members have sent JoinGroup. Pending members do not count: they may never
        join.
        """
        return all(member.awaiting_join is not None for member in self.members.values())

    def elect_leader(self) -> bool:
        """Passes leadership to a member that joined, if the leader did not. False when no member joined."""
        leader = self.members.get(self.leader_id or UNKNOWN_MEMBER_ID)
        if leader is not None and leader.awaiting_join is not None:
            return True
        joined = (m.member_id for m in self.members.values() if m.awaiting_join is not None)
        elected = next(joined, None)
        if elected is None:
            return False
        self.leader_id = elected
        return True

    # Protocols

    def supports(self, protocol_type: str, protocols: Protocols) -> bool:
        """True if a member with these could be in the group: one protocol must be known to all members."""
        if not protocol_type or not protocols:
            return False
        if self.state is GroupState.EMPTY or not self.members:
            return True
        names = {name for name, _ in protocols}
        return self.protocol_type == protocol_type and not names.isdisjoint(self.candidate_protocols())

    def candidate_protocols(self) -> set[str]:
        """The protocols that every member supports."""
        return {name for name, count in self.supporters.items() if count == len(self.members)}

    def set_protocols(self, member: Member, protocols: Protocols) -> None:
        self._count_protocols(member.protocols, -1)
        member.protocols = protocols
        self._count_protocols(protocols, 1)

    def _count_protocols(self, protocols: Protocols, change: int) -> None:
        for name in {name for name, _ in protocols}:
            self.supporters[name] += change
            if not self.supporters[name]:
                del self.supporters[name]

    def select_protocol(self) -> str:
        """The candidate with the most votes; between equals the one that was voted for first."""
        candidates = self.candidate_protocols()
        invariant(candidates, "{}: members share no protocol", self.group_id)
        votes = Counter(member.vote(candidates) for member in self.members.values())
        return votes.most_common(1)[0][0]

    def refresh_topics(self) -> None:
        """Called after the members or the protocol of the generation have changed."""
        self.topics = self._subscribed_topics()

    def _subscribed_topics(self) -> frozenset[str] | None:
        if not self.uses_consumer_protocol:
            return None
        topics: set[str] = set()
        for member in self.members.values():
            subscription = subscribed_topics(member.metadata(self.protocol_name))
            if subscription is None:
                return None
            topics |= subscription
        return frozenset(topics)

    def is_subscribed_to(self, topic: str) -> bool:
        """In doubt, True: offsets in use must not be dropped."""
        if self.topics is not None:
            return topic in self.topics
        return self.uses_consumer_protocol and bool(self.members)

    # Restoring from the log

    def snapshot(self) -> GroupSnapshot:
        return GroupSnapshot(
            protocol_type=self.protocol_type or "",
            generation=self.generation,
            protocol_name=self.protocol_name,
            leader_id=self.leader_id,
            state_timestamp_ms=self.state_timestamp_ms,
            members=tuple(self._snapshot_members(self.members.values())),
        )

    def _snapshot_members(self, members: Iterable[Member]) -> Iterable[MemberSnapshot]:
        for member in members:
            yield MemberSnapshot(
                member_id=member.member_id,
                instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                rebalance_timeout_ms=member.rebalance_timeout_ms,
                session_timeout_ms=member.session_timeout_ms,
                subscription=member.metadata(self.protocol_name),
                assignment=member.assignment,
            )

    def restore(self, snapshot: GroupSnapshot) -> None:
        """Takes the state of a group record; the offsets stay. Raises MalformedRecord."""
        _check_unique([member.member_id for member in snapshot.members])
        _check_unique([m.instance_id for m in snapshot.members if m.instance_id is not None])
        self.protocol_type = snapshot.protocol_type or None
        self.protocol_name = snapshot.protocol_name
        self.generation = snapshot.generation
        self.state = GroupState.STABLE if snapshot.members else GroupState.EMPTY
        self.state_timestamp_ms = snapshot.state_timestamp_ms
        self.members, self.static_members, self.leader_id = {}, {}, None
        self.supporters.clear()
        for member in snapshot.members:
            self.add(_restore_member(member, snapshot.protocol_name), snapshot.protocol_type)
        self.leader_id = snapshot.leader_id if snapshot.leader_id in self.members else self.leader_id
        self.is_written = True
        self.refresh_topics()


def _check_unique(ids: list[str]) -> None:
    if len(set(ids)) != len(ids):
        raise MalformedRecord("two members share an id")


def _restore_member(snapshot: MemberSnapshot, protocol_name: str | None) -> Member:
    return Member(
        member_id=snapshot.member_id,
        instance_id=snapshot.instance_id,
        client_id=snapshot.client_id,
        client_host=snapshot.client_host,
        session_timeout_ms=snapshot.session_timeout_ms,
        rebalance_timeout_ms=snapshot.rebalance_timeout_ms or snapshot.session_timeout_ms,
        protocols=((protocol_name or "", snapshot.subscription),),
        assignment=snapshot.assignment,
    )
