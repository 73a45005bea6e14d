"""Reports of leaders to the controller that their group has let replicas go: who holds them may delete."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from chronik.cluster.metadata.replicas import ReportMembers
from chronik.raft.group import GroupId
from chronik.vocab.errors import KafkaError

_log = logging.getLogger(__name__)

# Each is a record of the metadata; the rest is reported with later looks.
REPORTED_AT_ONCE_MAX = 64


class MemberReports:
    """Owned by the node's `ReplicaReconciler`. Created with it, closed by it. What fails is reported again
    with the next look, if it is still so.
    """

    def __init__(self, submit: Callable[[ReportMembers], Awaitable[object]]) -> None:
        self._submit = submit
        self._running: dict[GroupId, asyncio.Task[None]] = {}
        # Why the last report of a group was refused.
        self._failures: dict[GroupId, str] = {}

    def failure(self, group: GroupId) -> str:
        """Returns the reason why it has no effect; empty as long as nothing failed."""
        return self._failures.get(group, "")

    def report(self, group: GroupId, command: ReportMembers) -> bool:
        """Begin to report. False while an earlier report of this group, or too many of others, are under way,
        and where the last one failed: so that it shows.
        """
        if group in self._running or len(self._running) >= REPORTED_AT_ONCE_MAX:
            return False
        task = asyncio.get_running_loop().create_task(self._run(group, command))
        self._running[group] = task
        task.add_done_callback(partial(self._on_done, group))
        return group not in self._failures

    def close(self) -> None:
        for task in self._running.values():
            task.cancel()

    def _on_done(self, group: GroupId, task: asyncio.Task[None]) -> None:
        self._running.pop(group, None)

    async def _run(self, group: GroupId, command: ReportMembers) -> None:
        try:
            await self._submit(command)
        except KafkaError as error:
            if group not in self._failures:
                _log.info(
                    "could not report the members of a partition; it is tried again",
                    extra={"group": str(group), "error": str(error)},
                )
            self._failures[group] = f"the controller did not take its report: {error}"
        else:
            self._failures.pop(group, None)
            _log.info(
                "members of a partition reported: removed replicas are deleted",
                extra={"group": str(group), "members": list(command.members)},
            )
