"""Three metadata services over one log: it commits, loses leaders and elects others when the play says so."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chronik.cluster.image import ClusterImage
from chronik.cluster.metadata.premises import TopicDefaults
from chronik.cluster.metadata_log import KeyValue
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.peers import CallHandler
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId, Offset

from .builders import DEFAULTS, register

ONE, TWO, THREE = NODES = (NodeId(1), NodeId(2), NodeId(3))


@dataclass
class _Pending:
    """An append that its leader has not committed."""

    batch: Sequence[KeyValue]
    done: asyncio.Future[None]


class NodeLog:
    """`MetadataLog` of one node: what it has seen of the committed batches."""

    def __init__(self, stage: "ClusterStage", node: NodeId) -> None:
        self._stage = stage
        self._node = node
        self.seen = 0
        # Whom the node believes to lead.
        self.leader: NodeId | None = None
        self.pending: _Pending | None = None
        self.appends = 0

    @property
    def can_decide(self) -> bool:
        # As a partition has it: not while something is in the log that is not committed.
        return self._stage.leader == self._node and self.pending is None

    @property
    def high_watermark(self) -> Offset:
        return Offset(sum(map(len, self._stage.committed[: self.seen])))

    async def append(self, records: Sequence[KeyValue]) -> None:
        assert self.pending is None, "appends never overlap"
        assert records
        self.appends += 1
        if self._stage.leader != self._node:
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        self.pending = _Pending(records, asyncio.get_running_loop().create_future())
        if self._stage.commits_at_once:
            asyncio.get_running_loop().call_soon(self._stage.commit)
        await self.pending.done

    def read(self, offset: Offset) -> Iterable[tuple[Offset, Sequence[KeyValue]]]:
        end = 0
        for batch in self._stage.committed[: self.seen]:
            end += len(batch)
            if end > offset:
                yield Offset(end), batch


class StagePeers:
    """`Peers` in memory. Calls of a pair that is cut fail, and go on at the other end."""

    def __init__(self, stage: "ClusterStage", node: NodeId) -> None:
        self._stage = stage
        self._node = node
        self.handlers: dict[str, CallHandler] = {}
        self.calls = 0

    @property
    def node(self) -> NodeId:
        return self._node

    def live(self) -> frozenset[NodeId]:
        return frozenset(node for node in NODES if self._stage.are_connected(self._node, node))

    def serve(self, method: str, handler: CallHandler) -> None:
        self.handlers[method] = handler

    async def call(self, node: NodeId, method: str, request: bytes, deadline: float) -> bytes:
        self.calls += 1
        if node not in self.live():
            raise KafkaError(ErrorCode.NETWORK_EXCEPTION)
        handling = asyncio.ensure_future(self._stage.peers[node].handlers[method](self._node, request))
        self._stage.handlings.append(handling)
        cut = asyncio.get_running_loop().create_future()
        self._stage.cuts.append((self._node, node, cut))
        timeout = deadline - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait((handling, cut), timeout=timeout, return_when="FIRST_COMPLETED")
        if cut in done:
            raise KafkaError(ErrorCode.NETWORK_EXCEPTION)
        if not done:
            raise KafkaError(ErrorCode.REQUEST_TIMED_OUT)
        return handling.result()


@dataclass
class ClusterStage:
    """The cluster, and the levers. Nothing happens by itself but what `commits_at_once` and `spreads` say."""

    defaults: TopicDefaults = DEFAULTS
    seed: int = 0
    leader: NodeId | None = None
    committed: list[Sequence[KeyValue]] = field(default_factory=list)
    commits_at_once: bool = True
    # Followers see a commit with the leader.
    spreads: bool = True

    def __post_init__(self) -> None:
        self._cut: set[frozenset[NodeId]] = set()
        self.cuts: list[tuple[NodeId, NodeId, asyncio.Future[None]]] = []
        self.handlings: list[asyncio.Future[bytes]] = []
        self.logs = {node: NodeLog(self, node) for node in NODES}
        self.peers = {node: StagePeers(self, node) for node in NODES}
        self.services = {
            node: MetadataService(
                self.logs[node],
                lambda: self.defaults,
                random.Random(self.seed + node),
                peers=self.peers[node],
            )
            for node in NODES
        }

    async def start(self) -> "ClusterStage":
        """Node 1 leads, and all are registered."""
        self.elect(ONE)
        for node in NODES:
            await self.services[node].submit(register(node))
        return self

    def image(self, node: NodeId) -> ClusterImage:
        return self.services[node].image

    # The log.

    def commit(self) -> None:
        """What the leader has appended is committed, if there is anything."""
        if self.leader is None:
            return
        log = self.logs[self.leader]
        if log.pending is None:
            return
        self.committed.append(log.pending.batch)
        self._show(self.leader)
        pending, log.pending = log.pending, None
        pending.done.set_result(None)
        if self.spreads:
            self.show_all()

    def show_all(self) -> None:
        for node in NODES:
            self._show(node)

    def show_one_more(self, node: NodeId) -> None:
        log = self.logs[node]
        if log.seen < len(self.committed):
            log.seen += 1
            self.services[node].on_committed()

    def _show(self, node: NodeId) -> None:
        if self.logs[node].seen < len(self.committed):
            self.logs[node].seen = len(self.committed)
            self.services[node].on_committed()

    # Leaders.

    def depose(self, *, keeps: bool) -> None:
        """The leader is lost. `keeps`: what it had not committed is in the log of the next one."""
        leader, self.leader = self.leader, None
        if leader is None:
            return
        log = self.logs[leader]
        pending, log.pending = log.pending, None
        if pending is not None:
            if keeps:
                self.committed.append(pending.batch)
            pending.done.set_exception(KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER))
        for node in NODES:
            self.hear(node, None)

    def elect(self, node: NodeId, *, heard: Iterable[NodeId] = NODES) -> None:
        """`node` leads and has seen all that is committed; `heard` know of it."""
        assert self.leader is None
        self.leader = node
        self._show(node)
        for listener in heard:
            self.hear(listener, node)

    def hear(self, node: NodeId, leader: NodeId | None) -> None:
        self.logs[node].leader = leader
        self.services[node].on_leadership()

    # The network.

    def are_connected(self, one: NodeId, other: NodeId) -> bool:
        return frozenset((one, other)) not in self._cut

    def cut(self, one: NodeId, other: NodeId) -> None:
        self._cut.add(frozenset((one, other)))
        for a, b, cut in self.cuts:
            if {a, b} == {one, other} and not cut.done():
                cut.set_result(None)

    def mend(self) -> None:
        self._cut.clear()
