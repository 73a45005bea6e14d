"""The leader's view of its followers: for in-sync replicas, DescribeQuorum and metrics."""

from collections.abc import Mapping, Sequence, Set

from chronik.raft.core.core import RaftCore
from chronik.raft.core.progress import FollowerState
from chronik.raft.core.roles import Role
from chronik.raft.core.types import Membership, RaftIndex
from chronik.raft.directories import node_directory
from chronik.raft.group import Replica
from chronik.raft.group_setting import GroupSetting
from chronik.raft.replicated_log import ReplicatedLog
from chronik.vocab.ids import NodeId


class _Follower:
    __slots__ = ("caught_up_ms", "target")

    def __init__(self, target: RaftIndex, now_ms: int) -> None:
        # Invariant: a follower that reaches `target` then has everything that the log had at `caught_up_ms`.
        self.target = target
        self.caught_up_ms = now_ms


# Longest time between two checks of a group that is not quiesced. After a longer time the group was quiesced,
# and every follower had everything.
QUIET_MS = 2_000


class LagWatch:
    """Made when a leader's term begins: every follower counts as in sync then. Looked at every so often while
    the group is not quiet.
    """

    def __init__(self) -> None:
        self._followers: dict[NodeId, _Follower] = {}
        self._looked_ms = 0
        self.lagging: frozenset[NodeId] = frozenset()

    def look(
        self,
        followers: Mapping[NodeId, FollowerState],
        last_index: RaftIndex,
        now_ms: int,
        lag_ms: int,
        voteless: Set[NodeId] = frozenset(),
    ) -> bool:
        """Checks all followers again; True if `lagging` changed. Replicas without a vote are never in
        sync.
        """
        if now_ms - self._looked_ms > QUIET_MS:
            self._followers.clear()
        self._looked_ms = now_ms
        lagging = set(voteless)
        for node, state in followers.items():
            follower = self._followers.get(node)
            if follower is None:
                follower = self._followers[node] = _Follower(last_index, now_ms)
            if state.match >= follower.target:
                follower.target, follower.caught_up_ms = last_index, now_ms
            elif now_ms - follower.caught_up_ms > lag_ms:
                lagging.add(node)
        before, self.lagging = self.lagging, frozenset(lagging)
        return before != self.lagging

    def caught_up_ms(self, node: NodeId) -> int:
        follower = self._followers.get(node)
        return -1 if follower is None else follower.caught_up_ms


class FollowerStatus:
    """Created with its group. A read-only view of what the core knows."""

    def __init__(self, core: RaftCore, log: ReplicatedLog, setting: GroupSetting) -> None:
        self._core = core
        self._log = log
        self._setting = setting
        self._lag = LagWatch()
        # See `expect`.
        self._expected: frozenset[NodeId] = frozenset()

    def begin_term(self) -> None:
        """Another leader or term: every follower counts as in sync then, but for those who cannot be."""
        self._lag = LagWatch()
        if self._expected:
            self._lag.lagging = frozenset(self._voteless())

    def expect(self, replicas: frozenset[NodeId]) -> None:
        """Besides members these are replicas, or shall be: until they vote they are not in sync."""
        self._expected = replicas

    @property
    def laggards(self) -> frozenset[NodeId]:
        """The result of the last `look`."""
        return self._lag.lagging

    def look(self) -> bool:
        """Called periodically on a leader; True if the set of in-sync replicas changed."""
        now_ms, lag_ms = self._setting.clock.monotonic_ms(), self._setting.lag_ms()
        followers = self._core.followers
        return self._lag.look(followers, self._log.last_index, now_ms, lag_ms, self._voteless())

    def _voteless(self) -> set[NodeId]:
        """A vote counts when it is committed, its loss at once."""
        core = self._core
        memberships = {core.membership, core.committed_membership}
        others = {*core.followers, *self._expected} - {self._setting.node}
        return {node for node in others if not all(self._has_vote(node, one) for one in memberships)}

    def lagging(self) -> frozenset[NodeId]:
        """See `raft.group.Group.lagging`."""
        if self._core.role is not Role.LEADER:
            return frozenset()
        # Called for each produce, so followers are not checked one by one.
        own, is_up = self._setting.node, self._setting.host.is_up
        lost = {node for node in self._core.membership.members if node != own and not is_up(node)}
        return self._lag.lagging | lost if lost else self._lag.lagging

    def has_membership(self, node: NodeId) -> bool:
        """On a leader: True if `node` has the membership in force in its log, durably."""
        state = self._core.followers.get(node)
        return state is not None and state.match >= self._core.membership_index

    def replicas(self) -> Sequence[Replica]:
        """On a leader: see `raft.group.Group.replicas`."""
        now_ms, node = self._setting.clock.monotonic_ms(), self._setting.node
        is_voter = node in self._core.membership.voters
        own = Replica(node, is_voter, self._log.log.end_offset, now_ms, now_ms)
        return [own, *(self._replica(node, state, now_ms) for node, state in self._core.followers.items())]

    def _replica(self, node: NodeId, state: FollowerState, now_ms: int) -> Replica:
        is_known = state.match >= self._log.first_index - 1
        is_up = self._setting.host.is_up(node)
        is_complete = state.match == self._log.last_index and is_up
        return Replica(
            node=node,
            is_voter=node in self._core.membership.voters,
            end_offset=self._log.offset_after(state.match) if is_known else -1,
            caught_up_ms=now_ms if is_complete else self._lag.caught_up_ms(node),
            last_contact_ms=now_ms if is_up else -1,
        )

    def _has_vote(self, node: NodeId, membership: Membership) -> bool:
        """True if a majority may count on it: not on a learner, nor on an empty disk in a voter's place."""
        if node not in membership.voters:
            return False
        directory, named = self._setting.host.directory(node), membership.replica(node)
        return directory is None or named is None or node_directory(named.directory) == directory
