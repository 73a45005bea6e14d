"""Replicas that lost files report it to the leaders of their groups, which cannot see it otherwise.

The node kept its data directory, so its registration shows nothing. A report has the name that a membership
has to use for the replica's files from now on (`raft.directories`); it is repeated until the membership in
force does.
"""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from chronik.cluster.peer_calls import PeerCalls
from chronik.raft.directories import losses_of, node_directory
from chronik.raft.group import GroupId
from chronik.raft.host import RaftHost
from chronik.raft.replicated import ReplicatedGroup
from chronik.vocab.errors import KafkaError
from chronik.vocab.ids import NodeId, TopicId

_log = logging.getLogger(__name__)

_METHOD = "replica.files_lost"
_CALL_SECONDS_MAX = 5.0
# Some 100 bytes each. The rest is reported once these are demoted.
REPORTED_AT_ONCE_MAX = 1_000
# The limit of a membership's codec.
_DIRECTORY_BYTES_MAX = 255


class LossReports:
    """Owned by the node's `ReplicaReconciler`. Created with it, closed by it."""

    def __init__(self, node: NodeId, host: RaftHost, calls: PeerCalls) -> None:
        self._node = node
        self._host = host
        self._calls = calls
        # On leaders: the last report of each replica.
        self._directories: dict[tuple[GroupId, NodeId], str] = {}
        # One call at a time to each leader.
        self._reporting: dict[NodeId, asyncio.Task[None]] = {}
        calls.serve(_METHOD, self._on_report)

    def directory(self, group: GroupId, node: NodeId) -> str | None:
        """Returns the replica's last report; None without one."""
        return self._directories.get((group, node))

    @property
    def is_empty(self) -> bool:
        """True if there are no reports."""
        return not self._directories

    def forget_except(self, groups: Sequence[ReplicatedGroup]) -> None:
        """Groups that are gone, or led by others, are no concern of this node any more."""
        led = {group.id for group in groups if group.is_leader}
        for key in [key for key in self._directories if key[0] not in led]:
            del self._directories[key]

    def report(self, groups: Sequence[ReplicatedGroup]) -> None:
        """Sends reports to the leaders for those of this node's replicas that lost files and whose
        membership does not name the new directory.
        """
        lost: dict[NodeId, dict[GroupId, str]] = {}
        for group in groups:
            leader = group.known_leader
            if group.losses and leader is not None and leader != self._node and not group.is_named:
                lost.setdefault(leader, {})[group.id] = group.directory
        for leader, directories in lost.items():
            if leader not in self._reporting:
                some = dict(list(directories.items())[:REPORTED_AT_ONCE_MAX])
                task = asyncio.get_running_loop().create_task(self._report(leader, format_report(some)))
                self._reporting[leader] = task
                task.add_done_callback(partial(self._on_reported, leader))

    def _on_reported(self, leader: NodeId, task: asyncio.Task[None]) -> None:
        self._reporting.pop(leader, None)

    def close(self) -> None:
        for task in self._reporting.values():
            task.cancel()

    async def _report(self, leader: NodeId, report: bytes) -> None:
        deadline = asyncio.get_running_loop().time() + _CALL_SECONDS_MAX
        try:
            await self._calls.call(leader, _METHOD, report, deadline)
        except KafkaError as error:
            _log.info(
                "could not report lost files to the leader; it is tried again",
                extra={"peer": leader, "error": str(error)},
            )

    async def _on_report(self, node: NodeId, report: bytes) -> bytes:
        for group_id, directory in parse_report(report):
            group = self._host.group(group_id)
            if (
                group is not None
                and group.is_leader
                and node in group.members
                and node_directory(directory) == self._host.directory(node)
            ):
                self._directories[group_id, node] = directory
        return b""


def format_report(directories: Mapping[GroupId, str]) -> bytes:
    replicas = [
        {"topic_id": group.topic_id.hex(), "partition": group.partition, "directory": directory}
        for group, directory in directories.items()
    ]
    return json.dumps({"replicas": replicas}, separators=(",", ":")).encode()


def parse_report(report: bytes) -> Iterator[tuple[GroupId, str]]:
    """Malformed entries are left out: the sender is a node of the cluster, perhaps of a later release."""
    try:
        replicas = json.loads(report)["replicas"]
        for replica in replicas[:REPORTED_AT_ONCE_MAX]:
            directory = str(replica["directory"])
            if losses_of(directory) and len(directory.encode()) <= _DIRECTORY_BYTES_MAX:
                yield (
                    GroupId(TopicId(bytes.fromhex(replica["topic_id"])), int(replica["partition"])),
                    directory,
                )
    except (ValueError, KeyError, TypeError):
        return
