"""The tools of a scenario: a broker or three, names of its own, and a transcript of all answers."""

import struct
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chronik.records.batch import Codec
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from tests.parity import records
from tests.parity.codec import Unreadable, Values, decode, encode, skip_header_tags
from tests.parity.connection import Closed, Connection
from tests.parity.golden import Transcript
from tests.parity.normalize import Normalizer
from tests.parity.schemas import has_flexible_response_header, request_layout, response_layout

Answer = dict[str, Any]

CLOSED: Answer = {"closed": True}
# Nothing came for as long as a connection waits.
SILENT: Answer = {"silent": True}

# For what a cluster does in the background: leaders of a new topic, a coordinator that loads.
_SETTLE_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.02
RETRIABLE = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
    }
)


class SetupFailed(Exception):
    """What a scenario needs before it begins could not be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Brokers to talk to, by node id. `directory` is where their files are, to be left out of texts."""

    addresses: Mapping[int, tuple[str, int]]
    directory: str
    # In every name of this run.
    run: str
    # Milliseconds; scenarios' own times count from here.
    base_time: int

    @property
    def nodes(self) -> int:
        return len(self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A request whose answer has not been received."""

    api_key: int
    version: int
    correlation_id: int
    request: Any


class Peer:
    """One connection to one node. Everything asked here is written down."""

    def __init__(self, session: "Session", address: tuple[str, int]) -> None:
        self._session = session
        self._address = address
        self._connection = Connection(*address)

    def close(self) -> None:
        self._connection.close()

    def ask(
        self, api_key: ApiKey, version: int, fields: Values | None = None, *, hide: Collection[str] = ()
    ) -> Answer:
        """The answer, as it was decoded; CLOSED when the broker ended the connection, which is created again.

        `hide` names fields whose values depend on what else the broker has done.
        """
        return self.finish(self.start(api_key, version, fields), hide=hide)

    def ask_until(
        self,
        is_own_term_committed: Callable[[Answer], bool],
        api_key: ApiKey,
        version: int,
        fields: Values | None = None,
    ) -> Answer:
        """Asks until the answer is as it must become, and writes down that one."""
        self.wait_until(is_own_term_committed, api_key, version, fields)
        return self.ask(api_key, version, fields)

    def ask_raw(self, api_key: int, version: int, body: bytes, note: str) -> Answer:
        """Like `ask` with a body made by hand. `note` stands for it in the transcript."""
        return self.finish(self._start(api_key, version, body, {"body": note}))

    def start(self, api_key: ApiKey, version: int, fields: Values | None = None) -> Pending:
        """Send a request without waiting for its answer, which `finish` receives."""
        body = encode(request_layout(api_key), version, fields or {})
        return self._start(api_key, version, body, fields or {})

    def finish(self, pending: Pending, *, hide: Collection[str] = ()) -> Answer:
        answer = self._receive(pending)
        self._session.write(pending, answer, hide)
        if answer in (CLOSED, SILENT):
            self._connection.close()
            self._connection = Connection(*self._address)
        return answer

    def send_unanswered(self, api_key: ApiKey, version: int, fields: Values) -> None:
        """A request that has no answer (`acks=0`): what is answered next shows that none came."""
        self._session.write(self.start(api_key, version, fields), {"no answer": True}, ())

    def send_bytes(self, data: bytes, note: str) -> None:
        """Bytes that are no request; writes down that the broker ends the connection, or what it answers."""
        self._connection.send(data)
        try:
            correlation_id, body = self._connection.receive()
            answer: Answer = {"correlation_id": correlation_id, "bytes": body}
        except Closed:
            answer = CLOSED
        pending = Pending(api_key=-1, version=-1, correlation_id=0, request={"bytes": note})
        self._session.write(pending, answer, ())
        if answer is CLOSED:
            self._connection.close()
            self._connection = Connection(*self._address)

    # What is not written down.

    def prepare(self, api_key: ApiKey, version: int, fields: Values | None = None) -> Answer:
        """The answer to a request of the setup. Raises SetupFailed when the connection is closed."""
        answer = self._receive(self.start(api_key, version, fields))
        if answer in (CLOSED, SILENT):
            raise SetupFailed(f"{api_key.name} v{version}: {answer}")
        return answer

    def wait_until(
        self,
        is_own_term_committed: Callable[[Answer], bool],
        api_key: ApiKey,
        version: int,
        fields: Values | None = None,
    ) -> Answer:
        """Asks until the answer is as wanted. Raises SetupFailed."""
        deadline = time.monotonic() + _SETTLE_SECONDS_MAX
        while True:
            answer = self.prepare(api_key, version, fields)
            if is_own_term_committed(answer):
                return answer
            if time.monotonic() > deadline:
                raise SetupFailed(f"{api_key.name} v{version} still answers {answer}")
            time.sleep(_POLL_SECONDS)

    def _start(self, api_key: int, version: int, body: bytes, request: Any) -> Pending:
        correlation_id = self._connection.send_request(api_key, version, body)
        return Pending(api_key=api_key, version=version, correlation_id=correlation_id, request=request)

    def _receive(self, pending: Pending) -> Answer:
        try:
            correlation_id, data = self._connection.receive()
        except Closed:
            return CLOSED
        except TimeoutError:
            return SILENT
        if correlation_id != pending.correlation_id:
            raise AssertionError(f"{correlation_id} answers {pending.correlation_id}")
        return _decoded(pending.api_key, pending.version, data)


class Session(Peer):
    """The first node's connection, and what belongs to the whole scenario. Made by the runner."""

    def __init__(self, target: Target, own: str) -> None:
        self.target = target
        self.transcript: Transcript = []
        self._own = own
        self._normalizer = Normalizer(
            run=target.run, own=own, base_time=target.base_time, directory=target.directory
        )
        self._peers: list[Peer] = []
        self._by_node: dict[int, Peer] = {}
        super().__init__(self, next(iter(target.addresses.values())))

    def close_all(self) -> None:
        for peer in (self, *self._peers):
            peer.close()

    def write(self, pending: Pending, answer: Answer, hide: Collection[str]) -> None:
        """An exchange into the transcript."""
        self.transcript.append(
            {
                "ask": _api_name(pending.api_key, pending.version),
                "request": self._normalizer.request(pending.request),
                "answer": self._normalizer.answer(answer, pending.request, hide),
            }
        )

    # Names and times.

    def name(self, base: str) -> str:
        """A topic, group or other name that only this scenario uses."""
        return f"{base}-{self._own}"

    def at(self, offset_ms: int = 0) -> int:
        """A time of this scenario, an hour or so ago."""
        return self.target.base_time + offset_ms

    def epoch(self, offset: int = 0) -> int:
        """The leader epoch that this scenario's first topic began with, or one beside it."""
        first = self._normalizer.first_epoch
        if first is None:
            raise SetupFailed("no topic was made")
        return first + offset

    # Other connections.

    def connect(self, node: int | None = None) -> Peer:
        """A further connection, to the first node or another one."""
        chosen = node if node is not None else next(iter(self.target.addresses))
        peer = Peer(self, self.target.addresses[chosen])
        self._peers.append(peer)
        return peer

    def coordinator(self, group: str) -> Peer:
        """A connection to the node that coordinates a group, which has loaded it."""
        fields = {"key_type": 0, "coordinator_keys": [group]}
        found = self.wait_until(
            lambda answer: answer["coordinators"][0]["error_code"] == 0, ApiKey.FIND_COORDINATOR, 4, fields
        )
        peer = self.connect(found["coordinators"][0]["node_id"])
        peer.wait_until(
            lambda answer: answer["groups"][0]["error_code"] not in RETRIABLE,
            ApiKey.DESCRIBE_GROUPS,
            5,
            {"groups": [group]},
        )
        return peer

    # Setting up.

    def topic(
        self, base: str = "orders", partitions: int = 1, configs: Mapping[str, str] | None = None
    ) -> str:
        """Creates a topic that the first node leads; its name. All nodes know its leaders on return."""
        name = self.name(base)
        nodes = list(self.target.addresses)
        answer = self.prepare(
            ApiKey.CREATE_TOPICS,
            5,
            {
                "topics": [
                    {
                        "name": name,
                        "num_partitions": -1,
                        "replication_factor": -1,
                        "assignments": [
                            {"partition_index": index, "broker_ids": nodes} for index in range(partitions)
                        ],
                        "configs": [{"name": key, "value": value} for key, value in (configs or {}).items()],
                    }
                ],
                "timeout_ms": 30_000,
            },
        )
        if answer["topics"][0]["error_code"]:
            raise SetupFailed(f"topic {name}: {answer}")
        self.wait_topic(name, partitions)
        return name

    def wait_topic(self, name: str, partitions: int = 1) -> None:
        """Until every node knows a topic with its leaders and replicas."""

        def is_whole(answer: Answer) -> bool:
            found = answer["topics"][0]["partitions"]
            return len(found) == partitions and all(
                each["error_code"] == 0
                and each["leader_id"] >= 0
                and len(each["isr_nodes"]) == len(each["replica_nodes"])
                for each in found
            )

        self._wait_everywhere(is_whole, {"topics": [{"name": name}], "allow_auto_topic_creation": False})
        made = self.prepare(ApiKey.METADATA, 12, {"topics": [{"name": name}]})["topics"][0]["partitions"]
        if self._normalizer.first_epoch is None:
            self._normalizer.first_epoch = made[0]["leader_epoch"]
        # Kafka's metadata names a leader before the leader knows.
        wanted = [{"partition_index": index, "timestamp": -1} for index in range(partitions)]
        for node in {each["leader_id"] for each in made}:
            mine = [wanted[each["partition_index"]] for each in made if each["leader_id"] == node]
            self._peer(node).wait_until(
                lambda answer: not any(each["error_code"] for each in answer["topics"][0]["partitions"]),
                ApiKey.LIST_OFFSETS,
                5,
                {"replica_id": -1, "topics": [{"name": name, "partitions": mine}]},
            )

    def wait_gone(self, name: str) -> None:
        """Until no node knows a topic."""
        self._wait_everywhere(
            lambda answer: answer["topics"][0]["error_code"] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            {"topics": [{"name": name}], "allow_auto_topic_creation": False},
        )

    def topic_id(self, name: str) -> UUID:
        """The id of a topic that is there."""
        answer = self.prepare(ApiKey.METADATA, 12, {"topics": [{"name": name}]})
        found: UUID = answer["topics"][0]["topic_id"]
        return found

    def produce(
        self, topic: str, *values: bytes | None, partition: int = 0, codec: Codec = Codec.NONE
    ) -> None:
        """Records in one batch, stamped from `at(0)` on, on a partition that the first node leads."""
        data = records.batch(*values, timestamp=self.at(), codec=codec)
        answer = self.prepare(
            ApiKey.PRODUCE,
            9,
            {
                "acks": -1,
                "timeout_ms": 30_000,
                "topic_data": [{"name": topic, "partition_data": [{"index": partition, "records": data}]}],
            },
        )
        if answer["responses"][0]["partition_responses"][0]["error_code"]:
            raise SetupFailed(f"produce to {topic}: {answer}")

    def _wait_everywhere(self, is_own_term_committed: Callable[[Answer], bool], fields: Values) -> None:
        for node in self.target.addresses:
            self._peer(node).wait_until(is_own_term_committed, ApiKey.METADATA, 12, fields)

    def _peer(self, node: int) -> Peer:
        """A connection to a node for setting up."""
        if node == next(iter(self.target.addresses)):
            return self
        if node not in self._by_node:
            self._by_node[node] = self.connect(node)
        return self._by_node[node]


def _decoded(api_key: int, version: int, data: bytes) -> Answer:
    try:
        if has_flexible_response_header(api_key, version):
            data = skip_header_tags(data)
        return decode(response_layout(ApiKey(api_key)), version, data)
    except (Unreadable, UnicodeDecodeError, struct.error, KeyError, ValueError) as error:
        return _older_api_versions(api_key, data) or {"unreadable": str(error), "bytes": data}


def _older_api_versions(api_key: int, data: bytes) -> Answer | None:
    """ApiVersions in a version that the broker does not know is answered as version 0 (KIP-511)."""
    if api_key != ApiKey.API_VERSIONS:
        return None
    try:
        return {"as version": 0, **decode(response_layout(ApiKey.API_VERSIONS), 0, data)}
    except Unreadable:
        return None


def _api_name(api_key: int, version: int) -> str:
    if api_key < 0:
        return "bytes"
    name = ApiKey(api_key).name if api_key in set(ApiKey) else f"key {api_key}"
    return f"{name} v{version}"
