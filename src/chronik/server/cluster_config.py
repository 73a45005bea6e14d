"""Cluster membership of this node: its store of terms and votes, and its transport.

Used by `server.node` only where there are other nodes.
"""

import socket
from collections.abc import Callable

from chronik.log.disk import Disk
from chronik.node.cluster_runtime import ClusterMember, MakeTransport, RunningTransport
from chronik.node.data_directory import DataDirectoryError, Identity, has_identity, load_identity
from chronik.node.lost_store import is_new_member, open_store
from chronik.node.metadata_partition import METADATA_GROUP
from chronik.node.peer_timings import PeerTimings
from chronik.node.progress import nodes
from chronik.node.raft_ticks import raft_ticks
from chronik.raft.directories import node_directory
from chronik.raft.state_store import COPY_FILE, STATE_FILE, StateStore, StoreTooNew
from chronik.raft.store_witness import read_witness
from chronik.raft.transport import PeerInfo
from chronik.server.cluster_identity import derive_cluster_id
from chronik.server.peers.transport import PeerTransport
from chronik.server.settings.loading import Settings
from chronik.vocab.ids import NodeId


def cluster_member(
    settings: Settings, disk: Disk, sockets: list[socket.socket]
) -> tuple[Identity, ClusterMember]:
    """Returns this node's identity and its place in the cluster; both are created in a new directory. The
    other nodes connect to `sockets`, which are bound.

    The store is created before the identity: a directory with an identity and no trace of a store is that of
    a node alone. Raises DataDirectoryError, OSError.
    """
    if has_identity(disk) and not _has_store(disk):
        raise DataDirectoryError(
            f"the data directory has no {STATE_FILE}: it is that of a node alone, or has lost what this node "
            "voted for. Choose an empty directory with --data-dir; the other nodes will fill it."
        )
    try:
        store = open_store(disk)
    except StoreTooNew as error:
        raise DataDirectoryError(f"{error}. Start the release that wrote it, or a later one.") from error
    identity = load_identity(
        disk,
        settings.node_id,
        settings.cluster_id,
        new_cluster_id=lambda: derive_cluster_id(settings.voters),
    )
    _check_voters(settings, store)
    member = ClusterMember(
        voters=frozenset(settings.voters),
        store=store,
        is_new=is_new_member(disk, store, METADATA_GROUP),
        make_transport=_transports(settings, store, sockets),
        ticks=raft_ticks(settings.config),
    )
    return identity, member


def _has_store(disk: Disk) -> bool:
    """True if there is a store, or was one."""
    return disk.exists(STATE_FILE) or disk.exists(COPY_FILE) or read_witness(disk) is not None


def _check_voters(settings: Settings, store: StateStore) -> None:
    """Checks that the configured nodes are the cluster's founders: messages to and from others would be
    dropped.
    """
    state = store.get(METADATA_GROUP)
    if state is None:
        return
    if state.markers.base.membership.members == {settings.node_id}:
        raise DataDirectoryError(
            "the data directory cannot become a cluster's: it is that of a node alone. Choose an empty "
            "directory with --data-dir; the other nodes will fill it."
        )
    began, named = state.markers.base.membership.members, settings.voters.keys()
    if began != named:
        raise DataDirectoryError(
            f"the data directory belongs to a cluster of {nodes(began)}, and controller.quorum.voters names "
            f"{nodes(named)}. Set it as it was: addresses may change, but the set of nodes cannot yet."
        )


def _directories(store: StateStore) -> dict[NodeId, str]:
    """Returns the directories of the members of the metadata's group, as this node knows it."""
    state = store.get(METADATA_GROUP)
    named = {} if state is None else state.markers.memberships()[-1][1].directories
    return {node: node_directory(name) for node, name in named.items()}


def _transports(settings: Settings, store: StateStore, sockets: list[socket.socket]) -> MakeTransport:
    config = settings.config

    def make(own: PeerInfo, cluster_id: str, extra: Callable[[], bytes]) -> RunningTransport:
        return PeerTransport(
            own=own,
            cluster_id=cluster_id,
            address=sockets,
            others={
                node: (voter.host, voter.port) for node, voter in settings.voters.items() if node != own.node
            },
            timings=PeerTimings(
                silence_ms=config.int("controller.quorum.election.timeout.ms"),
                heartbeat_ms=config.int("raft.heartbeat.interval.ms"),
            ),
            extra=extra,
            secret=settings.cluster.secret,
            directories=lambda: _directories(store),
        )

    return make
