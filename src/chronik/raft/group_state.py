"""A node's state of one group besides its records."""

from chronik.raft.core.types import HardState, RaftIndex
from chronik.raft.markers import MarkerBase, Markers
from chronik.raft.state_codec import GroupImage
from chronik.vocab.ids import Offset


class GroupState:
    """Owned and changed by `raft.state_store.StateStore`; others read."""

    __slots__ = ("hard_state", "is_restarted", "log_end", "losses", "markers", "revision")

    def __init__(self, base: MarkerBase, revision: int = 0) -> None:
        self.hard_state = HardState()
        self.markers = Markers(base)
        # Which of the node's replicas of this partition it is (`core.types.ReplicaId`). Never changes: the
        # next one has a state of its own.
        self.revision = revision
        # How often files of this replica were lost: each time it is another replica to its group
        # (`raft.directories`), which must catch up before it votes.
        self.losses = 0
        # Invariant: the log is durable up to here and survives any crash. Lowered, durably, before the log is
        # cut. 0: unknown.
        self.log_end = Offset(0)
        # The base is where a leader had the log restarted: a log that begins before it is an older one.
        self.is_restarted = False

    def image(self) -> GroupImage:
        return GroupImage(
            self.hard_state,
            self.markers.base,
            self.markers.records(),
            self.is_restarted,
            self.losses,
            self.log_end,
            self.revision,
        )

    @classmethod
    def of(cls, image: GroupImage) -> "GroupState":
        state = cls(image.base, image.revision)
        state.hard_state = image.hard_state
        state.is_restarted = image.is_restarted
        state.losses = image.losses
        state.log_end = image.log_end
        for record in image.markers:
            state.markers.append(record)
        return state

    def restart(self, base: MarkerBase) -> None:
        """The log is another one, from `base` on, as soon as it is reset."""
        self.markers.restart(base)
        self.is_restarted = True
        self.log_end = Offset(0)

    def rebase(self, index: RaftIndex) -> None:
        """The log lost its front, up to `index`."""
        self.markers.rebase(self.markers.base_at(index))
        self.is_restarted = False
