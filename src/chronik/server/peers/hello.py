"""The handshake of two nodes: their identities, or a refusal.

The dialling node sends HELLO, the other one HELLO, the first READY; from then on both are up. Where there is
a secret, the HELLO that answers is followed by a PROOF, and READY has one in it (`secret.py`). Either may
send REFUSED instead, and then closes. Magic and version come first in every HELLO, and REFUSED has no
version, so that releases that do not understand each other can report it.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from chronik.raft.transport import MalformedFrame, PeerInfo
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import invariant

# Of frames and everything in them.
PROTOCOL_VERSION = 2

# What `extra` of a HELLO may have, within the bound of a handshake's frame.
EXTRA_BYTES_MAX = 32 * 1024

_MAGIC = b"CHRONIK\x00"
_BEGIN = struct.Struct(">8sH")
# Node, the node it thinks to speak to, incarnation, whether it has a secret; sizes of cluster id, directory
# id, extra and nonce, which follow.
_BODY = struct.Struct(">iiQ?HHIH")
_REASON_CHARACTERS_MAX = 1000


class Hello(NamedTuple):
    """A node's HELLO in `PROTOCOL_VERSION`; of another version only the version is known, see
    `OtherVersion`.
    """

    cluster_id: str
    peer: PeerInfo
    # The node it dialled, or answers.
    target: NodeId
    # For the rooms above: given out by `PeerTransport.extra_of`.
    extra: bytes
    # True if it proves that it knows a secret, and requires the same proof.
    has_secret: bool = False
    # Never the same twice where there is a secret; empty where there is none.
    nonce: bytes = b""


class OtherVersion(NamedTuple):
    """A HELLO of a release whose frames this one cannot read."""

    version: int


class Refusal(IntEnum):
    """Reasons of refused connections. Numbers are on the wire."""

    OTHER_VERSION = 1
    OTHER_CLUSTER = 2
    # Both have one node id.
    SAME_NODE = 3
    # This is not the node that was dialled: addresses are mixed up.
    OTHER_NODE = 4
    # Not in the configuration of the one that refuses.
    UNKNOWN_NODE = 5
    # A node with this id and another data directory is connected.
    ID_IN_USE = 6
    # It does not prove that it knows the secret, or requires a proof of a secret that this node does not
    # have.
    SECRET = 7
    # Of a later release.
    OTHER = 255


class Refused(NamedTuple):
    """`reason` names nodes by their ids, so that it reads the same on both sides, and has the remedy."""

    refusal: Refusal
    reason: str


def encode_hello(hello: Hello) -> bytes:
    invariant(len(hello.extra) <= EXTRA_BYTES_MAX, "{} bytes of extra in a handshake", len(hello.extra))
    cluster_id, directory_id = hello.cluster_id.encode(), hello.peer.directory_id.encode()
    body = _BODY.pack(
        hello.peer.node,
        hello.target,
        hello.peer.incarnation,
        hello.has_secret,
        len(cluster_id),
        len(directory_id),
        len(hello.extra),
        len(hello.nonce),
    )
    begin = _BEGIN.pack(_MAGIC, PROTOCOL_VERSION)
    return begin + body + cluster_id + directory_id + hello.extra + hello.nonce


def decode_hello(payload: memoryview) -> Hello | OtherVersion:
    """Raises MalformedFrame. Bytes after a whole HELLO are of a later release, and ignored."""
    try:
        magic, version = _BEGIN.unpack_from(payload)
        if magic != _MAGIC:
            raise MalformedFrame("not a node of this kind")
        if version != PROTOCOL_VERSION:
            return OtherVersion(version)
        node, target, incarnation, has_secret, *sizes = _BODY.unpack_from(payload, _BEGIN.size)
        cluster_id, directory_id, extra, nonce = _pieces(payload, _BEGIN.size + _BODY.size, sizes)
        peer = PeerInfo(NodeId(node), directory_id.decode(), incarnation)
        return Hello(cluster_id.decode(), peer, NodeId(target), extra, has_secret, nonce)
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedFrame("a broken HELLO") from error


def _pieces(payload: memoryview, at: int, sizes: list[int]) -> list[bytes]:
    if at + sum(sizes) > len(payload):
        raise MalformedFrame("a HELLO beyond its frame")
    pieces = []
    for size in sizes:
        pieces.append(bytes(payload[at : at + size]))
        at += size
    return pieces


def encode_refused(refused: Refused) -> bytes:
    return bytes([refused.refusal]) + refused.reason.encode()


def decode_refused(payload: memoryview) -> Refused:
    """Anything after the first byte is text, of which only printable characters are kept."""
    if not payload:
        raise MalformedFrame("a refusal without a reason")
    try:
        refusal = Refusal(payload[0])
    except ValueError:
        refusal = Refusal.OTHER
    text = bytes(payload[1:]).decode(errors="replace")[:_REASON_CHARACTERS_MAX]
    return Refused(refusal, "".join(c if c.isprintable() else " " for c in text))
