"""A random run of a group: every fault drawn from one seed, invariants checked after each event."""

from collections.abc import Callable
from functools import partial
from random import Random

from chronik.raft.core.messages import Message
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.roles import Role
from chronik.raft.core.types import Membership, Refused
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.group import Group, Shell

# Small limits, so that a short run meets them.
OPTIONS = RaftOptions(
    election_ticks=4,
    heartbeat_ticks=1,
    append_bytes_max=500,
    inflight_bytes_max=2000,
    inflight_messages_max=4,
    peer_lost_turn_ticks=1,
)

# What is more likely than this is ordinary life.
FAULT_WEIGHT_MAX = 3


class Schedule:
    """Draws what happens next."""

    def __init__(self, group: Group, seed: int) -> None:
        self.group = group
        self.random = Random(seed)
        self.proposed = 0
        self.counts: dict[str, int] = {}
        self._actions = self.actions()

    def actions(self) -> list[tuple[int, Callable[[], None]]]:
        """What may happen, with weights."""
        return [
            (100, self.deliver),
            (12, self.tick),
            (40, self.sync),
            (5, self.propose),
            (2, self.lose),
            (2, self.double),
            (1, self.crash),
            (2, self.restart),
            (1, self.blackout),
            (2, self.partition),
            (1, self.heal),
            (1, self.lose_peer),
            (1, self.find_peer),
            (1, self.transfer),
            (1, self.change),
            (1, self.drop_beginning),
            (1, self.fail_append),
            (1, self.chill),
        ]

    def run(self, events: int) -> None:
        """Each course favours other faults, so that some are met in heaps and some not at all; and some
        courses have so few that much is done between them.
        """
        restore = self.random.choice((1, 0.2, 0.05, 0.02))
        weights = [
            weight * (restore * self.random.choice((0.2, 1, 1, 4)) if weight < FAULT_WEIGHT_MAX else 1)
            for weight, _ in self._actions
        ]
        for _ in range(events):
            action = self.random.choices(self._actions, weights)[0][1]
            action()
            self.counts[action.__name__] = self.counts.get(action.__name__, 0) + 1
        self.check()

    def check(self) -> None:
        logs = [shell.log for shell in self.group.shells.values()]
        self.group.invariants.check_matching(logs)

    def recover(self) -> None:
        """All faults end; the group must elect, commit and agree."""
        self.end_faults()
        # Time to elect someone, and to send one that was away for long a batch in each round.
        longest = max(shell.log.last_index for shell in self.group.shells.values())
        for _ in range(40 * OPTIONS.election_ticks + longest):
            self.go_on()
            if self.is_agreed():
                return
        raise AssertionError(f"no agreement: {[s.core.leadership for s in self.group.shells.values()]}")

    def end_faults(self) -> None:
        self.group.heal()
        for node, shell in self.group.shells.items():
            shell.log.is_cold = False
            if not shell.is_up:
                self.group.restart(node)
        for node in self.group.shells:
            for peer in self.group.shells.keys() - {node}:
                self.group.find_peer(node, peer)

    def go_on(self) -> None:
        self.group.tick()
        self.group.deliver()
        self.group.sync()

    def is_agreed(self) -> bool:
        leaders = self.group.leaders()
        if not leaders:
            return False
        core = self.group.leader().core
        if core.committed < core.last_index or core.followers.keys() | {self.group.leader().id} < (
            core.membership.members
        ):
            return False
        return all(self.group.core(n).committed == core.committed for n in core.membership.members)

    # Events.

    def deliver(self) -> None:
        """Any message, not only the oldest."""
        if self.group.wire:
            reach = len(self.group.wire) if self.random.random() < 0.2 else 3
            at = self.random.randrange(min(reach, len(self.group.wire)))
            message = self.group.wire.pop(at)
            if not self.group.is_cut(message):
                self.group.step(message, is_run=self.random.random() < 0.7)

    def tick(self) -> None:
        self.group.tick(self._up().id)

    def sync(self) -> None:
        self.group.sync(self._up().id)

    def propose(self) -> None:
        """Also several before one Ready."""
        for node in self.group.leaders():
            for _ in range(self.random.randint(1, 3)):
                self.proposed += 1
                count = self.random.randint(1, 4)
                try:
                    self.group.core(node).propose(
                        count=count, payload=f"{node}-{self.proposed}", size=100 * count
                    )
                except Refused:
                    return
            self.group.tick(node)

    def lose(self) -> None:
        if self.group.wire:
            self.group.wire.pop(self.random.randrange(len(self.group.wire)))

    def double(self) -> None:
        if self.group.wire:
            self.group.wire.append(self.random.choice(self.group.wire))

    def crash(self) -> None:
        self._up().crash(self.random)

    def blackout(self) -> None:
        """Everything loses power, and comes back."""
        self.group.wire.clear()
        for shell in self.group.shells.values():
            if shell.is_up:
                shell.crash(self.random)
            shell.restart()

    def restart(self) -> None:
        down = [shell for shell in self.group.shells.values() if not shell.is_up]
        if down:
            self.random.choice(down).restart()

    def partition(self) -> None:
        ids = list(self.group.shells)
        cut = set(self.random.sample(ids, self.random.randint(1, len(ids) - 1)))
        one_way = self.random.random() < 0.3

        def is_cut(message: Message) -> bool:
            inward = message.target in cut and message.source not in cut
            return inward or (not one_way and message.source in cut and message.target not in cut)

        self.group.is_cut = is_cut

    def heal(self) -> None:
        self.group.heal()

    def lose_peer(self) -> None:
        self.group.lose_peer(self._up().id, self.random.choice(list(self.group.shells)))

    def find_peer(self) -> None:
        """Of the same process or another one; here disks are durable, so it makes no difference."""
        is_restarted = self.random.random() < 0.5
        peer = self.random.choice(list(self.group.shells))
        self.group.find_peer(self._up().id, peer, is_restarted=is_restarted)

    def transfer(self) -> None:
        for node in self.group.leaders():
            self._try(partial(self.group.transfer, node, self._anyone()))

    def change(self) -> None:
        """Turn someone voter, learner or neither."""
        for node in self.group.leaders():
            self._try(partial(self.group.change, node, self._changed(self.group.core(node).membership)))

    def drop_beginning(self) -> None:
        """Retention, within what is committed."""
        shell = self._up()
        units = [u for u in shell.log.content.units if u.last <= shell.committed]
        if units:
            shell.log.drop_before(self.random.choice(units).first)

    def fail_append(self) -> None:
        """The disk is full: a leader's proposal is not written."""
        for node in self.group.leaders():
            core = self.group.core(node)
            try:
                core.propose(count=2, payload="unwritten", size=200)
            except Refused:
                return
            core.ready()
            core.on_append_failed()
            self.group.tick(node)
            assert core.role is not Role.LEADER

    def chill(self) -> None:
        """What a follower needs is, or is not, in memory."""
        self._up().log.is_cold = self.random.random() < 0.5

    def _changed(self, current: Membership) -> Membership:
        one = frozenset({self._anyone()})
        return self.random.choice(
            [
                Membership(voters=current.voters | one, learners=current.learners - one),
                Membership(voters=current.voters - one, learners=current.learners | one),
                Membership(voters=current.voters - one, learners=current.learners - one),
            ]
        )

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Refused as refused:
            name = refused.reason.name
            self.counts[name] = self.counts.get(name, 0) + 1

    def _up(self) -> Shell:
        up = [shell for shell in self.group.shells.values() if shell.is_up]
        if not up:
            self.restart()
            return self._up()
        return self.random.choice(up)

    def _anyone(self) -> NodeId:
        return self.random.choice(list(self.group.shells))
