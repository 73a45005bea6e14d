"""Node 1 of three, with the groups and the other nodes played by the test.

The broker's rooms are the real ones over a disk in memory; what the metadata says is given as records, what
consensus does is said to a `FakeGroup`.
"""

import asyncio
import random
from collections.abc import Awaitable, Mapping, Sequence
from types import SimpleNamespace
from typing import TypeVar, cast

from chronik.broker.context import Broker
from chronik.broker.dispatch import Dispatcher
from chronik.broker.fetch_session import FetchSessionCache
from chronik.broker.leadership_transfer import LeadershipTransfer
from chronik.broker.memory import NodeMemory
from chronik.broker.partition import Partition
from chronik.broker.quorum import Quorum
from chronik.broker.replica_manager import DiskUsage, ReplicaManager
from chronik.broker.traffic import TopicTraffic
from chronik.cluster.image import ClusterImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.leadership import Leader, LeadershipTable
from chronik.cluster.metadata.brokers import BrokerEndpoint, BrokerRegistered
from chronik.cluster.metadata.configs import ConfigChanged, topic_resource
from chronik.cluster.metadata.replicas import PartitionChanged, PartitionImage, ReplicaRef
from chronik.cluster.metadata.subject import MetadataRecord
from chronik.cluster.metadata.topics import PartitionCreated, TopicCreated, TopicDeleted, TopicPartitionImage
from chronik.cluster.peers import CallHandler
from chronik.log.config import LogConfig
from chronik.log.partition_log import AppendResult, PartitionLog
from chronik.log.reading import ColdRead, LogSlice
from chronik.raft.group import GroupListener, Replica
from chronik.records.batch import Batch
from chronik.sim.disk import CrashDisk
from chronik.sim.frames import cut_frames, decode_response, request
from chronik.sim.virtual_time import LoopClock
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.config.topic import TopicConfig, resolve_topic_config, topic_defaults
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import METADATA_TOPIC, LeaderEpoch, NodeId, Offset, TopicId, TopicPartition
from chronik.wire.apis import ApiKey
from chronik.wire.schema import Message
from tests.support.client_session import client_session

R = TypeVar("R", bound=Message)

NODE = NodeId(1)
NODES = (NODE, NodeId(2), NodeId(3))


class FakeGroup:
    """`raft.group.Group` as the test says it is; it begins as a follower of nobody."""

    def __init__(self, log: PartitionLog, nodes: Sequence[NodeId]) -> None:
        self.log = log
        self.nodes = nodes
        self.listener: GroupListener | None = None
        self.leader_epoch = LeaderEpoch(0)
        self.known_leader: NodeId | None = None
        self.is_own_term_committed = False
        self.high_watermark = Offset(0)
        self.lags: frozenset[NodeId] = frozenset()
        # Where the others are; those that are not named have everything.
        self.ends: dict[NodeId, int] = {}
        self.transfers: list[NodeId] = []

    @property
    def is_leader(self) -> bool:
        return self.known_leader == NODE

    def refusal(self) -> KafkaError:
        return KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, "another node leads")

    def propose(self, batches: Sequence[Batch]) -> AppendResult:
        if not self.is_leader:
            raise self.refusal()
        return self.log.append(batches, self.leader_epoch)

    def sync_soon(self) -> None:
        _, end_offset = self.log.files_to_sync()
        self.log.on_synced(end_offset)

    def on_tidied(self) -> None:
        """Nobody follows here."""

    def lagging(self) -> frozenset[NodeId]:
        return self.lags

    def replicas(self) -> Sequence[Replica]:
        if not self.is_leader:
            return ()
        end_offset = self.log.end_offset
        return [Replica(node, True, self.ends.get(node, end_offset), 2_000, 3_000) for node in self.nodes]

    def transfer(self, to: NodeId) -> None:
        if to not in self.nodes:
            raise KafkaError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE)
        self.transfers.append(to)

    # What the test says.

    def lead(self, epoch: int, *, is_own_term_committed: bool = True) -> None:
        """Node 1 leads."""
        self.follow(NODE, epoch)
        if is_own_term_committed:
            self.wait_until_idle()

    def follow(self, leader: int | None, epoch: int) -> None:
        self.known_leader = None if leader is None else NodeId(leader)
        self.leader_epoch, self.is_own_term_committed = LeaderEpoch(epoch), False
        assert self.listener is not None
        self.listener.on_leadership()

    def wait_until_idle(self) -> None:
        self.is_own_term_committed = True
        assert self.listener is not None
        self.listener.on_own_term_committed()

    def commit(self, high_watermark: int | None = None) -> None:
        """Everything, when it is not said what."""
        self.high_watermark = self.log.end_offset if high_watermark is None else Offset(high_watermark)
        assert self.listener is not None
        self.listener.on_commit(self.high_watermark)

    def truncate(self, end_offset: int) -> None:
        assert self.listener is not None
        self.listener.on_truncated(Offset(end_offset))


class FakePeers:
    """`cluster.peers.Peers` of node 1. What it asks others is written down, and answered as the test says."""

    def __init__(self) -> None:
        self.node = NODE
        self.nodes = frozenset(NODES)
        self.handlers: dict[str, CallHandler] = {}
        self.asked: list[tuple[NodeId, str, bytes]] = []
        self.answer: bytes | KafkaError = b""

    def live(self) -> frozenset[NodeId]:
        return self.nodes

    async def call(self, node: NodeId, method: str, request: bytes, deadline: float) -> bytes:
        if node == self.node:
            return await self.handlers[method](node, request)
        self.asked.append((node, method, request))
        if isinstance(self.answer, KafkaError):
            raise self.answer
        return self.answer

    def serve(self, method: str, handler: CallHandler) -> None:
        self.handlers[method] = handler


class _Factory:
    """`PartitionFactory` whose groups are fakes."""

    def __init__(self, disk: CrashDisk, clock: LoopClock) -> None:
        self._disk = disk
        self._clock = clock
        self.groups: dict[TopicPartition, FakeGroup] = {}
        self.removed: list[Partition] = []
        self.removed_unopened: list[TopicPartition] = []
        self.failure: OSError | None = None
        # Cleared by a test that has a removal take its time.
        self.may_remove = asyncio.Event()
        self.may_remove.set()

    def open(self, created: TopicPartitionImage, config: TopicConfig) -> Partition:
        if self.failure is not None:
            raise self.failure
        name, image = TopicPartition(created.topic.name, created.partition), created.image
        partition = self.make(name, created.topic.topic_id, image.nodes, config)
        partition.revision = image.revision_of(NODE) or 0
        return partition

    def make(
        self, name: TopicPartition, topic_id: TopicId, replicas: Sequence[NodeId], config: TopicConfig
    ) -> Partition:
        log_config = LogConfig(retention_bytes=config.retention_bytes, deletes=config.deletes)
        log = PartitionLog.open(
            str(name), self._disk, log_config, self._clock, was_clean=False, topic_id=topic_id
        )
        group = self.groups[name] = FakeGroup(log, replicas)
        partition = Partition(
            name=name,
            topic_id=topic_id,
            replicas=replicas,
            log=log,
            group=group,
            config=config,
            clock=self._clock,
            traffic=TopicTraffic(),
        )
        group.listener = partition
        return partition

    def reconfigure(self, partition: Partition, config: TopicConfig) -> None:
        partition.configure(config)

    def change_replicas(self, partition: Partition, image: PartitionImage) -> None:
        partition.change_replicas(image.nodes, len(image.wanted))

    async def delete(self, partition: Partition) -> None:
        partition.log.close()

    async def remove(self, partition: Partition) -> None:
        self.removed.append(partition)
        await self.may_remove.wait()
        partition.log.close()

    def remove_unopened(self, topic_id: TopicId, name: TopicPartition) -> None:
        self.removed_unopened.append(name)

    async def set_aside(self, partition: Partition) -> None:
        partition.log.close()

    async def close(self, partitions: Sequence[Partition]) -> Mapping[Partition, OSError]:
        return {}


class ClusterStage:
    """See the module. `settings` have `_` for `.`; node n is in rack `rack-n`."""

    def __init__(self, **settings: str) -> None:
        self.clock = LoopClock()
        self.settings = BrokerConfig({name.replace("_", "."): value for name, value in settings.items()})
        self.disk = CrashDisk()
        self.peers = FakePeers()
        self.leadership = LeadershipTable()
        self.metadata = SimpleNamespace(image=ClusterImage())
        self.factory = _Factory(self.disk, self.clock)
        self.replicas = self._make_replicas()
        meta = TopicPartition(METADATA_TOPIC, 0)
        config = self._topic_config(ClusterImage(), METADATA_TOPIC)
        self.meta = self.factory.make(meta, TopicId(bytes(15) + b"\x01"), NODES, config)
        self.broker = Broker(
            node_id=NODE,
            cluster_id="cluster",
            settings=self.settings,
            clock=self.clock,
            randomness=random.Random(1),
            endpoints={},
            metadata=cast("object", self.metadata),  # type: ignore[arg-type]
            leadership=self.leadership,
            peers=self.peers,
            quorum=Quorum(lambda: self.meta, self.peers, self.clock),
            transfers=LeadershipTransfer(self.replicas, self.leadership, self.peers),
            replicas=self.replicas,
            groups=cast("object", None),  # type: ignore[arg-type]
            producer_ids=cast("object", None),  # type: ignore[arg-type]
            fetch_sessions=FetchSessionCache(lambda: 10, self.clock, random.Random(1)),
            memory=NodeMemory(received_bytes_max=1 << 30, unsent_bytes_max=1 << 30),
        )
        self._dispatcher = Dispatcher(self.broker, lambda: 0.0)
        self.apply([_registered(node) for node in NODES])

    def _make_replicas(self) -> ReplicaManager:
        return ReplicaManager(
            node_id=NODE,
            factory=self.factory,
            leadership=self.leadership,
            topic_config=self._topic_config,
            load_cold=_load,
            disk_usage=lambda: DiskUsage(directory="/data", total_bytes=2, usable_bytes=1),
            clock=self.clock,
        )

    def _topic_config(self, image: ClusterImage, topic: str) -> TopicConfig:
        return resolve_topic_config(topic_defaults(self.settings), image.topic_config(topic))

    # What the metadata says.

    @property
    def image(self) -> ClusterImage:
        image: ClusterImage = self.metadata.image
        return image

    def apply(self, records: Sequence[MetadataRecord]) -> None:
        self.metadata.image, delta = apply_records(self.image, records)
        self.replicas.on_metadata(delta, self.image)

    def create(
        self,
        topic: str,
        partitions: int = 1,
        replicas: Sequence[int] = NODES,
        first_leader: int | None = None,
        **configs: str,
    ) -> None:
        topic_id = TopicId(topic.encode().ljust(16, b"-"))
        leader = NodeId(replicas[0] if first_leader is None else first_leader)
        nodes = tuple(NodeId(node) for node in replicas)
        self.apply(
            [
                TopicCreated(name=topic, topic_id=topic_id),
                *(
                    ConfigChanged(resource=topic_resource(topic), key=key.replace("_", "."), value=value)
                    for key, value in configs.items()
                ),
                *(
                    PartitionCreated(topic_id=topic_id, partition=index, replicas=nodes, leader=leader)
                    for index in range(partitions)
                ),
            ]
        )

    def delete(self, topic: str) -> None:
        self.apply([TopicDeleted(topic_id=self.image.topics[topic].topic_id)])

    def change(
        self, topic: str, revision: int, *replicas: tuple[int, int], target: Sequence[int] = ()
    ) -> None:
        """`replicas`: node and revision of each."""
        self.apply(
            [
                PartitionChanged(
                    topic_id=self.image.topics[topic].topic_id,
                    partition=0,
                    replicas=tuple(ReplicaRef(NodeId(node), added) for node, added in replicas),
                    target=tuple(map(NodeId, target)),
                    revision=revision,
                )
            ]
        )

    # What is here, and what others say.

    def partition(self, topic: str, index: int = 0) -> Partition:
        return self.replicas.replica(topic, index)

    def group(self, topic: str, index: int = 0) -> FakeGroup:
        return self.factory.groups[TopicPartition(topic, index)]

    def leader(self, topic: str, index: int = 0) -> Leader | None:
        return self.leadership.leader(self.image.topics[topic].topic_id, index)

    def announce(self, node: int, epoch: int, topic: str, index: int = 0) -> None:
        """What another node says of itself."""
        topic_id = self.image.topics[topic].topic_id
        self.leadership.announce(topic_id, index, Leader(NodeId(node), LeaderEpoch(epoch)))

    # Requests, as clients send them.

    async def ask(self, message: Message, version: int, response_type: type[R]) -> R:
        """The response to a request, both in their bytes of this version."""
        api = ApiKey[type(message).__module__.rpartition(".")[2].upper()]
        asked = request(api, version, message)
        reply = self._dispatcher.dispatch(memoryview(asked.frame)[4:], client_session())
        parts = await reply if isinstance(reply, Awaitable) else reply
        assert parts is not None, "no answer"
        (frame,) = cut_frames(b"".join(parts))
        response = decode_response(asked, frame)
        assert isinstance(response, response_type)
        return response


async def _load(cold: ColdRead) -> LogSlice:
    return cold.load()


def _registered(node: NodeId) -> BrokerRegistered:
    endpoint = BrokerEndpoint(listener="PLAINTEXT", host=f"host-{node}", port=9091 + node)
    directory = f"AAAAAAAAAAAAAAAAAAAAA{'ABCD'[node]}"
    return BrokerRegistered(node=node, directory_id=directory, endpoints=(endpoint,), rack=f"rack-{node}")
