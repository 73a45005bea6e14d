"""This node's replica of a group: its name in memberships, and whether they let it vote.

A replica is known by its node, its files and its revision. One whose files were lost, whose node came back
with another disk, or that was removed and created again, has another name than the one that made promises.
"""

from typing import TYPE_CHECKING

from chronik.raft.core.types import Membership, RaftIndex, ReplicaId
from chronik.raft.directories import replica_directory
from chronik.raft.group import GroupId
from chronik.raft.group_setting import GroupSetting

if TYPE_CHECKING:
    from chronik.raft.core.core import RaftCore
    from chronik.raft.core.ready import Ready


class OwnReplica:
    """Owned by its group. Created before the group's core, which it judges from then on."""

    __slots__ = ("_group", "_membership_end", "_setting", "is_vote_open")

    def __init__(self, group: GroupId, setting: GroupSetting, last_index: RaftIndex) -> None:
        self._group = group
        self._setting = setting
        # Where the log ended when the last membership came, and whether `may_vote` may still change by a
        # commit.
        self._membership_end = last_index
        self.is_vote_open = True

    @property
    def losses(self) -> int:
        """How often files of this replica were lost."""
        state = self._setting.store.get(self._group)
        return 0 if state is None else state.losses

    @property
    def directory(self) -> str:
        """The name of its files in memberships; see `raft.directories`."""
        return replica_directory(self._setting.directory_id, self.losses)

    @property
    def id(self) -> ReplicaId:
        state = self._setting.store.get(self._group)
        return ReplicaId(self._setting.node, self.directory, 0 if state is None else state.revision)

    def is_named(self, membership: Membership) -> bool:
        """True if a membership knows it by its present name."""
        return membership.replica(self._setting.node) == self.id

    def may_vote(self, core: "RaftCore") -> bool:
        """False with files other than those the others know, or as another replica than they name; one
        that lost files must be named.
        """
        if core.is_alone:
            return True
        own = self.id
        is_told = self.losses == 0 or core.committed_membership.replica(own.node) is not None
        return is_told and core.is_replica_committed(own)

    def judge(self, core: "RaftCore", ready: "Ready", last_index: RaftIndex) -> bool:
        """Updates the core's right to vote, after its last output. True if it changed.

        See `RaftCore.is_replica_committed`: a new membership may change it, now or when committed.
        """
        if ready.membership is not None:
            self._membership_end = last_index
        may_vote = self.may_vote(core)
        self.is_vote_open = not may_vote or core.committed < self._membership_end
        if may_vote == core.may_vote:
            return False
        core.may_vote = may_vote
        return True
