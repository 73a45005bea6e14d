"""The id of a cluster whose settings have none."""

import base64
import hashlib
from collections.abc import Mapping

from chronik.server.settings.listeners import Address
from chronik.vocab.ids import NodeId

# As many as a UUID has, which is what Kafka's cluster ids are.
_ID_BYTES = 16


def derive_cluster_id(voters: Mapping[NodeId, Address]) -> str:
    """Derives an id that is the same on all nodes with the same voters, in whatever order.

    URL-safe base64 of 16 bytes, as Kafka prints its own ids; never with a dash in front, which a command line
    would take for an option.
    """
    digest = ",".join(f"{node}@{str(voters[node]).lower()}" for node in sorted(voters)).encode()
    while True:
        digest = hashlib.sha256(digest).digest()
        text = base64.urlsafe_b64encode(digest[:_ID_BYTES]).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text
