"""Log lines about connections, each written once: absent peers are redialled ten times a second."""

import logging
from collections.abc import Callable

from chronik.raft.transport import PeerInfo
from chronik.server.peers.hello import Refusal, Refused
from chronik.vocab.ids import NodeId

_log = logging.getLogger("chronik.server.peers")

# A lasting problem is logged again after this time.
_AGAIN_SECONDS = 60.0

# Strangers' connections could name any number of nodes: this many are distinguished.
_STRANGERS_MAX = 64


class Reports:
    """One per transport. `now` is in seconds, on a clock that does not step."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        # Peers whose absence was logged.
        self._away: set[NodeId] = set()
        # When a refusal was logged last.
        self._refusals: dict[tuple[NodeId | str, Refusal, bool], float] = {}
        self._strangers_untold = 0
        self._stranger_told = -_AGAIN_SECONDS

    def unreachable(self, node: NodeId, address: str, reason: str) -> None:
        """An attempt to reach it failed. Logged the first time after it was there, or this node began."""
        if node not in self._away:
            self._away.add(node)
            extra = {"peer": node, "address": address, "reason": reason}
            _log.info("could not reach node %d; it is tried again", node, extra=extra)

    def up(self, node: NodeId, address: str) -> None:
        self._away.discard(node)
        self._refusals = {key: told for key, told in self._refusals.items() if key[0] != node}
        _log.info("node %d connected", node, extra={"peer": node, "address": address})

    def down(self, node: NodeId, reason: str) -> None:
        self._away.add(node)
        _log.info("node %d disconnected", node, extra={"peer": node, "reason": reason})

    def refused(self, who: NodeId | str, refused: Refused, address: str, *, by_peer: bool) -> None:
        """`who` is the node as far as it is known, or its address."""
        key = (who, refused.refusal, by_peer)
        now = self._now()
        if now - self._refusals.get(key, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return
        if len(self._refusals) >= _STRANGERS_MAX:
            del self._refusals[next(iter(self._refusals))]
        self._refusals[key] = now
        side = "the other node refuses" if by_peer else "this node refuses"
        extra = {"peer": who, "address": address, "refusal": refused.refusal.name}
        # An attempt to get in is no error of this node.
        level = logging.WARNING if refused.refusal is Refusal.SECRET else logging.ERROR
        _log.log(level, "peer connection refused: %s: %s", side, refused.reason, extra=extra)

    def new_directory(self, peer: PeerInfo, known: str, address: str) -> None:
        """Once for each: the next time it is the known one."""
        extra = {"peer": peer.node, "directory": peer.directory_id, "before": known, "address": address}
        _log.warning(
            "node %d came with another data directory: if no disk was replaced, somebody else uses its id",
            peer.node,
            extra=extra,
        )

    def stranger(self, address: str, reason: str) -> None:
        """Something that is no node connected."""
        now = self._now()
        if now - self._stranger_told < _AGAIN_SECONDS:
            self._strangers_untold += 1
            return
        extra = {"address": address, "reason": reason, "untold": self._strangers_untold}
        _log.warning("connection to the peer port closed: it did not come from a node", extra=extra)
        self._stranger_told, self._strangers_untold = now, 0
