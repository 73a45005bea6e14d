"""What a node knows of one group besides its records."""

from chronik.raft.core.types import HardState, RaftIndex
from chronik.raft.markers import MarkerBase, Markers
from chronik.raft.state_codec import GroupImage


class GroupState:
    """Owned and changed by `raft.state_store.StateStore`; others read."""

    __slots__ = ("hard_state", "is_restarted", "is_wiped", "markers")

    def __init__(self, base: MarkerBase, *, is_wiped: bool = False) -> None:
        self.hard_state = HardState()
        self.markers = Markers(base)
        # Lost what it knew, and must catch up before it votes.
        self.is_wiped = is_wiped
        # The base is where a leader had the log restarted: a log that begins before it is an older one.
        self.is_restarted = False

    def image(self) -> GroupImage:
        return GroupImage(
            self.hard_state, self.markers.base, self.markers.records(), self.is_wiped, self.is_restarted
        )

    @classmethod
    def of(cls, image: GroupImage) -> "GroupState":
        state = cls(image.base, is_wiped=image.is_wiped)
        state.hard_state = image.hard_state
        state.is_restarted = image.is_restarted
        for record in image.markers:
            state.markers.append(record)
        return state

    def restart(self, base: MarkerBase) -> None:
        """The log is another one, from `base` on."""
        self.markers.restart(base)
        self.is_restarted = True

    def rebase(self, index: RaftIndex) -> None:
        """The log lost its front, up to `index`."""
        self.markers.rebase(self.markers.base_at(index))
        self.is_restarted = False
