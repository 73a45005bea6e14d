"""The arguments of a handler: the request's circumstances (`RequestContext`) and the node's services
(`Broker`).

Both are created by the server: one `Broker` per node in `server/node.py`, one `RequestContext` per request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from chronik.broker.access import Access
from chronik.broker.quotas import NoQuotas, Quotas
from chronik.broker.session import Session
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.ids import NodeId
from chronik.vocab.seams import Clock, Randomness

if TYPE_CHECKING:
    from chronik.broker.fetch_session import FetchSessionCache
    from chronik.broker.groups.service import GroupService
    from chronik.broker.leadership_transfer import LeadershipTransfer
    from chronik.broker.memory import NodeMemory
    from chronik.broker.quorum import Quorum
    from chronik.broker.replica_manager import ReplicaManager
    from chronik.cluster.leadership import LeadershipTable
    from chronik.cluster.metadata_service import MetadataService
    from chronik.cluster.peers import Peers
    from chronik.cluster.producer_ids import ProducerIds


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An advertised address of this node under one listener's name."""

    listener: str
    host: str
    port: int


class RequestContext(NamedTuple):
    """One request's circumstances."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    # Of the connection it came by.
    session: Session


class UnservedRequest(ValueError):
    """A request for an API, or a version of one, that is not advertised: its connection closes."""


class NoAnswer(ValueError):
    """A request failed in a way that no response can express: its connection is closed."""


@dataclass(slots=True, kw_only=True)
class Broker:
    """The rooms of one node that handlers reach. Lives as long as the node."""

    node_id: NodeId
    cluster_id: str
    # Under Kafka's names, dynamic changes included.
    settings: BrokerConfig
    clock: Clock
    randomness: Randomness
    # By listener name.
    endpoints: Mapping[str, Endpoint]
    metadata: "MetadataService"
    leadership: "LeadershipTable"
    # The other nodes; nothing else reaches them.
    peers: "Peers"
    # Of `__meta`.
    quorum: "Quorum"
    transfers: "LeadershipTransfer"
    replicas: "ReplicaManager"
    groups: "GroupService"
    producer_ids: "ProducerIds"
    fetch_sessions: "FetchSessionCache"
    memory: "NodeMemory"
    # Who may do what, and how much of it.
    access: Access = field(default_factory=Access)
    quotas: Quotas = field(default_factory=NoQuotas)
    # Set when the node begins to stop: from then on no request waits for more records.
    is_stopping: bool = False
