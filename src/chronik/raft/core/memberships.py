"""The membership in force: the last one in the log, committed or not (section 6, thesis 4.1)."""

from collections.abc import Sequence

from chronik.raft.core.entries import Entries
from chronik.raft.core.types import Membership, RaftIndex, ReplicaId
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import invariant


class Memberships:
    """The memberships that may still be the one in force, by index."""

    def __init__(self, known: Sequence[tuple[RaftIndex, Membership]]) -> None:
        invariant(known, "a log without a membership")
        # Invariant: rising in index, not empty. The first is never truncated.
        self._known = list(known)

    @property
    def current(self) -> Membership:
        return self._known[-1][1]

    @property
    def current_index(self) -> RaftIndex:
        return self._known[-1][0]

    def committed(self, committed: RaftIndex) -> Membership:
        """The last one at or before `committed`."""
        return next((m for index, m in reversed(self._known) if index <= committed), self._known[0][1])

    def certainly_committed(self, committed: RaftIndex) -> Membership:
        """The last membership that is certainly committed. Any before the one in force is, even if this node
        has not received the commit: a leader changes members only when the change before is committed.
        """
        is_current = len(self._known) == 1 or self.current_index <= committed
        return self._known[-1 if is_current else -2][1]

    def may_campaign(self, node: NodeId, committed: RaftIndex) -> bool:
        """True if `node` votes in the one in force, or did before it and it is not committed: until then the
        group may need a leader with this log to commit it (thesis 4.2.2).
        """
        return node in self.current.voters or node in self.certainly_committed(committed).voters

    def is_alone(self, own: ReplicaId, committed: RaftIndex) -> bool:
        """True if `own` is the only member, and no other membership can come to be in force instead.

        A member of its node under another name is another replica, which others may have joined and outlived:
        a founder that was alone, moved away and came back is not alone.
        """
        only, current, certain = {own.node}, self.current, self.certainly_committed(committed)
        if current.members != only or certain.members != only:
            return False
        return current.means(own) and certain.means(own)

    def append(self, entries: Entries, first: RaftIndex) -> None:
        """Puts the memberships of `entries` from `first` on into force."""
        for marker in entries.markers:
            if marker.index >= first and marker.membership is not None:
                self._known.append((marker.index, marker.membership))

    def truncate(self, to: RaftIndex) -> None:
        """Back to the one that was in force at `to`."""
        while len(self._known) > 1 and self._known[-1][0] > to:
            self._known.pop()

    def restart(self, index: RaftIndex, membership: Membership) -> None:
        self._known = [(index, membership)]

    def on_commit(self, committed: RaftIndex) -> None:
        """Forgets the memberships that a committed one replaced."""
        while len(self._known) > 1 and self._known[1][0] <= committed:
            del self._known[0]


def majority_index(matches: Sequence[RaftIndex]) -> RaftIndex:
    """The highest index that a majority of `matches`, one per voter, has reached."""
    ranked = sorted(matches, reverse=True)
    return ranked[len(ranked) // 2]
