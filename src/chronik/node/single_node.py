"""The groups of a node that is its cluster: they need a store, and nobody to talk to."""

import asyncio
import logging
from collections.abc import Iterable
from typing import NamedTuple

from chronik.cluster.image import ClusterImage
from chronik.cluster.metadata.topics import TopicPartitionImage
from chronik.cluster.peers import NoPeers
from chronik.log.disk import Disk
from chronik.log.reading import ColdRead
from chronik.node.data_directory import DataDirectoryError
from chronik.node.log_end_recorder import LogEndRecorder
from chronik.node.lost_store import open_own_store
from chronik.node.metadata_partition import METADATA_GROUP
from chronik.node.progress import nodes
from chronik.node.replication import Replication
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.types import Membership, founding_replicas
from chronik.raft.group import GroupId
from chronik.raft.group_setting import GroupSetting
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.state_store import StateStore, StoreTooNew
from chronik.raft.syncer import Syncer
from chronik.vocab.ids import NodeId, Offset
from chronik.vocab.seams import Clock, Randomness

_log = logging.getLogger(__name__)


class SingleNodeHost:
    """Runs the groups that ask for it. Owned by `SingleNode`, for its life; implements
    `raft.group_setting.GroupHost`.
    """

    def __init__(self) -> None:
        self._groups: dict[GroupId, ReplicatedGroup] = {}
        self._marked: dict[ReplicatedGroup, None] = {}
        self._is_scheduled = False

    def add(self, group: ReplicatedGroup) -> None:
        self._groups[group.id] = group
        self.mark(group)

    def remove(self, group: ReplicatedGroup) -> None:
        if self._groups.get(group.id) is group:
            del self._groups[group.id]
        self._marked.pop(group, None)

    def group(self, group_id: GroupId) -> ReplicatedGroup | None:
        return self._groups.get(group_id)

    def expect(self, group: ReplicatedGroup, replicas: frozenset[NodeId]) -> None:
        """See `ReplicaHost.expect`. There is nobody else."""

    def groups(self) -> list[ReplicatedGroup]:
        return list(self._groups.values())

    def mark(self, group: ReplicatedGroup) -> None:
        """See `GroupHost.mark`."""
        self._marked[group] = None
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._is_scheduled = False
        while self._marked:
            marked, self._marked = self._marked, {}
            for group in marked:
                try:
                    group.run()
                except Exception as error:  # nor must it keep all others from their turn
                    _log.critical(
                        "replica stopped: an unexpected error; restart this node",
                        extra={"group": str(group.id)},
                        exc_info=error,
                    )
                    group.fail(OSError(f"an unexpected error: {error!r}"))

    def send(self, group: GroupId, message: object, log_start: Offset) -> None:
        """See `GroupHost.send`. There is nobody."""

    def load(self, group: ReplicatedGroup, cold: ColdRead) -> None:
        """See `GroupHost.load`. Nobody lacks anything."""

    def is_up(self, node: NodeId) -> bool:
        """See `GroupHost.is_up`."""
        return False

    def directory(self, node: NodeId) -> str | None:
        """See `GroupHost.directory`."""
        return None


class SingleNodeContext(NamedTuple):
    """What the groups of a single node are given."""

    node: NodeId
    directory_id: str
    disk: Disk
    syncer: Syncer
    clock: Clock
    randomness: Randomness


class SingleNode:
    """Owned by the node's broker, which calls it as it calls a `ClusterRuntime`. Opened before the node's
    partitions, closed after them.
    """

    has_peers = False
    # Of what nobody else needs to hear.
    propagation = None

    def __init__(self, context: SingleNodeContext) -> None:
        """Nothing is read or written yet."""
        self._context = context
        self.peers = NoPeers(context.node)
        # Invariant: there from `open` on, before which nothing asks for it.
        self.replication: Replication
        self._recorder: LogEndRecorder | None = None

    @property
    def store(self) -> StateStore:
        return self.replication.store

    def open(self) -> None:
        """Opens the store, and begins to note how far the logs are durable. Raises OSError, and
        DataDirectoryError for a directory that is not this node's to use, before anything in it is changed.
        """
        context = self._context
        try:
            store = open_own_store(context.disk, lambda store: check_single(store, context.node))
        except StoreTooNew as error:
            raise DataDirectoryError(f"{error}. Start the release that wrote it, or a later one.") from error
        host = SingleNodeHost()
        setting = GroupSetting(
            node=context.node,
            directory_id=context.directory_id,
            options=RaftOptions(),
            randomness=context.randomness,
            clock=context.clock,
            store=store,
            syncer=context.syncer,
            host=host,
            lag_ms=lambda: 0,
        )
        self.replication = Replication(host, setting)
        self._recorder = LogEndRecorder(host, store)
        self._recorder.start()

    async def join(self) -> Membership:
        """Returns with whom the metadata began: this node."""
        own = self._context
        replicas = founding_replicas({own.node: own.directory_id})
        return Membership(voters=frozenset({own.node}), replicas=replicas)

    def check(self, image: ClusterImage) -> None:
        """Raises DataDirectoryError for a cluster's directory whose store does not say so any more. A store
        that was made for it goes: it would pass for one that knows of no votes.
        """
        others = sorted(image.brokers.keys() - {self._context.node})
        if not others:
            return
        if self.store.is_new:
            self.store.remove()
        raise DataDirectoryError(
            f"the metadata knows {nodes(others)}, so the data directory is that of a node of a cluster. "
            "Set controller.quorum.voters as it was, or choose another directory with --data-dir."
        )

    def forget_unknown(self, partitions: Iterable[TopicPartitionImage]) -> None:
        """Drop terms and markers of groups whose deletion a crash cut short."""
        known = {GroupId(created.topic.topic_id, created.partition) for created in partitions}
        self.replication.forget_others({*known, METADATA_GROUP})

    async def close(self) -> bool:
        """True if all terms are durable."""
        if self._recorder is None:
            return False
        self._recorder.stop()
        try:
            self.store.close_cleanly()
        except OSError as error:
            _log.error(
                "could not close raft-state cleanly; the next start recovers it", extra={"error": str(error)}
            )
            return False
        return True


def check_single(store: StateStore, node: NodeId) -> None:
    """Raise DataDirectoryError for a cluster's directory: a node alone would lead what others lead."""
    state = store.get(METADATA_GROUP)
    if state is not None and state.markers.memberships()[-1][1].members != {node}:
        raise DataDirectoryError(
            "the data directory is that of a node of a cluster. Set controller.quorum.voters as it was, "
            "or choose another directory with --data-dir."
        )
