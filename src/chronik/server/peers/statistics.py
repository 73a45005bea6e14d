"""Traffic between this node and the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chronik.vocab.ids import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatistics:
    """Totals of one peer, since this node started."""

    is_up: bool = False
    # How often a connection came up.
    connects: int = 0
    frames_received: int = 0
    bytes_received: int = 0
    frames_sent: int = 0
    bytes_sent: int = 0
    # Frames not taken because too much waited for the peer to read.
    frames_refused: int = 0
    # Waiting now, in bytes.
    unsent_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportStatistics:
    """A moment's copy."""

    peers: Mapping[NodeId, PeerStatistics] = field(default_factory=dict)
    # Connections that were not from a node of this cluster.
    strangers: int = 0


@dataclass(slots=True)
class Counters:
    """Counters of one peer; outlive its connections."""

    connects: int = 0
    frames_received: int = 0
    bytes_received: int = 0
    frames_sent: int = 0
    bytes_sent: int = 0
    frames_refused: int = 0
