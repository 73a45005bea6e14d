"""Groups of replicas on simulated disks and a simulated network, without anything above them."""

import asyncio
from random import Random

from chronik.cluster.image import ClusterImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.brokers import BrokerRegistered
from chronik.cluster.metadata.replicas import ReportMembers
from chronik.cluster.peer_calls import PeerCalls
from chronik.log.config import LogConfig
from chronik.log.partition_log import PartitionLog
from chronik.log.reading import ColdRead, LogSlice
from chronik.node.log_end_recorder import LogEndRecorder
from chronik.node.loss_reports import LossReports
from chronik.node.reconciler import ReplicaReconciler
from chronik.raft.core.options import RaftOptions
from chronik.raft.core.types import BEFORE_FIRST, NO_TERM, HardState, Membership, founding_replicas
from chronik.raft.directories import node_directory
from chronik.raft.group import GroupId
from chronik.raft.group_setting import GroupSetting
from chronik.raft.host import RaftHost
from chronik.raft.markers import MarkerBase
from chronik.raft.persistence import FlushPolicy
from chronik.raft.reconcile import reconcile
from chronik.raft.replicated import ReplicatedGroup
from chronik.raft.state_store import StateStore
from chronik.raft.syncer import Syncer
from chronik.raft.transport import FrameKind, PeerInfo
from chronik.records.build import build_batch
from chronik.records.record import Record, decode_records
from chronik.sim.disk import CrashDisk
from chronik.sim.network import SimNetwork, SimTransport
from chronik.sim.virtual_time import LoopClock
from chronik.vocab.ids import NodeId, Offset, TopicId

NODES = (NodeId(1), NodeId(2), NodeId(3))
GROUP = GroupId(TopicId(b"t" * 16), 0)
OPTIONS = RaftOptions(election_ticks=50, heartbeat_ticks=7, is_quiescence_used=True)
TICK_MS = 20

# As of a release that did not name directories.
FOUNDERS = Membership(voters=frozenset(NODES))
NAMED_FOUNDERS = Membership(
    voters=frozenset(NODES), replicas=founding_replicas({node: f"directory-{node}" for node in NODES})
)


class Told:
    """What a group told its partition."""

    def __init__(self, group: ReplicatedGroup) -> None:
        self.group = group
        self.high_watermark = Offset(0)
        self.leaderships: list[tuple[bool, int]] = []
        self.truncations: list[int] = []
        self.settled = 0
        self.failure: OSError | None = None

    def on_commit(self, high_watermark: Offset) -> None:
        assert high_watermark > self.high_watermark
        self.high_watermark = high_watermark

    def on_truncated(self, end_offset: Offset) -> None:
        self.truncations.append(end_offset)

    def on_leadership(self) -> None:
        self.leaderships.append((self.group.is_leader, self.group.leader_epoch))

    def on_own_term_committed(self) -> None:
        self.settled += 1

    def on_failure(self, error: OSError) -> None:
        self.failure = error


async def _nothing_to_report(command: ReportMembers) -> None:
    raise AssertionError("no replicas were changed")


class ReplicaNode:
    """One process with one replica."""

    def __init__(self, trio: "Trio", node: NodeId) -> None:
        self.trio = trio
        self.network = trio.network
        self.node = node
        self.disk = trio.disks[node]
        self.directory = trio.directories[node]
        self.random = trio.random
        self.caching = trio.caching

    async def start(self, first_leader: NodeId | None = NODES[0]) -> "ReplicaNode":
        self.transport: SimTransport = self.network.join(self.node, self.directory)
        self.host = RaftHost(
            self.node, self.transport, tick_ms=TICK_MS, load_cold=self._load, on_lag=lambda group: None
        )
        self.store = StateStore.open(self.disk)
        self.log = PartitionLog.open("t-0", self.disk, LogConfig(), LoopClock(), was_clean=False)
        setting = GroupSetting(
            node=self.node,
            directory_id=self.directory,
            options=OPTIONS,
            randomness=self.random,
            clock=LoopClock(),
            store=self.store,
            syncer=Syncer(self.disk),
            host=self.host,
            lag_ms=lambda: 30_000,
        )
        is_begun = self._prepare()
        self.group = ReplicatedGroup(GROUP, self.log, setting, write_caching=self.caching)
        self.told = Told(self.group)
        self.group.listen(self.told)
        if not is_begun and first_leader is not None:
            self.group.bootstrap(first_leader)
        self.host.add(self.group)
        self.host.start()
        self.calls = PeerCalls(self.node, self.transport)
        self.recorder = LogEndRecorder(self.host, self.store)
        self.recorder.start()
        reports = LossReports(self.node, self.host, self.calls)
        self.replaced = ReplicaReconciler(self.host, self.trio.image, reports, _nothing_to_report)
        if self.trio.founders.replicas:
            self.replaced.start()
        await self.transport.start(self)
        return self

    def _prepare(self) -> bool:
        state = self.store.get(GROUP)
        if state is not None:
            reconcile(self.log, self.store, GROUP)
            return state.hard_state != HardState()
        self.log.reset(0)
        membership = self.trio.founders
        self.store.create(GROUP, MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, membership, BEFORE_FIRST))
        return False

    async def _load(self, cold: ColdRead) -> LogSlice:
        return await self.disk.run_blocking(cold.load)

    async def crash(self, *, power: bool = True) -> None:
        self.network.crash(self.node)
        self.group.close()
        self.replaced.stop()
        self.recorder.stop()
        self.calls.close()
        await self.host.close()
        if power:
            self.disk.crash(self.random)
        else:
            self.disk.kill()

    # The transport's side.

    def on_peer_up(self, peer: PeerInfo) -> None:
        self.host.on_peer_up(peer)

    def on_peer_down(self, node: NodeId) -> None:
        self.calls.on_peer_down(node)
        self.host.on_peer_down(node)

    def on_peer_unheard(self, node: NodeId) -> None:
        pass

    def on_peer_heard(self, node: NodeId) -> None:
        pass

    def on_frame(self, node: NodeId, kind: FrameKind, payload: memoryview) -> None:
        if kind is FrameKind.RAFT:
            self.host.on_frame(node, payload)
        else:
            self.calls.on_frame(node, kind, payload)

    def on_turn_end(self) -> None:
        self.host.on_turn_end()

    # Records.

    def propose(self, value: str) -> Offset:
        batch = build_batch([Record(key=None, value=value.encode(), timestamp=0)])
        return self.group.propose([batch]).end_offset

    def values(self, end_offset: int | None = None) -> list[str]:
        end = self.log.end_offset if end_offset is None else end_offset
        values: list[str] = []
        offset = self.log.start_offset
        while offset < end:
            read = self.log.read(offset, 1 << 20, end)
            read = read.load() if isinstance(read, ColdRead) else read
            for batch in read.batches():
                values += [(record.value or b"").decode() for record in decode_records(batch)]
            offset = Offset(read.end_offset)
        return values


class Trio:
    """Three of them."""

    def __init__(
        self,
        seed: int = 1,
        *,
        founders: Membership = FOUNDERS,
        caching: FlushPolicy | None = None,
    ) -> None:
        self.random = Random(seed)
        self.network = SimNetwork(self.random)
        self.disks = {node: CrashDisk() for node in NODES}
        self.directories = {node: f"directory-{node}" for node in NODES}
        self.founders = founders
        self.caching = caching
        self.nodes: dict[NodeId, ReplicaNode] = {}

    async def start(self) -> "Trio":
        for node in NODES:
            await self.start_node(node)
        return self

    async def start_node(self, node: NodeId) -> ReplicaNode:
        self.nodes[node] = replica = ReplicaNode(self, node)
        return await replica.start()

    def image(self) -> ClusterImage:
        """With each node as it registered."""
        registered = [
            BrokerRegistered(node=node, directory_id=name, endpoints=())
            for node, name in self.directories.items()
        ]
        image, _ = apply_records(ClusterImage(), registered)
        return image

    def replace_disk(self, node: NodeId) -> None:
        """Of a node that does not run: what it had is gone."""
        assert node not in self.nodes
        self.disks[node] = CrashDisk()
        self.directories[node] = f"directory-{node}-{self.random.randrange(1 << 40)}"

    @property
    def has_replaced(self) -> bool:
        """True if a node does not vote under its present directory, for all the leader knows for sure."""
        leader = self.leader()
        if leader is None or not leader.group.is_own_term_committed:
            return True
        membership = leader.group._core.committed_membership
        named = membership.directories
        return any(
            node not in membership.voters or node_directory(named.get(node, name)) != name
            for node, name in self.directories.items()
        )

    async def start_rest(self) -> None:
        for node in NODES:
            if node not in self.nodes:
                await self.start_node(node)

    async def crash(self, node: NodeId, *, power: bool = True) -> None:
        await self.nodes.pop(node).crash(power=power)

    def leader(self) -> ReplicaNode | None:
        leaders = [node for node in self.nodes.values() if node.group.is_leader]
        return max(leaders, key=lambda node: node.group.leader_epoch, default=None)

    async def writable_leader(self) -> ReplicaNode:
        async with asyncio.timeout(20):
            while True:
                leader = self.leader()
                if leader is not None and leader.group.is_own_term_committed:
                    return leader
                await asyncio.sleep(0.005)

    async def until_equal(self, values: list[str]) -> None:
        async with asyncio.timeout(20):
            while any(node.values() != values for node in self.nodes.values()):
                await asyncio.sleep(0.01)
