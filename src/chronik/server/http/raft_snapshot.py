"""Consensus on a node of a cluster read into one value. Imported with the first scrape of such a node."""

from chronik.cluster.metadata_service import MetadataService
from chronik.node.cluster_runtime import ClusterRuntime
from chronik.node.progress import known_offset
from chronik.raft.transport import Transport
from chronik.server.http.view import PeerFigures, RaftFigures
from chronik.server.peers.statistics import PeerStatistics, TransportStatistics
from chronik.server.peers.transport import PeerTransport
from chronik.vocab.ids import NodeId


def take_raft_figures(runtime: ClusterRuntime, metadata: MetadataService) -> RaftFigures:
    """Must run on the event loop; reads every group of the node."""
    host, transport = runtime.host.statistics(), _transport(runtime.transport)
    return RaftFigures(
        groups=host.groups,
        active=host.active,
        led=host.led,
        voteless=host.voteless,
        elections=host.elections,
        leader_changes=host.leader_changes,
        handed_over=host.handed_over,
        shrinks=host.shrinks,
        expands=host.expands,
        commits=runtime.commits.figures(),
        metadata_commits=runtime.metadata_commits.figures(),
        metadata_lag=_lag(runtime, metadata),
        peers=[_peer(node, peer) for node, peer in sorted(transport.peers.items())],
        strangers=transport.strangers,
    )


def _transport(transport: Transport) -> TransportStatistics:
    """Others than the real one count nothing."""
    return transport.statistics() if isinstance(transport, PeerTransport) else TransportStatistics()


def _peer(node: NodeId, peer: PeerStatistics) -> PeerFigures:
    return PeerFigures(
        node=node,
        is_up=peer.is_up,
        connects=peer.connects,
        frames_received=peer.frames_received,
        bytes_received=peer.bytes_received,
        frames_sent=peer.frames_sent,
        bytes_sent=peer.bytes_sent,
        frames_refused=peer.frames_refused,
        unsent_bytes=peer.unsent_bytes,
    )


def _lag(runtime: ClusterRuntime, metadata: MetadataService) -> int | None:
    if metadata.controller is None:
        return None
    return max(0, known_offset(runtime, metadata) - metadata.applied_offset)
