"""What a group has told its partition, and has to tell it: each thing once, in an order that makes sense.

Nothing here decides anything. It also counts what is to be seen of leaders, and times commits, because both
happen when the partition is told.
"""

from typing import Protocol

from chronik.raft.group import GroupListener
from chronik.raft.latency import Latency
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset


class NotifyingGroup(Protocol):
    """The group: what is so now."""

    @property
    def is_leader(self) -> bool: ...

    @property
    def leader_epoch(self) -> LeaderEpoch: ...

    @property
    def first_epoch(self) -> LeaderEpoch:
        """Which its designated leader leads without an election."""
        ...

    @property
    def known_leader(self) -> NodeId | None: ...

    @property
    def is_own_term_committed(self) -> bool: ...

    @property
    def committed_offset(self) -> Offset:
        """Exclusive bound of the committed records."""
        ...

    @property
    def is_alone(self) -> bool:
        """True if there is no other replica: then its leadership is no election."""
        ...

    def on_leader_changed(self) -> None:
        """Before the partition is told."""
        ...


class ListenerNotifier:
    """Made with its group, which calls `tell` at the end of each turn in which something may have changed."""

    def __init__(self, group: NotifyingGroup, start_offset: Offset, commits: Latency) -> None:
        self._group = group
        self._commits = commits
        self.listener: GroupListener | None = None
        # As the group's proposers may see it, and as it was last told.
        self.high_watermark = start_offset
        self._told_high_watermark = start_offset
        # What was last told.
        self._leader: tuple[bool, LeaderEpoch, NodeId | None] = (False, LeaderEpoch(-1), None)
        self._is_own_term_notified = False
        # The least end of the log since the last telling, if it was cut.
        self._truncated_to: Offset | None = None
        # How often this replica became leader by an election, saw somebody else become it, and gave its
        # leadership to whom it was asked to.
        self.elections = 0
        self.leader_changes = 0
        self.handed_over = 0
        self._last_leader: NodeId | None = None
        # To whom leadership was last asked to go; None once somebody leads after that.
        self.transfer_target: NodeId | None = None
        # One append at a time is timed: where it ends, and when it was; None while there is none.
        self._timed_end: Offset | None = None
        self._timed_from = 0.0

    def on_proposed(self, end_offset: Offset) -> None:
        if self._timed_end is None:
            self._timed_end, self._timed_from = end_offset, self._commits.now()

    def on_truncated(self, end_offset: Offset) -> None:
        known = self._truncated_to
        self._truncated_to = end_offset if known is None else min(known, end_offset)

    def tell(self) -> None:
        listener, group = self.listener, self._group
        if listener is None:
            return
        if self._truncated_to is not None:
            end_offset, self._truncated_to = self._truncated_to, None
            listener.on_truncated(end_offset)
        self._notify_leader(listener)
        high_watermark = group.committed_offset
        if high_watermark > self._told_high_watermark:
            self.notify_commit(high_watermark)
        if not self._is_own_term_notified and group.is_own_term_committed:
            self._is_own_term_notified = True
            listener.on_own_term_committed()

    def notify_commit(self, high_watermark: Offset) -> None:
        """One that is higher than the last; by itself where nothing else can have changed."""
        self.high_watermark = self._told_high_watermark = high_watermark
        if self._timed_end is not None and high_watermark >= self._timed_end:
            self._timed_end = None
            self._commits.since(self._timed_from)
        if self.listener is not None:
            self.listener.on_commit(high_watermark)

    def notify_failure(self, error: OSError) -> None:
        """The last thing it is told. Whatever else the group knew, it may be in no state to say."""
        listener, self.listener = self.listener, None
        if listener is not None:
            try:
                self._notify_leader(listener)
            finally:
                listener.on_failure(error)

    def _notify_leader(self, listener: GroupListener) -> None:
        group = self._group
        leader = (group.is_leader, group.leader_epoch, group.known_leader)
        if leader != self._leader:
            self._leader = leader
            self._is_own_term_notified = False
            self._count_leader()
            group.on_leader_changed()
            listener.on_leadership()

    def _count_leader(self) -> None:
        """The leader, or the term, is another one than was told."""
        group = self._group
        # What another leader commits, or this one in another term, says nothing about this append.
        self._timed_end = None
        leader = group.known_leader
        if group.is_leader and group.leader_epoch > group.first_epoch and not group.is_alone:
            self.elections += 1
        if leader is None:
            return
        if self.transfer_target == leader:
            self.handed_over += 1
        self.transfer_target = None
        if self._last_leader not in (None, leader):
            self.leader_changes += 1
        self._last_leader = leader
