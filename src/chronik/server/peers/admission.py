"""Decides whether to accept the sender of a HELLO. Pure."""

from collections.abc import Mapping, Set
from typing import NamedTuple

from chronik.raft.transport import PeerInfo
from chronik.server.peers.hello import PROTOCOL_VERSION, Hello, OtherVersion, Refusal, Refused
from chronik.server.peers.secret import NONCE_BYTES
from chronik.vocab.ids import NodeId


class Admission(NamedTuple):
    """This node's knowledge when it decides."""

    own: PeerInfo
    cluster_id: str
    # The other nodes of the configuration.
    others: Set[NodeId]
    # Peers that are up now.
    connected: Mapping[NodeId, PeerInfo]
    has_secret: bool


def judge(hello: Hello | OtherVersion, admission: Admission, dialled: NodeId | None) -> Refused | None:
    """Returns the refusal; None when the peer is accepted. `dialled` is the node that this node dialled, None
    when it was dialled.

    A node that is connected and comes again from the same directory is accepted: it lost a connection whose
    end this node has not seen yet.
    """
    own = admission.own
    if isinstance(hello, OtherVersion):
        return Refused(
            Refusal.OTHER_VERSION,
            f"node {own.node} speaks version {PROTOCOL_VERSION} between nodes, the other one "
            f"{hello.version}: upgrade the older of them",
        )
    peer = hello.peer
    if hello.cluster_id != admission.cluster_id:
        return Refused(
            Refusal.OTHER_CLUSTER,
            f"node {own.node} belongs to cluster {admission.cluster_id}, node {peer.node} to cluster "
            f"{hello.cluster_id}: correct controller.quorum.voters or cluster.id where they are wrong, or "
            "give the node that was moved an empty data directory",
        )
    if peer.node == own.node:
        return Refused(
            Refusal.SAME_NODE,
            f"two nodes have node.id {own.node}: give each its own, and see that the addresses in "
            "controller.quorum.voters are not those of the node itself",
        )
    if hello.target != own.node:
        return _other_node(own.node, hello.target)
    if dialled not in (None, peer.node):
        return _other_node(peer.node, dialled)
    if peer.node not in admission.others or (dialled is None and peer.node < own.node):
        return Refused(
            Refusal.UNKNOWN_NODE,
            f"node {own.node} does not expect node {peer.node} to connect: give all nodes the same "
            "controller.quorum.voters",
        )
    if hello.has_secret != admission.has_secret or (hello.has_secret and len(hello.nonce) != NONCE_BYTES):
        with_it, without = (own.node, peer.node) if admission.has_secret else (peer.node, own.node)
        return Refused(
            Refusal.SECRET,
            f"node {with_it} has a raft.secret, node {without} has none: give all nodes the same",
        )
    connected = admission.connected.get(peer.node)
    if connected is not None and connected.directory_id != peer.directory_id:
        return Refused(
            Refusal.ID_IN_USE,
            f"node {own.node} is connected to a node {peer.node} with another data directory: stop one of "
            "the two, or give it another node.id",
        )
    return None


def wrong_secret(own: NodeId, peer: NodeId) -> Refused:
    """Returns the refusal of a peer that sent no proof, or a wrong one."""
    return Refused(
        Refusal.SECRET,
        f"node {own} has another raft.secret than what says to be node {peer}: give all nodes the same",
    )


def _other_node(found: NodeId, meant: NodeId | None) -> Refused:
    return Refused(
        Refusal.OTHER_NODE,
        f"node {found} answers at the address of node {meant}: correct controller.quorum.voters",
    )
