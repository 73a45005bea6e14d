"""The cluster from a client's side: who is there, who leads, who coordinates, and asking them."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from chronik.client.address import Address, parse_addresses
from chronik.client.connection import Connection
from chronik.client.errors import ClientError, Unreachable, check, error_of, only
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from chronik.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from chronik.wire.schema import Message

TIMEOUT_S = 10.0

# Between two tries of what another moment may allow.
_RETRY_S = 0.05

# The answer is known to change by itself: elections, loading coordinators.
_RETRIED = frozenset(
    {
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.OFFSET_NOT_AVAILABLE,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.NOT_CONTROLLER,
    }
)

_GROUP_KEY_TYPE = 0

M = TypeVar("M", bound=Message)
R = TypeVar("R")


class Client:
    """Connects on first use; `close` ends all connections. Not for several threads at once."""

    def __init__(self, bootstrap_servers: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """`timeout_s` bounds a request and a series of retries. Raises ClientError for a bad address."""
        self.timeout_s = timeout_s
        self._bootstrap = parse_addresses(bootstrap_servers)
        self._any: Connection | None = None
        self._connections: dict[Address, Connection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._any = None

    # Nodes.

    def any_node(self) -> Connection:
        """A connection to the first bootstrap server that answers. Raises Unreachable."""
        if self._any is None or self._any.is_closed:
            self._any = self._first_answering()
        return self._any

    def node(self, address: Address) -> Connection:
        """A connection to a node by the address it advertises. Raises Unreachable."""
        connection = self._connections.get(address)
        if connection is None or connection.is_closed:
            try:
                connection = Connection(address, self.timeout_s)
            except Unreachable as error:
                raise self._unreachable_node(address, error) from error
            self._connections[address] = connection
        return connection

    def serves(self, api_key: ApiKey) -> bool:
        return self.any_node().serves(api_key)

    def ask(self, api_key: ApiKey, request: Message, response: type[M]) -> M:
        """Sends a request to any node."""
        return self.any_node().ask(api_key, request, response)

    def ask_controller(self, api_key: ApiKey, request: Message, response: type[M]) -> M:
        """Sends a request to the controller of the Metadata answer; to any node where none is named."""
        metadata = self.metadata(())
        addresses = node_addresses(metadata)
        connection = self.any_node()
        if metadata.controller_id in addresses:
            connection = self.node(addresses[metadata.controller_id])
        return connection.ask(api_key, request, response)

    def metadata(self, topics: Sequence[str] | None) -> MetadataResponse:
        """Returns any node's metadata of the cluster and of some topics (None: all). Creates nothing."""
        asked = None if topics is None else [MetadataRequestTopic(name=name) for name in topics]
        request = MetadataRequest(topics=asked, allow_auto_topic_creation=False)
        answer = self.ask(ApiKey.METADATA, request, MetadataResponse)
        check(answer.error_code, "read the cluster's metadata")
        return answer

    def nodes(self) -> dict[int, Connection]:
        """Connections to all nodes by id."""
        return {node_id: self.node(address) for node_id, address in node_addresses(self.metadata(())).items()}

    def leaders(self, topic: str, *, all_needed: bool = True) -> dict[int, Connection]:
        """Returns the partitions of a topic with their leaders.

        Raises ClientError when it is missing, and when a leader is, unless `all_needed` is false.
        """
        metadata = self.metadata([topic])
        addresses = node_addresses(metadata)
        described = only(metadata.topics, f"find topic {topic}")
        check(described.error_code, f"find topic {topic}")
        leaders = {}
        for partition in sorted(described.partitions, key=lambda partition: partition.partition_index):
            if partition.leader_id not in addresses and not all_needed:
                continue
            if partition.leader_id not in addresses:
                what = f"find the leader of {topic}-{partition.partition_index}"
                raise error_of(partition.error_code or ErrorCode.LEADER_NOT_AVAILABLE, what)
            leaders[partition.partition_index] = self.node(addresses[partition.leader_id])
        return leaders

    def coordinator(self, group: str) -> Connection:
        """The group's coordinator."""
        request = FindCoordinatorRequest(key=group, key_type=_GROUP_KEY_TYPE)
        answer = self.ask(ApiKey.FIND_COORDINATOR, request, FindCoordinatorResponse)
        check(answer.error_code, f"find the coordinator of group {group}", answer.error_message)
        return self.node(Address(answer.host, answer.port))

    # Time.

    def retry(self, attempt: Callable[[], R]) -> R:
        """Try until it works, time runs out, or the error is one that stays. Raises the last ClientError."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            try:
                return attempt()
            except ClientError as error:
                if error.code not in _RETRIED or time.monotonic() + _RETRY_S >= deadline:
                    raise
            time.sleep(_RETRY_S)

    def _first_answering(self) -> Connection:
        failures: list[Unreachable] = []
        for address in self._bootstrap:
            try:
                connection = Connection(address, self.timeout_s)
            except Unreachable as error:
                failures.append(error)
            else:
                self._connections[address] = connection
                return connection
        if len(failures) == 1:
            raise failures[0]
        raise Unreachable("; ".join(error.message for error in failures), hint=failures[0].hint)

    def _unreachable_node(self, address: Address, error: Unreachable) -> Unreachable:
        """The bootstrap server answered, but the advertised addresses cannot be reached."""
        return Unreachable(
            f"{error.message} (the cluster says that a node is there)",
            hint="The broker's advertised.listeners must be addresses that clients can reach.",
        )


def node_addresses(metadata: MetadataResponse) -> dict[int, Address]:
    return {broker.node_id: Address(broker.host, broker.port) for broker in metadata.brokers}
