"""Notifies the partition of state changes (truncation, leadership, commit, failure), each exactly once and in
this order.

Makes no decisions. Also counts leader changes and times commits, because both happen when the partition is
notified.
"""

from typing import Protocol

from chronik.raft.group import GroupListener
from chronik.raft.latency import Latency
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset


class NotifyingGroup(Protocol):
    """The group's present state."""

    @property
    def is_leader(self) -> bool: ...

    @property
    def leader_epoch(self) -> LeaderEpoch: ...

    @property
    def first_epoch(self) -> LeaderEpoch:
        """The epoch that its designated leader leads without an election."""
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
        """Called before the partition is notified."""
        ...


class ListenerNotifier:
    """Created with its group, which calls `tell` at the end of each turn in which something may have
    changed.
    """

    __slots__ = (
        "_commits",
        "_group",
        "_is_own_term_notified",
        "_last_leader",
        "_leader",
        "_timed_end",
        "_timed_from",
        "_told_high_watermark",
        "_truncated_to",
        "elections",
        "handed_over",
        "high_watermark",
        "leader_changes",
        "listener",
        "transfer_target",
    )

    def __init__(self, group: NotifyingGroup, start_offset: Offset, commits: Latency) -> None:
        self._group = group
        self._commits = commits
        self.listener: GroupListener | None = None
        # As notified last, and as the group's proposers may see it.
        self.high_watermark = start_offset
        self._told_high_watermark = start_offset
        # As notified last.
        self._leader: tuple[bool, LeaderEpoch, NodeId | None] = (False, LeaderEpoch(-1), None)
        self._is_own_term_notified = False
        # The lowest end of the log since the last notification, if it was truncated.
        self._truncated_to: Offset | None = None
        # How often this replica became leader by an election, saw another node become leader, and completed a
        # leadership transfer.
        self.elections = 0
        self.leader_changes = 0
        self.handed_over = 0
        self._last_leader: NodeId | None = None
        # Target of the last leadership transfer; None once another leader is known.
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
        """Notifies a commit beyond the last; called alone where nothing else can have changed."""
        self.high_watermark = self._told_high_watermark = high_watermark
        if self._timed_end is not None and high_watermark >= self._timed_end:
            self._timed_end = None
            self._commits.since(self._timed_from)
        if self.listener is not None:
            self.listener.on_commit(high_watermark)

    def notify_failure(self, error: OSError) -> None:
        """The last notification. Pending ones are dropped: the group's state may not be consistent any
        more.
        """
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
        """The leader or the term differs from the last notified one."""
        group = self._group
        # A commit by another leader, or by this one in another term, says nothing about the latency of this
        # append.
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
