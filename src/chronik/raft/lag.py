"""Which replicas are in sync, as their leader sees it (Kafka's replica.lag.time.max.ms)."""

from collections.abc import Mapping, Set

from chronik.raft.core.progress import FollowerState
from chronik.raft.core.types import RaftIndex
from chronik.vocab.ids import NodeId


class _Follower:
    __slots__ = ("caught_up_ms", "target")

    def __init__(self, target: RaftIndex, now_ms: int) -> None:
        # Invariant: when it reaches `target`, it had at that time everything there was at `caught_up_ms`.
        self.target = target
        self.caught_up_ms = now_ms


# Between two looks at a group that is not quiet, at most. A longer time was quiet: everybody had everything.
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
        """Judge anew; whether `lagging` changed. Those without a vote are not in sync, whatever they have."""
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
