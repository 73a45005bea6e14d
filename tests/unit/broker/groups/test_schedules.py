"""Random schedules of clients, against what must hold at every moment whatever they do.

Clients misbehave as real ones do: they vanish, come back, retry, skip heartbeats, answer late and under old
ids.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chronik.broker.coordinator.shard import Now, Ticket
from chronik.broker.groups.commands import (
    Abandon,
    Answer,
    Command,
    Commit,
    DeleteGroup,
    Heartbeat,
    Join,
    JoinAnswer,
    Leave,
    LeavingMember,
    OffsetToCommit,
    Sync,
    SyncAnswer,
)
from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.group import Group
from chronik.broker.groups.shard import Shard
from chronik.broker.groups.state import GroupState
from chronik.broker.groups.turn import Outcome
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import TopicPartition

from .known_topics import KnownTopics
from .play import protocols, replayed

pytestmark = pytest.mark.long

CLIENTS = range(4)
PROTOCOLS = ("range", "range:t+u", "range,sticky", "sticky,range")

clients = st.sampled_from(CLIENTS)


@dataclass
class _Client:
    """Clients 0 and 1 are dynamic, 2 and 3 static."""

    number: int
    member_id: str = ""
    generation: int = -1
    leads: tuple[str, ...] = ()
    # Ids it had before; a zombie may still use them.
    former: list[str] = field(default_factory=list)

    @property
    def instance_id(self) -> str | None:
        return f"I{self.number}" if self.number >= 2 else None


class Schedules(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.config = GroupConfig()
        self.shard = Shard(self.config, KnownTopics())
        self.now_ms = 0
        self.log: list[tuple[bytes, bytes | None]] = []
        self.clients = {number: _Client(number) for number in CLIENTS}
        self.asked: dict[Ticket, tuple[_Client, Command[object]]] = {}
        self.tickets = 0
        self.ids = 0
        # By generation: what every member was told of it.
        self.protocol_of: dict[int, str | None] = {}
        self.assigned: dict[int, dict[str, bytes]] = {}
        self.generation = 0

    @initialize(delay_ms=st.sampled_from([0, 3000]), size=st.sampled_from([2, 100]))
    def start(self, delay_ms: int, size: int) -> None:
        self.config = GroupConfig(
            initial_rebalance_delay_ms=delay_ms,
            members_max=size,
            offsets_retention_ms=200_000,
            expiry_interval_ms=50_000,
        )
        self.shard = Shard(self.config, KnownTopics())
        self.shard.on_loaded(self._now())

    # What clients do.

    @rule(number=clients, supported=st.sampled_from(PROTOCOLS), version=st.sampled_from([3, 9]))
    def join(self, number: int, supported: str, version: int) -> None:
        client = self.clients[number]
        self.ids += 1
        self._ask(
            client,
            Join(
                "g",
                member_id=client.member_id,
                instance_id=client.instance_id,
                protocol_type="consumer",
                protocols=protocols(supported),
                session_timeout_ms=10_000,
                rebalance_timeout_ms=20_000,
                client_id=str(number),
                client_host="/127.0.0.1",
                new_member_id=f"m{self.ids}",
                requires_known_member_id=version >= 4,
                can_skip_assignment=version >= 9,
            ),
        )

    @rule(number=clients, is_complete=st.booleans())
    def sync(self, number: int, is_complete: bool) -> None:
        client = self.clients[number]
        members = client.leads if is_complete else client.leads[:1]
        self._ask(
            client,
            Sync(
                "g",
                member_id=client.member_id,
                instance_id=client.instance_id,
                generation=client.generation,
                assignments=tuple((m, f"{client.generation}:{m}".encode()) for m in members),
            ),
        )

    @rule(number=clients)
    def beat(self, number: int) -> None:
        client = self.clients[number]
        self._ask(
            client,
            Heartbeat(
                "g",
                member_id=client.member_id,
                instance_id=client.instance_id,
                generation=client.generation,
            ),
        )

    @rule(number=clients, partition=st.integers(0, 2), offset=st.integers(0, 99), as_member=st.booleans())
    def commit(self, number: int, partition: int, offset: int, as_member: bool) -> None:
        client = self.clients[number]
        offsets = (OffsetToCommit(partition=TopicPartition("t", partition), offset=offset),)
        if not as_member:
            self._ask(client, Commit("g", offsets=offsets))
            return
        self._ask(
            client,
            Commit(
                "g",
                member_id=client.member_id,
                instance_id=client.instance_id,
                generation=client.generation,
                offsets=offsets,
            ),
        )

    @rule(number=clients)
    def leave(self, number: int) -> None:
        client = self.clients[number]
        leaving = LeavingMember(member_id=client.member_id, instance_id=client.instance_id)
        self._ask(client, Leave("g", members=(leaving,)))
        self._forget(client)

    @rule(number=clients)
    def restart(self, number: int) -> None:
        self._forget(self.clients[number])

    @rule(number=clients, choice=st.integers(0, 9))
    def zombie(self, number: int, choice: int) -> None:
        client = self.clients[number]
        if client.former:
            member_id = client.former[choice % len(client.former)]
            ghost = _Client(number, member_id, client.generation)
            self._ask(
                ghost,
                Heartbeat(
                    "g", member_id=member_id, instance_id=client.instance_id, generation=self.generation
                ),
            )

    @rule(choice=st.integers(0, 9))
    def connection_closes(self, choice: int) -> None:
        waiting = list(self.asked)
        if waiting:
            ticket = waiting[choice % len(waiting)]
            client, _ = self.asked[ticket]
            self._ask(client, Abandon("g", abandoned=ticket))

    @rule(choice=st.integers(0, 9))
    def delete(self, choice: int) -> None:
        if choice == 0:
            self._ask(_Client(9), DeleteGroup("g"))

    @rule(numbers=st.sets(clients, min_size=1))
    def behave(self, numbers: set[int]) -> None:
        """Some clients do what they should, which is how groups get anywhere."""
        for _ in range(2):
            for number in sorted(numbers):
                if not self._is_waiting(number) and not self._is_in_generation(number):
                    self.join(number, "range,sticky", 9)
        for number in sorted(numbers):
            if not self._is_waiting(number) and self._is_in_generation(number):
                self.sync(number, is_complete=True)

    def _is_waiting(self, number: int) -> bool:
        return any(client is self.clients[number] for client, _ in self.asked.values())

    def _is_in_generation(self, number: int) -> bool:
        group = self.shard.groups.get("g")
        if group is None or group.state is GroupState.PREPARING_REBALANCE:
            return False
        client = self.clients[number]
        return client.member_id in group.members and client.generation == group.generation

    @rule(ms=st.sampled_from([1, 300, 500, 4_000, 9_999, 25_000, 100_000]))
    def time(self, ms: int) -> None:
        end_ms = self.now_ms + ms
        while (due_ms := self.shard.next_deadline_ms) is not None and due_ms <= end_ms:
            self.now_ms = max(due_ms, self.now_ms)
            self._take(self.shard.tick(self._now()))
        self.now_ms = end_ms

    @rule()
    def reload(self) -> None:
        """Another node takes over, or this one starts again. Everyone who waits is sent away."""
        self.shard = replayed(self.log, self.config, KnownTopics())
        self.asked.clear()
        group = self.shard.groups.get("g")
        self.generation = group.generation if group is not None else 0
        self._take(self.shard.on_loaded(self._now()))

    # What must hold.

    @invariant()
    def members_add_up(self) -> None:
        group = self.shard.groups.get("g")
        if group is None:
            return
        static = {m.instance_id: m.member_id for m in group.members.values() if m.instance_id is not None}
        assert group.static_members == static
        assert all(member_id == member.member_id for member_id, member in group.members.items())
        assert not group.pending_members & group.members.keys()
        assert group.pending_sync <= group.members.keys()
        assert group.leader_id in group.members if group.members else True
        assert group.members_awaiting_join <= self.config.members_max
        counts = {name for member in group.members.values() for name, _ in member.protocols}
        assert set(group.supporters) == counts
        if group.members:
            assert group.candidate_protocols()

    @invariant()
    def states_are_what_they_say(self) -> None:
        group = self.shard.groups.get("g")
        if group is None:
            return
        waiting_to_join = [m for m in group.members.values() if m.awaiting_join is not None]
        waiting_to_sync = [m for m in group.members.values() if m.awaiting_sync is not None]
        assert not (waiting_to_join and group.state is not GroupState.PREPARING_REBALANCE)
        assert not (waiting_to_sync and group.state is not GroupState.COMPLETING_REBALANCE)
        assert (group.state is GroupState.EMPTY) <= (not group.members)
        if group.state in (GroupState.STABLE, GroupState.COMPLETING_REBALANCE):
            assert group.members
            assert all(m.protocols and m.metadata(group.protocol_name) for m in group.members.values())

    @invariant()
    def waiting_requests_are_parked_once(self) -> None:
        parked = [
            ticket
            for group in self.shard.groups.values()
            for member in group.members.values()
            for ticket in (member.awaiting_join, member.awaiting_sync)
            if ticket is not None
        ]
        assert sorted(parked) == sorted(self.asked)

    @invariant()
    def whoever_can_be_lost_has_a_deadline(self) -> None:
        """Nobody stays forever without being heard of, and no rebalance is without an end."""
        group = self.shard.groups.get("g")
        if group is None:
            return
        due = self.shard._deadlines._due_ms
        names = {(key.timer.name, key.member_id) for key in due if key.group_id == "g"}
        for member_id in group.pending_members:
            assert ("SESSION", member_id) in names
        if group.state is GroupState.PREPARING_REBALANCE:
            assert ("JOIN", "") in names
        if group.pending_sync:
            assert ("SYNC", "") in names
        if group.state is GroupState.STABLE:
            assert all(("SESSION", member_id) in names for member_id in group.members)

    @invariant()
    def replay_gives_the_same_state(self) -> None:
        again = replayed(self.log, self.config, KnownTopics()).groups.get("g")
        group = self.shard.groups.get("g")
        offsets = dict(group.offsets) if group is not None else {}
        assert (dict(again.offsets) if again is not None else {}) == offsets
        if group is None or not group.is_written:
            assert again is None or not again.is_written
            return
        assert again is not None
        if group.state in (GroupState.STABLE, GroupState.EMPTY):
            assert _memory_of(again) == _memory_of(group)

    @invariant()
    def an_idle_group_is_forgotten(self) -> None:
        assert not any(group.is_vacant for group in self.shard.groups.values())

    # The other side of the stage.

    def _forget(self, client: _Client) -> None:
        if client.member_id:
            client.former.append(client.member_id)
        client.member_id, client.generation, client.leads = "", -1, ()

    def _ask(self, client: _Client, command: Command[object]) -> None:
        self.tickets += 1
        self.asked[Ticket(self.tickets)] = (client, command)
        self._take(self.shard.handle(command, Ticket(self.tickets), self._now()))

    def _take(self, outcome: Outcome) -> None:
        self.log += outcome.records
        for ticket, answer in outcome.answers:
            client, command = self.asked.pop(ticket)
            self._hear(client, command, answer)
        group = self.shard.groups.get("g")
        if group is None:
            self.generation = 0
        else:
            assert group.generation >= self.generation, "generations go up"
            self.generation = group.generation

    def _hear(self, client: _Client, command: Command[object], answer: Answer) -> None:
        if isinstance(answer, JoinAnswer):
            self._hear_join(client, command, answer)
        elif isinstance(answer, SyncAnswer) and answer.error is ErrorCode.NONE:
            assert isinstance(command, Sync)
            group = self.shard.groups["g"]
            assert group.state is GroupState.STABLE
            assert command.generation == group.generation
            # A leader names everyone or only the first; nobody ever gets another's, or another generation's.
            member = group.members[command.member_id]
            assert answer.assignment == member.assignment

    def _hear_join(self, client: _Client, command: Command[object], answer: JoinAnswer) -> None:
        assert isinstance(command, Join)
        if answer.error is ErrorCode.MEMBER_ID_REQUIRED:
            client.member_id = answer.member_id
        elif answer.error is ErrorCode.NONE:
            group = self.shard.groups["g"]
            assert answer.generation == group.generation
            assert answer.protocol_name in dict(command.protocols)
            assert answer.member_id in group.members
            if client.instance_id is not None:
                assert group.static_members[client.instance_id] == answer.member_id
            client.member_id, client.generation = answer.member_id, answer.generation
            client.leads = tuple(member.member_id for member in answer.members)
            assert set(client.leads) in (set(), set(group.members))
        elif answer.error in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID):
            self._forget(client)

    def _now(self) -> Now:
        return Now(1_000_000 + self.now_ms, self.now_ms)


def _memory_of(group: Group) -> object:
    """What a group must still know after a replay."""
    members = [
        (m.member_id, m.instance_id, m.metadata(group.protocol_name), m.assignment, m.session_timeout_ms)
        for m in group.members.values()
    ]
    told = (group.state, group.generation, group.protocol_type, group.protocol_name, group.leader_id)
    return told, members, group.state_timestamp_ms, group.topics


# Enough for a change in the machine to be noticed; run with more examples when working on it.
TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
