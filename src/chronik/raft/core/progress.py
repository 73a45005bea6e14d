"""A leader's view of one follower, and the flow control towards it."""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from chronik.raft.core.options import RaftOptions
from chronik.raft.core.types import BEFORE_FIRST, RaftIndex


class Mode(Enum):
    # Where the logs part is not known: one message at a time.
    PROBE = "probe"
    # It follows: messages go out before the one before them is answered.
    REPLICATE = "replicate"
    # RestartLog was sent, and is not answered.
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerState:
    """Snapshot of a follower's progress for DescribeQuorum, in-sync replicas and metrics."""

    match: RaftIndex
    next_index: RaftIndex
    mode: Mode
    is_active: bool
    # No connection to it: nothing is sent.
    is_lost: bool
    # It may vote, by its own messages.
    is_counted: bool = True


class Progress:
    """Made for each follower when a leader's term or the follower's membership begins; ends with either."""

    def __init__(self, next_index: RaftIndex, options: RaftOptions) -> None:
        self._options = options
        self.mode = Mode.PROBE
        # Invariant: match < next_index. The follower has everything up to match durably; in REPLICATE,
        # entries in (match, next_index) are in flight.
        self.match = BEFORE_FIRST
        self.next_index = next_index
        # Whether it may vote; if not, its log counts for no commit.
        self.is_counted = True
        # In PROBE and RESTART: the one message was sent, and is not answered.
        self.is_waiting = False
        # True if a message from it arrived since the last CheckQuorum.
        self.is_active = False
        # The last commit index sent to it. Invariant: <= the leader's.
        self.commit_sent = BEFORE_FIRST
        # Last index and size of each message on the way; only in REPLICATE.
        self._inflight: deque[tuple[RaftIndex, int]] = deque()
        # Invariant: sum of the sizes in _inflight.
        self._inflight_bytes = 0

    @property
    def is_paused(self) -> bool:
        """True if nothing may be sent before an answer or a heartbeat."""
        if self.mode is Mode.REPLICATE:
            return (
                len(self._inflight) >= self._options.inflight_messages_max
                or self._inflight_bytes >= self._options.inflight_bytes_max
            )
        return self.is_waiting

    @property
    def counted_match(self) -> RaftIndex:
        """The index that counts for a commit."""
        return self.match if self.is_counted else BEFORE_FIRST

    def is_complete(self, last: RaftIndex) -> bool:
        """True if the follower has everything up to `last`, and was sent that commit index."""
        return self.match == last == self.commit_sent and self.mode is Mode.REPLICATE

    def state(self, *, is_lost: bool) -> FollowerState:
        return FollowerState(
            match=self.match,
            next_index=self.next_index,
            mode=self.mode,
            is_active=self.is_active,
            is_lost=is_lost,
            is_counted=self.is_counted,
        )

    def on_sent(self, last: RaftIndex, size: int) -> None:
        """Entries up to `last` left; in PROBE there may be none, and `last` is next_index - 1."""
        if self.mode is not Mode.REPLICATE:
            self.is_waiting = True
        else:
            self._inflight.append((last, size))
            self._inflight_bytes += size
            self.next_index = RaftIndex(last + 1)

    def on_restart_sent(self, index: RaftIndex) -> None:
        self._become(Mode.RESTART, RaftIndex(index + 1))
        self.is_waiting = True

    def on_accepted(self, match: RaftIndex, *, is_counted: bool) -> None:
        self.is_counted = is_counted
        inflight = self._inflight
        while inflight and inflight[0][0] <= match:
            self._inflight_bytes -= inflight.popleft()[1]
        if match > self.match:
            self.match = match
        if self.mode is not Mode.REPLICATE and match >= self.next_index - 1:
            self._become(Mode.REPLICATE, RaftIndex(match + 1))
        if self.next_index <= self.match:
            self.next_index = RaftIndex(self.match + 1)

    def on_rejected(self, prev_index: RaftIndex, next_index: RaftIndex) -> None:
        """The follower lacks `prev_index`: probes at `next_index` unless this answers something older."""
        if self.mode is Mode.REPLICATE:
            is_stale = prev_index <= self.match
        else:
            is_stale = self.mode is Mode.RESTART or prev_index != self.next_index - 1
        if not is_stale:
            self.probe(next_index)

    def on_heartbeat_reply(self, match: RaftIndex, sent: RaftIndex) -> None:
        """If the follower lacks entries sent before the heartbeat, they were lost."""
        if self.mode is not Mode.REPLICATE:
            self.is_waiting = False
        elif match < sent:
            self.probe(RaftIndex(match + 1))

    def on_lost(self) -> None:
        """Entries and commit indexes in flight may not arrive. The probe sends both again."""
        self.is_active = False
        self.probe_again()

    def forget_match(self) -> None:
        """The follower may have lost entries it accepted."""
        self.probe_again()
        self.match = BEFORE_FIRST

    def probe_again(self) -> None:
        """Probes at the present position; a new leader knows no match yet, and must not start from the first
        entry for that.
        """
        is_known = self.mode is Mode.REPLICATE
        self.probe(RaftIndex(self.match + 1) if is_known else self.next_index)

    def probe(self, next_index: RaftIndex) -> None:
        """Discards everything in flight and finds again from which index to send."""
        self._become(Mode.PROBE, max(next_index, RaftIndex(self.match + 1)))

    def _become(self, mode: Mode, next_index: RaftIndex) -> None:
        self.mode = mode
        self.next_index = next_index
        self.is_waiting = False
        self._inflight.clear()
        self._inflight_bytes = 0
