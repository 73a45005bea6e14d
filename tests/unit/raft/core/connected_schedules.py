"""Random runs of a group as it is deployed: connections break, disks are replaced, memory is lost.

Quiet nodes are not ticked, so that every way in which a group could rest without a leader is one to hang.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from chronik.raft.core.types import Membership, founding_replicas
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.connections import ConnectedGroup
from tests.unit.raft.core.group import Shell
from tests.unit.raft.core.schedules import OPTIONS, Schedule

CONNECTED = replace(OPTIONS, is_quiescence_used=True)


class ConnectedSchedule(Schedule):
    """Disks keep what was synced; now and then one is replaced."""

    group: ConnectedGroup

    def __init__(self, group: ConnectedGroup, first: Membership, seed: int) -> None:
        super().__init__(group, seed)
        self.group = group
        self._first = first
        # A voter was given another directory without having been a learner in between: then a crash can make
        # it forget that this is committed, and it does not vote before it is told again.
        self._is_renamed = False

    def actions(self) -> list[tuple[int, Callable[[], None]]]:
        return [
            (100, self.deliver),
            (12, self.tick),
            (40, self.sync),
            (5, self.propose),
            (1, self.crash),
            (2, self.restart),
            (1, self.blackout),
            (1, self.break_pair),
            (1, self.break_many),
            (4, self.tell_lost),
            (6, self.connect),
            (1, self.transfer),
            (1, self.change),
            (2, self.reconcile),
            (1, self.drop_beginning),
            (1, self.fail_append),
            (1, self.resign),
            (1, self.chill),
            (1, self.replace_disk),
        ]

    def end_faults(self) -> None:
        for node, shell in self.group.shells.items():
            shell.log.is_cold = False
            if not shell.is_up:
                self.group.bring_up(node)
        self.group.connect_all()

    def go_on(self) -> None:
        self.group.connect_all()
        for node in self.group.shells:
            self.group.tick_if_needed(node)
        for link in list(self.group.queues):
            while self.group.queues.get(link):
                self.group.deliver_from(link)
        self.group.sync()
        self.reconcile()

    def is_agreed(self) -> bool:
        """And everybody votes, and rests."""
        if not super().is_agreed():
            return False
        core = self.group.leader().core
        members = [self.group[n] for n in core.membership.members]
        named = core.membership.directories
        return all(named[s.id] == s.directory and s.core.may_vote and s.core.is_quiesced for s in members)

    # Events.

    def deliver(self) -> None:
        links = [link for link, queue in self.group.queues.items() if queue]
        if links:
            self.group.deliver_from(self.random.choice(links), is_run=self.random.random() < 0.7)

    def tick(self) -> None:
        self.group.tick_if_needed(self._up().id)

    def crash(self) -> None:
        self._crash(self._up())

    def restart(self) -> None:
        down = [node for node, shell in self.group.shells.items() if not shell.is_up]
        if down:
            kept = self.random.random() < 0.5
            self.group.bring_up(self.random.choice(down), is_checkpoint_kept=kept)

    def blackout(self) -> None:
        for node, shell in self.group.shells.items():
            if shell.is_up:
                self._crash(shell)
            self.group.bring_up(node)

    def break_pair(self) -> None:
        self.group.break_pair(self.random.choice(self.group.pairs))

    def break_many(self) -> None:
        for pair in self.group.pairs:
            if self.random.random() < 0.6:
                self.group.break_pair(pair)

    def tell_lost(self) -> None:
        untold = [(pair, n) for pair in self.group.pairs for n in sorted(self.group.untold.get(pair, ()))]
        if untold:
            self.group.tell_lost(*self.random.choice(untold))

    def connect(self) -> None:
        apart = [pair for pair in self.group.pairs if self.group.may_connect(pair)]
        if apart:
            self.group.connect(self.random.choice(apart))

    def resign(self) -> None:
        """A replica that leads is closed, and opened again without its process having ended."""
        for node in self.group.leaders():
            self.group.core(node).resign()
            self.group[node].run()
            self.group.sync(node)
            self.group[node].restart()
            for peer in self.group.shells.keys() - {node}:
                if not self.group.is_connected(node, peer):
                    self.group.lose_peer(node, peer)

    def replace_disk(self) -> None:
        """Of a node whose loss leaves a majority that remembers, in every membership that may count."""
        shell = self._up()
        is_safe = self._is_remembered(shell) and all(len(m.voters) >= 3 for m in self._known())
        if is_safe and not self._is_renamed:
            self._crash(shell)
            shell.wipe(self._first)
            self.group.bring_up(shell.id)

    def change(self) -> None:
        """Not while a replaced disk may make a majority of what is left impossible."""
        if self._is_remembered():
            super().change()

    def reconcile(self) -> None:
        """What leaders do about replaced disks: make the voter a learner, and a voter again in time."""
        for node in self.group.leaders():
            to = self._reconciled(self.group.core(node).membership)
            if to is not None:
                self._try(partial(self.group.change, node, to))

    def _known(self) -> list[Membership]:
        return [m for shell in self.group.shells.values() for _, m in shell.log.memberships()]

    def _is_remembered(self, but: Shell | None = None) -> bool:
        """True if all members, with the exception of one, remember what they promised."""
        members = {node for m in self._known() for node in m.members}
        return all(self.group[node].core.may_vote for node in members if but is None or node != but.id)

    def _reconciled(self, current: Membership) -> Membership | None:
        named = current.directories
        for node in sorted(current.members):
            directory = self.group[node].directory
            if named[node] != directory:
                return self._with(current, node, is_voter=False)
            if node in current.learners and self.random.random() < 0.3:
                return self._with(current, node, is_voter=True)
        return None

    def _changed(self, current: Membership) -> Membership:
        node = self._anyone()
        if node in current.members and self.random.random() < 0.3:
            one = frozenset({node})
            return Membership(
                voters=current.voters - one,
                learners=current.learners - one,
                replicas=frozenset(replica for replica in current.replicas if replica.node != node),
            )
        return self._with(current, node, is_voter=self.random.random() < 0.6)

    def _with(self, current: Membership, node: NodeId, *, is_voter: bool) -> Membership:
        one = frozenset({node})
        directory = self.group[node].directory
        named = current.directories
        if is_voter and node in current.voters and named[node] != directory:
            self._is_renamed = True
        return Membership(
            voters=current.voters | one if is_voter else current.voters - one,
            learners=current.learners - one if is_voter else current.learners | one,
            replicas=founding_replicas({**named, node: directory}),
        )

    def _crash(self, shell: Shell) -> None:
        self.group.take_down(shell.id)
        shell.crash(self.random)


class CachedSchedule(ConnectedSchedule):
    """Nodes acknowledge before they sync. What a majority has in memory is kept while a majority does."""

    def __init__(self, group: ConnectedGroup, first: Membership, seed: int) -> None:
        super().__init__(group, first, seed)
        group.invariants.is_complete = False

    def actions(self) -> list[tuple[int, Callable[[], None]]]:
        without = {"replace_disk", "blackout"}
        kept = [(w, action) for w, action in super().actions() if action.__name__ not in without]
        return [*kept, (30, self.cache), (2, self.lose_memory)]

    def cache(self) -> None:
        shell = self._up()
        shell.cache()
        self.group.collect(shell.id)

    def crash(self) -> None:
        """Of the process alone."""
        shell = self._up()
        shell.log.sync()
        self._crash(shell)

    def lose_memory(self) -> None:
        """Power fails at a node without which the others still are a majority that has what is committed."""
        shell = self._up()
        if self._is_missed(shell):
            return
        self._crash(shell)

    def _is_missed(self, shell: Shell) -> bool:
        logs = [s.log for s in self.group.shells.values() if s is not shell]
        for unit in self.group.invariants.committed.values():
            has = {
                s.id
                for s in self.group.shells.values()
                if (s is not shell or unit in s.log.synced.units)
                and (unit in s.log.content.units or s.log.first_index > unit.last)
            }
            memberships = [m for log in (*logs, shell.log) for _, m in log.memberships()]
            if not all(m.is_majority(frozenset(has)) for m in memberships):
                return True
        return False
