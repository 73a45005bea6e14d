"""Bootstrap of the metadata quorum: the voters of `__meta`, decided once by all prospective voters.

A new data directory may be that of a new cluster, or of a node that lost its disk, whose earlier incarnation
has voted and acknowledged. So no node votes in `__meta` before it knows the directories that the cluster
began with. One node decides that, the founder: the voter with the lowest id, when it is connected to every
other one, all of them new as well. It sends them the decision, and they send it to those it does not reach. A
directory that is not named is a replaced one: it follows, and votes when the leader has taken it in.

A node whose data directory has partitions, but no terms and votes, is not new: it has lost its state, and
waits to be sent the decision.

Nodes could not decide it separately. A node can only learn from the handshake that a peer is new, and that
may be long past: while a third node's disk was replaced, the peer may have begun with the earlier disk, and
voted.
"""

import asyncio
import json
import logging
from collections.abc import Collection, Mapping

from chronik.raft.core.types import Membership, founding_replicas
from chronik.vocab.ids import NodeId

_log = logging.getLogger(__name__)

Directories = Mapping[NodeId, str]

# Sent by a node that took part in the cluster and no longer knows how it began: it is not new.
_LOST = b"{}"

# A handshake's extra bytes are from another node of the same cluster, but may be damaged all the same.
_SAID_BYTES_MAX = 64 * 1024


class QuorumBootstrap:
    """One per node of a cluster. `said` is its message to others: in the handshake, and when it has
    decided to those that were new in theirs.
    """

    def __init__(
        self, node: NodeId, directory_id: str, voters: Collection[NodeId], *, is_new: bool = True
    ) -> None:
        """`is_new`: nothing on this node's disk shows that it took part before."""
        self._node = node
        self._is_new = is_new
        self._directory_id = directory_id
        self._voters = frozenset(voters)
        self._founders: Directories | None = None
        # New directories that were seen.
        self._new: dict[NodeId, str] = {node: directory_id} if is_new else {}
        self._decided = asyncio.Event()

    @property
    def is_decided(self) -> bool:
        return self._decided.is_set()

    @property
    def founder(self) -> NodeId:
        return min(self._voters)

    @property
    def missing(self) -> frozenset[NodeId]:
        """Voters that have to be seen, or to speak, before a new cluster begins; none once it has."""
        if self.is_decided:
            return frozenset()
        unseen = self._voters - self._new.keys()
        return unseen if unseen or self._node == self.founder else frozenset({self.founder})

    def said(self) -> bytes:
        """Returns the directories with which the cluster began, encoded; empty while this node is new."""
        if self._founders is None:
            return b"" if self._is_new else _LOST
        return json.dumps({str(node): name for node, name in sorted(self._founders.items())}).encode()

    def know(self, membership: Membership) -> None:
        """This node is not new: it has its `__meta`, which began with `membership`."""
        self._decide(membership.directories)

    def on_peer(self, node: NodeId, directory_id: str, said: bytes) -> None:
        """A peer came up with `said` in its handshake."""
        self.hear(said)
        if self._founders is not None:
            return
        if said:
            # It has lost its state; it may have been new before that.
            self._new.pop(node, None)
        elif node in self._voters:
            self._new[node] = directory_id
        if self._is_new and self._node == self.founder and self._new.keys() >= self._voters:
            self._decide({voter: self._new[voter] for voter in self._voters})

    def hear(self, said: bytes) -> None:
        """Another node sent the directories with which the cluster began, or nothing."""
        founders = _parse(said)
        if self._founders is None and founders is not None:
            self._decide(founders)

    async def membership(self) -> Membership:
        """Wait until it is decided."""
        if not self._is_new and not self._decided.is_set():
            _log.error("this node lost what it knew of its cluster: it waits for a node that knows it")
        elif not self._decided.is_set():
            missing = ", ".join(map(str, sorted(self.missing)))
            _log.info("waiting for the other voters of a new cluster", extra={"missing": missing})
        await self._decided.wait()
        founders = self._founders or {}
        return Membership(voters=frozenset(founders), replicas=founding_replicas(founders))

    def _decide(self, founders: Directories) -> None:
        self._founders = founders
        self._decided.set()


def knows_founders(said: bytes) -> bool:
    """True if a node with this handshake knows the directories with which the cluster began."""
    return _parse(said) is not None


def _parse(said: bytes) -> Directories | None:
    if not said or len(said) > _SAID_BYTES_MAX:
        return None
    try:
        founders = {NodeId(int(node)): str(name) for node, name in json.loads(said).items()}
    except (ValueError, AttributeError):
        return None
    return founders or None
