"""Mutual proof of two nodes that they know the cluster's secret, without sending it. Pure.

Each sends a fresh nonce in its HELLO, and proves with a keyed hash (HMAC-SHA256) over both HELLOs as they
were sent: ids, directories, cluster, nonces. A proof is of one side of one handshake. It can neither be used
again, for the other side's nonce is another then, nor be sent back, for the two sides' proofs differ.

It authenticates a connection's beginning. Later frames are neither hidden nor signed: that takes TLS.
"""

import hashlib
import hmac
import secrets
import struct
from enum import Enum

NONCE_BYTES = 32

# Shorter ones can be guessed: a dialler receives a proof to test guesses on.
SECRET_CHARACTERS_MIN = 16

_LABEL = b"chronik peer handshake 2\x00"
_SIZE = struct.Struct(">I")


class Side(Enum):
    """The proving side. Values are part of the hash."""

    DIALLER = b"dialler"
    LISTENER = b"listener"


def new_nonce() -> bytes:
    """From the operating system: a repeated nonce would make an old proof valid again."""
    return secrets.token_bytes(NONCE_BYTES)


def generate_secret() -> str:
    """A secret for a new cluster: 256 bits, of letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(32)


class SharedSecret:
    """`raft.secret`. One per node, for the node's life."""

    def __init__(self, secret: str) -> None:
        self._key = secret.encode()

    def prove(self, side: Side, dialler_hello: bytes, listener_hello: bytes) -> bytes:
        """Returns the proof of `side`. The HELLOs as they were on the wire, without frames' heads."""
        parts = (side.value, dialler_hello, listener_hello)
        message = _LABEL + b"".join(_SIZE.pack(len(part)) + part for part in parts)
        return hmac.digest(self._key, message, hashlib.sha256)

    def is_proof(self, proof: bytes, side: Side, dialler_hello: bytes, listener_hello: bytes) -> bool:
        """Compares in constant time."""
        return hmac.compare_digest(proof, self.prove(side, dialler_hello, listener_hello))
