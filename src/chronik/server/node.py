"""One node: the only place where objects are wired together.

`Node.start` returns when clients can connect; `Node.stop` when everything is synced and closed. A node lives
in one event loop; `run` gives it one of its own, until a signal ends it.
"""

import asyncio
import logging
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack

from chronik.broker.context import Broker, Endpoint
from chronik.broker.dispatch import Dispatcher
from chronik.broker.fetch_session import FetchSessionCache
from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.service import GroupService
from chronik.broker.internal_log import InternalLog
from chronik.broker.memory import NodeMemory
from chronik.broker.replica_manager import DiskUsage, ReplicaManager
from chronik.broker.traffic import Traffic
from chronik.broker.upkeep import Upkeep
from chronik.cluster.commands import RegisterBroker
from chronik.cluster.image import ClusterDelta, ClusterImage, delta_from_nothing
from chronik.cluster.internal_topics import internal_topic
from chronik.cluster.leadership import Leader, LeadershipTable, PartitionKey
from chronik.cluster.metadata_service import MetadataService
from chronik.cluster.producer_ids import ProducerIds
from chronik.cluster.records import CLUSTER_DEFAULT, BrokerEndpoint, ConfigResource
from chronik.cluster.topic_creation import ensure_topic
from chronik.cluster.topic_decisions import TopicDefaults
from chronik.log.handles import HandleCache
from chronik.raft.solo import FlushPolicy
from chronik.raft.syncer import Syncer
from chronik.server.clock import RealClock
from chronik.server.data_directory import (
    DirectoryLock,
    Identity,
    leave_clean_mark,
    load_identity,
    next_leader_epoch,
    take_clean_mark,
)
from chronik.server.descriptors import raise_limit, room_for_connections
from chronik.server.disk import RealDisk
from chronik.server.http.server import HttpServer
from chronik.server.http.snapshot import take_statistics
from chronik.server.http.view import NodeStatistics
from chronik.server.listener import ConnectionLimits, ListenerAddress, Listeners, bind
from chronik.server.partitions import LocalPartitions
from chronik.server.settings import Settings
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.config.topic import DEFAULT_TOPIC_CONFIG, TopicConfig, resolve_topic_config, topic_defaults
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, METADATA_TOPIC, TopicId, TopicPartition
from chronik.vocab.invariant import invariant

_log = logging.getLogger(__name__)

# Open requests get so long when the node stops; Kafka's clients reconnect by themselves.
_STOP_GRACE_SECONDS = 0.5

# A coordinator is asked for by clients that wait; on one node the topic is there in milliseconds.
_INTERNAL_TOPIC_SECONDS_MAX = 5.0

# A topic id for `__meta`, which no metadata record names: the one KRaft reserves for its own log.
_METADATA_TOPIC_ID = TopicId(bytes(15) + b"\x01")


class Node:
    """See the module. Not restarted: a new start is a new Node on the same directory."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is opened yet."""
        self.settings = settings
        self._closing = AsyncExitStack()
        self._is_ready = False
        self._reasons: tuple[str, ...] = ("starting",)
        self.endpoints: dict[str, Endpoint] = {}
        # Where HTTP is served; None when it is switched off.
        self.http_port: int | None = None
        self._traffic = Traffic()

    @property
    def is_ready(self) -> bool:
        """Whether clients can connect and use it."""
        return self._is_ready

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not ready; empty when it is."""
        return self._reasons

    @property
    def bootstrap_servers(self) -> str:
        """What to give a client: the first listener's advertised address."""
        first = next(iter(self.endpoints.values()))
        return f"{first.host}:{first.port}"

    async def start(self) -> None:
        """Raises DataDirectoryError, OSError (a port or the disk); then everything is closed again."""
        try:
            await self._start()
        except BaseException:
            await self._closing.aclose()
            raise
        self._is_ready, self._reasons = True, ()

    async def stop(self) -> None:
        """Answer what is open, sync and close everything. Safe to call once after `start`."""
        self._is_ready, self._reasons = False, ("stopping",)
        await self._closing.aclose()

    async def _start(self) -> None:
        settings, config = self.settings, self.settings.config
        for note in settings.notes:
            _log.info("setting", extra={"note": note})
        lock = DirectoryLock(settings.data_dir)
        self._closing.callback(lock.release)
        disk = self._disk = RealDisk(settings.data_dir)
        self._closing.callback(disk.close)
        identity = load_identity(disk, settings.node_id, settings.cluster_id)
        sockets = self._bind()
        self._clock = RealClock()
        self._started_ms = self._clock.now_ms()
        self.syncer = Syncer(disk)
        self._partitions = LocalPartitions(
            disk=disk,
            clock=self._clock,
            syncer=self.syncer,
            leader_epoch=next_leader_epoch(disk),
            was_clean=take_clean_mark(disk),
            handles=HandleCache(),
            flush=FlushPolicy(
                bytes_max=config.int("write.caching.flush.bytes"),
                interval_ms=config.int("write.caching.flush.ms"),
            ),
            producer_id_expiration_ms=config.int("producer.id.expiration.ms"),
            traffic=self._traffic,
        )
        self.broker = self._make_broker(identity)
        self._dispatcher = Dispatcher(self.broker, time.perf_counter)
        self._listeners = Listeners(self._dispatcher, self.broker.memory, self._connection_limits())
        await self._start_http()
        self._closing.push_async_callback(self._close_partitions)
        self._closing.push_async_callback(self.broker.groups.close)
        self.broker.leadership.subscribe(self._on_leader)
        self._open_metadata()
        self._open_partitions()
        await self._register(identity)
        upkeep = Upkeep(self.broker.replicas, lambda: config.int("log.retention.check.interval.ms"))
        upkeep.start()
        self._closing.push_async_callback(upkeep.stop)
        self._closing.push_async_callback(self._stop_serving)
        await self._listeners.serve(sockets)

    def _make_broker(self, identity: Identity) -> Broker:
        settings, config = self.settings, self.settings.config
        leadership = LeadershipTable()
        randomness = random.SystemRandom()
        replicas = ReplicaManager(
            node_id=settings.node_id,
            factory=self._partitions,
            leadership=leadership,
            topic_config=self._topic_config,
            load_cold=lambda cold: self._disk.run_blocking(cold.load),
            disk_usage=self._disk_usage,
            clock=self._clock,
        )
        metadata = MetadataService(
            _MetadataLog(InternalLog(lambda index: replicas.leader(METADATA_TOPIC, index), self._clock)),
            lambda: TopicDefaults(
                partitions=config.int("num.partitions"),
                replication_factor=config.int("default.replication.factor"),
                settings=self._topic_defaults,
            ),
            randomness,
        )
        offsets_log = InternalLog(lambda index: replicas.leader(CONSUMER_OFFSETS_TOPIC, index), self._clock)
        return Broker(
            node_id=settings.node_id,
            cluster_id=identity.cluster_id,
            settings=config,
            clock=self._clock,
            randomness=randomness,
            endpoints=self.endpoints,
            metadata=metadata,
            leadership=leadership,
            replicas=replicas,
            groups=GroupService(
                log=offsets_log,
                ensure_topic=self._ensure_offsets_topic,
                clock=self._clock,
                randomness=randomness,
                config=GroupConfig.from_settings(config),
            ),
            producer_ids=ProducerIds(metadata, settings.node_id),
            fetch_sessions=FetchSessionCache(
                lambda: config.int("max.incremental.fetch.session.cache.slots"), self._clock, randomness
            ),
            memory=NodeMemory(
                received_bytes_max=config.int("queued.max.request.bytes"),
                unsent_bytes_max=config.int("queued.max.response.bytes"),
            ),
        )

    def _bind(self) -> list[tuple[str, socket.socket]]:
        """Bind every listener and find out what to advertise. Nothing is accepted yet."""
        sockets = []
        for listener in self.settings.listeners:
            bound = bind(ListenerAddress(name=listener.name, host=listener.host, port=listener.port))
            self._closing.callback(bound.close)
            advertised = self.settings.advertised(listener.name, bound.getsockname()[1])
            self.endpoints[listener.name] = Endpoint(
                listener=listener.name, host=advertised.host, port=advertised.port
            )
            sockets.append((listener.name, bound))
        return sockets

    def _open_metadata(self) -> None:
        """Open `__meta`, replay it, and have partitions follow it from now on."""
        name = TopicPartition(METADATA_TOPIC, 0)
        replicas, metadata = self.broker.replicas, self.broker.metadata
        replicas.adopt(self._partitions.open(name, _METADATA_TOPIC_ID, DEFAULT_TOPIC_CONFIG))
        metadata.replay()
        metadata.subscribe(self._on_configuration)
        metadata.subscribe(replicas.on_metadata)
        metadata.subscribe(self._on_topics_deleted)
        metadata.subscribe(_log_topics)
        self._closing.push_async_callback(metadata.close)

    def _open_partitions(self) -> None:
        """Bring this node to what the metadata says."""
        image = self.broker.metadata.image
        delta = delta_from_nothing(image)
        self._on_configuration(delta, image)
        wanted = {f"{created.topic.name}-{created.partition}" for created in delta.partitions_created}
        for stray in self._partitions.remove_strays(wanted | {f"{METADATA_TOPIC}-0"}):
            _log.info("removed what was left of a deleted topic", extra={"directory": stray})
        self.broker.replicas.on_metadata(delta, image)

    async def _register(self, identity: Identity) -> None:
        endpoints = [
            BrokerEndpoint(listener=endpoint.listener, host=endpoint.host, port=endpoint.port)
            for endpoint in self.endpoints.values()
        ]
        await self.broker.metadata.submit(
            RegisterBroker(
                node=self.settings.node_id,
                directory_id=identity.directory_id,
                endpoints=endpoints,
                rack=self.settings.config.raw("broker.rack"),
            )
        )

    async def _start_http(self) -> None:
        """Health and metrics answer before the node is ready, and until it has stopped."""
        address = self.settings.http_address
        if address is not None:
            http = HttpServer(address.host, address.port, self)
            self.http_port = await http.start()
            self._closing.push_async_callback(http.stop)

    async def _stop_serving(self) -> None:
        """Accept nobody, send parked group members away, and give all else a moment to be answered."""
        self._listeners.stop_accepting()
        await self.broker.groups.close()
        await self._listeners.close(_STOP_GRACE_SECONDS)

    def _connection_limits(self) -> ConnectionLimits:
        config = self.settings.config
        return ConnectionLimits(
            connections_max=min(config.int("max.connections"), room_for_connections()),
            connections_per_ip_max=config.int("max.connections.per.ip"),
            idle_seconds_max=config.int("connections.max.idle.ms") / 1000,
            frame_bytes_max=config.int("socket.request.max.bytes"),
        )

    # What others ask of the node.

    def statistics(self) -> NodeStatistics:
        """A snapshot for HTTP."""
        return take_statistics(
            broker=self.broker,
            started_ms=self._started_ms,
            requests=self._dispatcher.statistics(),
            connections=self._listeners.statistics,
            syncs=self.syncer.statistics(),
            traffic=self._traffic,
            groups=self.broker.groups.groups(),
        )

    def _topic_config(self, image: ClusterImage, topic: str) -> TopicConfig:
        return resolve_topic_config(self._topic_defaults, image.topic_config(topic))

    def _on_configuration(self, delta: ClusterDelta, image: ClusterImage) -> None:
        """Take over changed broker settings before partitions ask for theirs."""
        own = ConfigResource(ResourceType.BROKER, str(self.settings.node_id))
        self.settings.config.set_dynamic(broker=image.config(own), cluster=image.config(CLUSTER_DEFAULT))
        self._topic_defaults = topic_defaults(self.settings.config)

    def _on_leader(self, key: PartitionKey, leader: Leader) -> None:
        """Groups live where their partition of `__consumer_offsets` is led."""
        offsets = self.broker.metadata.image.topics.get(CONSUMER_OFFSETS_TOPIC)
        if offsets is None or key.topic_id != offsets.topic_id:
            return
        if leader.node == self.settings.node_id:
            self.broker.groups.on_leader(key.partition, leader.epoch)
        else:
            self.broker.groups.on_follower(key.partition)

    def _on_topics_deleted(self, delta: ClusterDelta, image: ClusterImage) -> None:
        names = {topic.name for topic in delta.topics_deleted}
        if CONSUMER_OFFSETS_TOPIC in names:
            self.broker.groups.on_topic_lost()
        # Also of topics that are there again: their offsets belonged to the old ones.
        self.broker.groups.on_topics_deleted(names)

    async def _ensure_offsets_topic(self) -> int:
        """The partitions of `__consumer_offsets`, made when the first group needs it."""
        command = internal_topic(CONSUMER_OFFSETS_TOPIC, self.settings.config)
        invariant(command is not None, "{} has no definition", CONSUMER_OFFSETS_TOPIC)
        assert command is not None
        deadline = asyncio.get_running_loop().time() + _INTERNAL_TOPIC_SECONDS_MAX
        broker = self.broker
        topic = await ensure_topic(broker.metadata, broker.leadership, command, deadline)
        return len(topic.partitions)

    def _disk_usage(self) -> DiskUsage:
        usage = shutil.disk_usage(self._disk.root)
        return DiskUsage(directory=self._disk.root, total_bytes=usage.total, usable_bytes=usage.free)

    async def _close_partitions(self) -> None:
        await self.syncer.drain()
        failures = await self.broker.replicas.close()
        for partition, error in failures.items():
            _log.error("partition did not close cleanly", extra={"partition": partition, "error": str(error)})
        if not failures:
            leave_clean_mark(self._disk)


def _log_topics(delta: ClusterDelta, image: ClusterImage) -> None:
    for topic in delta.topics_deleted:
        _log.info("topic deleted", extra={"topic": topic.name})
    for topic in delta.topics_created:
        _log.info("topic created", extra={"topic": topic.name, "partitions": len(topic.partitions)})


class _MetadataLog:
    """`__meta` as the metadata service writes it: one partition."""

    def __init__(self, log: InternalLog) -> None:
        self._log = log

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        await self._log.append(0, records)

    def replay(self) -> Iterator[tuple[bytes, bytes]]:
        for batch in self._log.replay(0):
            for key, value in batch:
                yield key, value or b""


async def serve(settings: Settings, on_ready: Callable[[Node], None]) -> None:
    """Run a node until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    node = Node(settings)
    await node.start()
    on_ready(node)
    await stopping.wait()
    await node.stop()


def run(settings: Settings) -> None:
    """`serve` in an event loop of its own: uvloop where there is one. For a process of the node's own."""
    raise_limit()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(settings, _announce))
    else:
        uvloop.run(serve(settings, _announce))


def _announce(node: Node) -> None:
    # Test containers for Kafka wait for this line.
    _log.info("Kafka Server started", extra={"bootstrap_servers": node.bootstrap_servers})
