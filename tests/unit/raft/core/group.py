"""A group of cores with a network and disks that do what a test says; invariants are checked."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

from chronik.raft.core.core import RaftCore
from chronik.raft.core.entries import Entries
from chronik.raft.core.messages import Message
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.ready import Ready
from chronik.raft.core.roles import Role
from chronik.raft.core.types import (
    BEFORE_FIRST,
    FIRST_TERM,
    HardState,
    Membership,
    ReplicaId,
    Term,
    founding_replicas,
)
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.invariants import Invariants
from tests.unit.raft.core.model_log import Content, ModelLog, Unit


def nodes(*ids: int) -> frozenset[NodeId]:
    return frozenset(NodeId(i) for i in ids)


def membership(*voters: int, learners: Iterable[int] = ()) -> Membership:
    return Membership(voters=nodes(*voters), learners=nodes(*learners))


def directory_of(node: int, number: int) -> str:
    """The name of the `number`th disk of a node."""
    return f"{node}-{number}"


def with_directories(plain: Membership) -> Membership:
    """All of them on their first disks."""
    return replace(plain, replicas=founding_replicas({n: directory_of(n, 0) for n in plain.members}))


class Shell:
    """One node: carries out `Ready` by the rules in `RaftCore`."""

    def __init__(
        self,
        node: int,
        first: Membership,
        options: RaftOptions,
        random: Random,
        invariants: Invariants,
        journal: list[tuple[NodeId, Ready]],
        first_term: Term,
    ) -> None:
        self.id = NodeId(node)
        self.first_term = first_term
        self.options = options
        self.random = random
        self.invariants = invariants
        self.log = ModelLog(first)
        self.hard_state = HardState()
        self.durable_hard_state = HardState()
        # What was last said to be committed, and as much of it as was durable.
        self.committed = BEFORE_FIRST
        self.checkpoint = BEFORE_FIRST
        self.held: list[Message] = []
        self.outbox: list[Message] = []
        self.readies: list[Ready] = []
        self.journal = journal
        self.is_up = True
        # The name of its disk; memberships with directories are of `directory_of`.
        self.directory = directory_of(node, 0)
        self.revision = 0
        self.core = self._open()

    def _open(self) -> RaftCore:
        core = RaftCore(
            node=self.id,
            options=self.options,
            randomness=self.random,
            log=self.log,
            hard_state=self.durable_hard_state,
            memberships=self.log.memberships(),
            committed=self.committed,
            may_vote=False,
            first_term=self.first_term,
        )
        core.may_vote = core.is_replica_committed(self.replica_id)
        return core

    @property
    def replica_id(self) -> ReplicaId:
        return ReplicaId(self.id, self.directory, self.revision)

    def run(self) -> None:
        """Take `ready` and do it, but for the sync."""
        ready = self.core.ready()
        self.readies.append(ready)
        self.journal.append((self.id, ready))
        self.log.write(ready)
        self.outbox.extend(ready.messages)
        if ready.hard_state is not None:
            self.invariants.on_hard_state(self.id, self.hard_state, ready.hard_state)
            self.hard_state = ready.hard_state
        self.held.extend(ready.messages_after_persistence)
        if ready.committed is not None:
            self.invariants.on_commit(self.id, self.log, self.committed, ready.committed)
            self.committed = ready.committed
        if ready.membership is not None or ready.committed is not None:
            self.core.may_vote = self.core.is_replica_committed(self.replica_id)
        if ready.leadership is not None and ready.leadership.role is Role.LEADER:
            self.invariants.on_leader(self.id, self.log, ready.leadership.term)

    def sync(self) -> None:
        """All that was written becomes durable, and what waited for it leaves."""
        self.log.sync()
        self.durable_hard_state = self.hard_state
        self.checkpoint = self.committed
        self._release()

    def cache(self) -> None:
        """What waited leaves, though only a crash of the process would not lose what was written. Not if
        a term, vote, membership or restart was.
        """
        if self.hard_state == self.durable_hard_state and self.log.may_be_cached:
            self._release()

    def _release(self) -> None:
        held, self.held = self.held, []
        last = self.log.last_index
        self.core.on_persisted(last, self.log.term_at(last))
        self.run()
        for message in held:
            if message.target == self.id:
                self.core.step(message)
                self.run()
            else:
                self.outbox.append(message)

    def crash(self, random: Random | None = None) -> None:
        self.is_up = False
        self.log.crash(random)
        self.hard_state = self.durable_hard_state
        self.held.clear()
        self.outbox.clear()

    def restart(self, *, is_checkpoint_kept: bool = False) -> None:
        self.is_up = True
        self.committed = self.checkpoint if is_checkpoint_kept else BEFORE_FIRST
        self.core = self._open()

    def wipe(self, first: Membership) -> None:
        """While it is down: a new disk, with the membership with which the group was made."""
        self.directory = directory_of(self.id, int(self.directory.partition("-")[2]) + 1)
        self._forget(first)

    def make_again(self, first: Membership, revision: int) -> None:
        """While it is down: it was removed, and with it all it had; and is made again where it was, with the
        membership with which the group was made.
        """
        self.revision = revision
        self._forget(first)

    def _forget(self, first: Membership) -> None:
        self.log = ModelLog(first)
        self.hard_state = self.durable_hard_state = HardState()
        self.committed = self.checkpoint = BEFORE_FIRST


class Group:
    """Messages are in `wire` until delivered."""

    def __init__(
        self,
        first: Membership,
        *,
        seed: int = 1,
        options: RaftOptions | None = None,
        extra: Iterable[int] = (),
        first_term: Term = FIRST_TERM,
    ) -> None:
        self.first = first
        self.random = Random(seed)
        self.invariants = Invariants()
        # Every Ready, in the order in which they were taken.
        self.journal: list[tuple[NodeId, Ready]] = []
        self.shells = {
            node: Shell(
                node, first, options or RaftOptions(), self.random, self.invariants, self.journal, first_term
            )
            for node in sorted(first.members | nodes(*extra))
        }
        self.wire: list[Message] = []
        # Messages it is true of are lost.
        self.is_cut: Callable[[Message], bool] = lambda message: False

    def __getitem__(self, node: int) -> Shell:
        return self.shells[NodeId(node)]

    def core(self, node: int) -> RaftCore:
        return self[node].core

    def leaders(self) -> list[int]:
        return [n for n, s in self.shells.items() if s.is_up and s.core.role is Role.LEADER]

    def leader(self) -> Shell:
        """The one of the highest term."""
        return self[max(self.leaders(), key=lambda n: self.core(n).term)]

    def bootstrap(self, first_leader: int) -> None:
        for shell in self.shells.values():
            if shell.id in shell.core.membership.voters:
                shell.core.bootstrap(NodeId(first_leader))
                shell.run()

    # Inputs, each followed by its Ready.

    def tick(self, *only: int, times: int = 1) -> None:
        for _ in range(times):
            for node in only or sorted(self.shells):
                if self[node].is_up:
                    self.core(node).tick()
                    self.run(node)

    def step(self, message: Message, *, is_run: bool = True) -> None:
        """`is_run` false: other inputs come before the Ready is taken."""
        if self[message.target].is_up:
            self.core(message.target).step(message)
            if is_run:
                self.run(message.target)

    def propose(self, node: int, text: str, count: int = 1) -> Entries:
        entries = self.core(node).propose(count=count, payload=text, size=100 * count)
        self.run(node)
        return entries

    def change(self, node: int, to: Membership) -> Entries:
        entries = self.core(node).propose_membership(to)
        self.run(node)
        return entries

    def transfer(self, node: int, to: int) -> None:
        self.core(node).transfer_leadership(NodeId(to))
        self.run(node)

    def lose_peer(self, node: int, peer: int) -> None:
        self.core(node).on_peer_lost(NodeId(peer))
        self.run(node)

    def find_peer(self, node: int, peer: int, *, is_restarted: bool = False) -> None:
        self.core(node).on_peer_found(NodeId(peer), is_restarted=is_restarted)
        self.run(node)

    def sync(self, *only: int) -> None:
        for node in only or sorted(self.shells):
            if self[node].is_up:
                self[node].sync()
                self.collect(node)

    # Whole courses of events.

    def deliver(self) -> None:
        """What is on the wire now, in order."""
        messages, self.wire = self.wire, []
        for message in messages:
            if not self.is_cut(message):
                self.step(message)

    def wait_until_idle(self) -> None:
        """Deliver and sync until nothing more happens."""
        for _ in range(200):
            self.sync()
            if not self.wire:
                return
            self.deliver()
        raise AssertionError("the group does not come to rest")

    def campaign(self, node: int) -> None:
        """Have `node` try to be elected, while the others are loyal to nobody."""
        for other, shell in self.shells.items():
            leader = shell.core.leadership.leader
            if shell.is_up and leader is not None and other not in (node, leader):
                self.lose_peer(other, leader)
        self.elapse(node)
        self.wait_until_idle()

    def elapse(self, node: int) -> None:
        """Its election timeout passes, and it does something about it."""
        wire = len(self.wire)
        for _ in range(2 * self[node].options.election_ticks):
            self.tick(node)
            if len(self.wire) > wire or self[node].held:
                return

    def isolate(self, *cut: int) -> None:
        """Nothing passes between these and the others."""
        self.is_cut = lambda m: (m.source in cut) != (m.target in cut)

    def heal(self) -> None:
        self.is_cut = lambda message: False

    def restart(self, node: int) -> None:
        self[node].crash()
        self.wire = [m for m in self.wire if m.source != node]
        self[node].restart()
        self.invariants.on_restart(NodeId(node))

    def replace_disk(self, node: int) -> None:
        """It comes back with an empty one, knowing with which membership the group began."""
        self[node].crash()
        self.wire = [m for m in self.wire if m.source != node]
        self[node].wipe(self.first)
        self[node].restart()

    def load(self, node: int, term: int, *units: tuple[int, str]) -> None:
        """Before anything else: give `node` a log of (term, text) batches of one record, and a term."""
        shell = self[node]
        shell.log.content = Content(
            before=shell.log.content.before,
            membership=shell.log.content.membership,
            units=tuple(Unit(first=i, last=i, term=t, value=text) for i, (t, text) in enumerate(units)),
        )
        shell.log.sync()
        shell.durable_hard_state = shell.hard_state = replace(HardState(), term=Term(term))
        shell.restart()

    def texts(self, node: int, *, is_committed: bool = False) -> list[str]:
        """The batches in the log of `node`."""
        end = self.core(node).committed if is_committed else self[node].log.last_index
        units = self[node].log.content.units
        return [u.value for u in units if isinstance(u.value, str) and u.last <= end]

    def run(self, node: int) -> None:
        self[node].run()
        self.collect(node)

    def collect(self, node: int) -> None:
        self.wire.extend(self[node].outbox)
        self[node].outbox.clear()
