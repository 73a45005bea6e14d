"""Changes of members that make no progress, and why: for the log, `/health` and metrics."""

import logging

from chronik.raft.group import GroupId

_log = logging.getLogger(__name__)

# Looks of the reconciler, some 15 s: a restart of a node and an election take less.
STALLED_LOOKS = 30
# Number of checks after which the reason is logged again: some 10 minutes.
_REPEATED_LOOKS = 1_200


class StalledChanges:
    """Owned by the node's `ReplicaReconciler`."""

    def __init__(self) -> None:
        # How many looks in a row nothing could be done, and why as of the last one.
        self._waiting: dict[GroupId, tuple[int, str]] = {}
        self._noted: set[GroupId] = set()

    def reasons(self) -> dict[GroupId, str]:
        """The reasons why groups that this node leads make no progress, of those without any for long."""
        return {group: reason for group, (looks, reason) in self._waiting.items() if looks >= STALLED_LOOKS}

    @property
    def under_way(self) -> int:
        """Groups that wait for something now."""
        return len(self._waiting)

    def begin_look(self) -> None:
        self._noted.clear()

    def note(self, group: GroupId, reason: str) -> None:
        """Nothing could be done at this check."""
        looks = self._waiting.get(group, (0, ""))[0] + 1
        self._waiting[group] = looks, reason
        self._noted.add(group)
        if looks == STALLED_LOOKS or looks % _REPEATED_LOOKS == 0:
            extra = {"group": str(group), "reason": reason}
            _log.warning("change of replicas makes no progress; it is tried again", extra=extra)

    def forget(self, group: GroupId) -> None:
        """Something was done."""
        self._waiting.pop(group, None)

    def end_look(self) -> None:
        """Groups that nothing was noted of are done, or led by others."""
        for group in [group for group in self._waiting if group not in self._noted]:
            del self._waiting[group]
