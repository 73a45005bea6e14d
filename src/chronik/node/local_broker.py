"""One node without its surroundings: every room up to the broker, wired on a given disk, clock and
randomness.

Created by `server.node` on the real ones, by tests and the simulator on others. `open` restores the state on
disk, whatever moment the last process ended at; `close` leaves the mark of a clean stop if it was one.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from chronik.broker.context import Broker, Endpoint
from chronik.broker.coordinator.registry import Coordinators
from chronik.broker.fetch_session import FetchSessionCache
from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.service import GroupService
from chronik.broker.groups.topics import MetadataTopics
from chronik.broker.internal_log import InternalLog
from chronik.broker.leadership_transfer import LeadershipTransfer
from chronik.broker.memory import NodeMemory
from chronik.broker.quorum import Quorum
from chronik.broker.replica_manager import DiskUsage, ReplicaManager
from chronik.broker.replica_steps import LocalStep, local_step
from chronik.broker.traffic import Traffic
from chronik.cluster.image import ClusterDelta, ClusterImage, delta_from_nothing
from chronik.cluster.internal_topics import internal_topic
from chronik.cluster.leadership import Leader, LeadershipTable, PartitionKey
from chronik.cluster.metadata.brokers import BrokerEndpoint, RegisterBroker
from chronik.cluster.metadata.configs import CLUSTER_DEFAULT, ConfigResource
from chronik.cluster.metadata.features import FeatureChanges, Features
from chronik.cluster.metadata.premises import TopicDefaults
from chronik.cluster.metadata.topics import TopicPartitionImage
from chronik.cluster.metadata_service import SUBMIT_SECONDS, MetadataService
from chronik.cluster.producer_ids import ProducerIds
from chronik.cluster.record_codec import UnreadableRecord
from chronik.cluster.registration import Registration
from chronik.cluster.snapshot import UnreadableSnapshot
from chronik.cluster.topic_creation import ensure_topic
from chronik.log.disk import Disk
from chronik.log.handle_cache import HandleCache
from chronik.log.vouched import VouchedLog
from chronik.node.data_directory import (
    DataDirectoryError,
    Identity,
    earlier_leader_epoch,
    forget_earlier_leader_epoch,
    leave_clean_mark,
    read_vouched,
    take_clean_mark,
    write_vouched,
)
from chronik.node.metadata_partition import MetadataPartition
from chronik.node.metadata_snapshots import MetadataSnapshots
from chronik.node.partition_directories import (
    METADATA_DIRECTORY,
    find_deleted,
    find_partitions,
    find_set_aside,
    mark_for_deletion,
    move_aside,
)
from chronik.node.partitions import LocalPartitions
from chronik.node.progress import Stage, describe, refusals
from chronik.node.single_node import SingleNode, SingleNodeContext
from chronik.node.storage_health import StorageHealth
from chronik.raft.group import GroupId
from chronik.raft.latency import Timer
from chronik.raft.persistence import FlushPolicy
from chronik.raft.syncer import Syncer
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.config.topic import DEFAULT_TOPIC_CONFIG, TopicConfig, resolve_topic_config, topic_defaults
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC, TopicPartition
from chronik.vocab.invariant import InvariantViolation, invariant
from chronik.vocab.seams import Clock, Randomness

if TYPE_CHECKING:
    from chronik.node.background_tasks import BackgroundTasks
    from chronik.node.cluster_runtime import ClusterMember, ClusterRuntime

_log = logging.getLogger(__name__)

# Clients wait for a coordinator; on one node the topic is there in milliseconds.
_INTERNAL_TOPIC_SECONDS_MAX = 5.0

# The rest is counted.
_STALLED_NAMED_MAX = 5

# Between two lines of the log while a start waits for other nodes.
_CATCH_UP_SECONDS = 5.0

# Between two tries to register on a full disk.
_REGISTER_SECONDS = 1.0


class Machine(NamedTuple):
    """The machine under a node."""

    disk: Disk
    clock: Clock
    randomness: Randomness
    disk_usage: Callable[[], DiskUsage]
    # Files that logs may hold open.
    open_files_max: int
    # Among which others it stands; None for a node that is its cluster.
    member: "ClusterMember | None" = None
    # Measures how long syncs and commits take; the loop's clock where None, which may count in milliseconds.
    timer: Timer | None = None


class LocalBroker:
    """See the module. `broker` is what handlers are given."""

    def __init__(
        self,
        machine: Machine,
        config: BrokerConfig,
        identity: Identity,
        endpoints: Mapping[str, Endpoint],
    ) -> None:
        """Reads and writes nothing yet."""
        self._disk = machine.disk
        self._config = config
        self._identity = identity
        self._topic_defaults = topic_defaults(config)
        self._last_topic_config = DEFAULT_TOPIC_CONFIG
        self._stage = Stage.OPENING if machine.member is None else Stage.JOINING
        # True once everything on disk is open: until then a clean mark would be false.
        self._is_opened = False
        # Whether it was so when this start began.
        self._was_clean = False
        # Runs while a node alone has no room for its registration.
        self._registering: asyncio.Task[None] | None = None
        # The previous clean stop's note of each log.
        self._vouched: dict[str, VouchedLog] = {}
        self.syncer = Syncer(machine.disk, machine.timer)
        self.traffic = Traffic()
        self._partitions = self._make_partitions(machine)
        self._leadership = LeadershipTable()
        # None on a node that is its cluster.
        self._runtime = self._make_runtime(machine)
        self._groups: ClusterRuntime | SingleNode = self._runtime or self._make_single_node(machine)
        self._replicas = ReplicaManager(
            node_id=identity.node_id,
            factory=self._partitions,
            leadership=self._leadership,
            topic_config=self._topic_config,
            load_cold=lambda cold: machine.disk.run_blocking(cold.load),
            disk_usage=machine.disk_usage,
            clock=machine.clock,
        )
        self._partitions.on_replaceable = self._replicas.replace
        self.metadata_partition = MetadataPartition(
            self._partitions,
            self._replicas,
            MetadataSnapshots(machine.disk),
            machine.clock,
            config.int("metadata.log.max.record.bytes.between.snapshots"),
            machine.timer,
        )
        self._metadata = MetadataService(
            self.metadata_partition,
            self._topic_creation_defaults,
            machine.randomness,
            peers=self._groups.peers if self._groups.has_peers else None,
            propagation=self._groups.propagation,
            epochs_heard=self._leadership.epochs,
            node=identity.node_id,
        )
        self._registration = Registration(self._metadata, self._describe)
        self.broker = self._make_broker(machine, endpoints)
        # Each kind of coordinator is registered here.
        self._coordinators = Coordinators([self.broker.groups.runtime])
        self._background = self._make_background()

    def _make_partitions(self, machine: Machine) -> LocalPartitions:
        config = self._config
        return LocalPartitions(
            disk=machine.disk,
            clock=machine.clock,
            syncer=self.syncer,
            handles=HandleCache(machine.open_files_max),
            flush=FlushPolicy(
                bytes_max=config.int("write.caching.flush.bytes"),
                interval_ms=config.int("write.caching.flush.ms"),
            ),
            producer_id_expiration_ms=lambda: config.int("producer.id.expiration.ms"),
            traffic=self.traffic,
        )

    def _make_runtime(self, machine: Machine) -> "ClusterRuntime | None":
        if machine.member is None:
            return None
        # A node alone has no use for it, and starts sooner without.
        from chronik.node.cluster_runtime import ClusterRuntime, ClusterRuntimeContext

        context = ClusterRuntimeContext(
            identity=self._identity,
            syncer=self.syncer,
            clock=machine.clock,
            randomness=machine.randomness,
            leadership=self._leadership,
            load_cold=lambda cold: machine.disk.run_blocking(cold.load),
            lag_ms=lambda: self._config.int("replica.lag.time.max.ms"),
            timer=machine.timer,
        )
        return ClusterRuntime(machine.member, context)

    def _make_single_node(self, machine: Machine) -> SingleNode:
        return SingleNode(
            SingleNodeContext(
                node=self._identity.node_id,
                directory_id=self._identity.directory_id,
                disk=self._disk,
                syncer=self.syncer,
                clock=machine.clock,
                randomness=machine.randomness,
            )
        )

    def _make_background(self) -> "BackgroundTasks | None":
        if self._runtime is None:
            return None
        from chronik.node.background_tasks import BackgroundTasks

        return BackgroundTasks(
            self._runtime,
            self.broker,
            self.metadata_partition,
            self._registration,
            self._partitions.look_after_replicas,
        )

    def _make_broker(self, machine: Machine, endpoints: Mapping[str, Endpoint]) -> Broker:
        config, replicas, peers = self._config, self._replicas, self._groups.peers
        offsets_log = InternalLog(
            partial(replicas.replica, CONSUMER_OFFSETS_TOPIC), replicas.load, machine.clock
        )
        return Broker(
            node_id=self._identity.node_id,
            cluster_id=self._identity.cluster_id,
            settings=config,
            clock=machine.clock,
            randomness=machine.randomness,
            endpoints=endpoints,
            metadata=self._metadata,
            leadership=self._leadership,
            peers=peers,
            quorum=Quorum(lambda: self.metadata_partition.partition, peers, machine.clock),
            transfers=LeadershipTransfer(replicas, self._leadership, peers),
            replicas=replicas,
            groups=GroupService(
                log=offsets_log,
                ensure_topic=self._ensure_offsets_topic,
                clock=machine.clock,
                randomness=machine.randomness,
                config=GroupConfig.from_settings(config),
                topics=MetadataTopics(self._metadata),
            ),
            producer_ids=ProducerIds(self._metadata, self._identity.node_id),
            fetch_sessions=FetchSessionCache(
                lambda: config.int("max.incremental.fetch.session.cache.slots"),
                machine.clock,
                machine.randomness,
            ),
            memory=NodeMemory(
                received_bytes_max=config.int("queued.max.request.bytes"),
                unsent_bytes_max=config.int("queued.max.response.bytes"),
            ),
        )

    @property
    def storage(self) -> StorageHealth:
        return self._partitions.health

    def warnings(self) -> list[str]:
        """Problems that clients do not notice."""
        stopped = ", ".join(f"{topic}-{partition}" for topic, partition in self._coordinators.failed())
        return [
            *self._partitions.health.warnings(),
            *([f"coordinators stopped loading: {stopped}"] if stopped else []),
            *self._stalled_changes(),
        ]

    def _stalled_changes(self) -> list[str]:
        reasons = {} if self._background is None else self._background.stalled.reasons()
        if not reasons:
            return []
        topics = self._metadata.image.topics_by_id
        named = {
            str(TopicPartition(topics[group.topic_id].name, group.partition)): reason
            for group, reason in reasons.items()
            if group.topic_id in topics
        }
        some = ", ".join(f"{name} ({reason})" for name, reason in sorted(named.items())[:_STALLED_NAMED_MAX])
        return [f"{len(reasons)} changes of replicas make no progress: {some}"]

    @property
    def runtime(self) -> "ClusterRuntime | None":
        """The way to the others; None for a node that is its cluster."""
        return self._runtime

    @property
    def progress(self) -> list[str]:
        """The progress of a start or a stop, in words, and which nodes refuse each other; empty when there
        is nothing to report.
        """
        said = describe(self._stage, self.broker, self._runtime)
        return [] if said is None else [said, *refusals(self._runtime)]

    # Life.

    async def open(self) -> None:
        """Opens `__meta` and the partitions it names; registers this node. Raises OSError,
        DataDirectoryError.

        The caller must call `close` afterwards in any case.
        """
        self._groups.open()
        earlier_epoch = earlier_leader_epoch(self._disk)
        self._vouched = read_vouched(self._disk)
        self._was_clean = take_clean_mark(self._disk)
        self._partitions.begin(
            replication=self._groups.replication,
            has_peers=self._groups.has_peers,
            earlier_epoch=earlier_epoch,
            was_clean=self._was_clean,
            vouched=self._vouched,
        )
        try:
            await self._open_metadata()
            await self._open_partitions()
        except (KafkaError, UnreadableRecord, UnreadableSnapshot, InvariantViolation) as error:
            raise DataDirectoryError(
                f"the metadata log in {METADATA_DIRECTORY} cannot be used: {error}"
            ) from error
        self._is_opened = True
        self._forget_earlier_epoch()
        self._stage = Stage.REGISTERING
        await self._register()
        self._stage = Stage.SERVING
        if self._background is not None:
            self._background.start()

    def _forget_earlier_epoch(self) -> None:
        """What a release left that kept the epochs of only replicas there: the store has them now."""
        if self._replicas.statistics().offline == 0:
            with suppress(OSError):
                self._groups.replication.store.sync_now()
                forget_earlier_leader_epoch(self._disk)

    async def drain(self) -> None:
        """Before a node of a cluster stops: transfers its leaderships, and has clients redirected."""
        if (
            self._background is not None
            and self._is_opened
            and self._config.bool("controlled.shutdown.enable")
        ):
            self._stage = Stage.DRAINING
            await self._background.drain()

    async def close(self) -> None:
        """Syncs and closes everything. Requests must have ended."""
        # A node that only waited for others has not touched the clean state on its disk.
        is_mark_true = self._is_opened or (self._was_clean and self._stage is Stage.CATCHING_UP)
        self._stage = Stage.CLOSING
        if self._background is not None:
            await self._background.stop()
        if self._registering is not None:
            self._registering.cancel()
            await asyncio.wait([self._registering])
        await self._metadata.close()
        await self._coordinators.close()
        await self.syncer.drain()
        is_clean = await self._replicas.close()
        is_clean = await self.metadata_partition.close() and is_clean
        is_clean = await self._groups.close() and is_clean
        if is_clean and is_mark_true:
            try:
                # Logs that were not opened are unchanged.
                untouched = {} if self._is_opened else self._vouched
                write_vouched(self._disk, {**untouched, **self._partitions.closed})
                leave_clean_mark(self._disk)
            except OSError as error:
                _log.warning(
                    "could not leave the clean-stop mark; the next start recovers all logs",
                    extra={"error": str(error)},
                )

    async def _open_metadata(self) -> None:
        """Find the others, if any, and learn all they know: as long as it takes a majority to be there."""
        metadata = self._metadata
        self.metadata_partition.load_snapshot(metadata)
        membership = await self._groups.join()
        if self._runtime is None:
            self.metadata_partition.open(membership, metadata)
            metadata.replay()
        else:
            self._stage = Stage.CATCHING_UP
            self.metadata_partition.open(membership, metadata)
            await self._catch_up(self._runtime)
        self._groups.check(metadata.image)
        self._leadership.subscribe(self._on_leader)

    async def _catch_up(self, runtime: "ClusterRuntime") -> None:
        # Partitions are created as soon as others have committed them: without this name their directories
        # would have no owner after a crash (`check_contents`).
        self._disk.sync_directory("")
        runtime.shorten_election()
        while not await self._metadata.catch_up(asyncio.get_running_loop().time() + _CATCH_UP_SECONDS):
            if isinstance(self._metadata.failure, UnreadableRecord):
                # It will never be ready.
                raise self._metadata.failure
            _log.info("not ready yet", extra={"reason": "; ".join(self.progress)})
        self.metadata_partition.pause()

    async def _open_partitions(self) -> None:
        """Opens the partitions of the metadata."""
        self._stage = Stage.OPENING
        metadata, image = self._metadata, self._metadata.image
        delta = delta_from_nothing(image)
        self._on_configuration(delta, image)
        self._coordinators.on_metadata(delta, image)
        own = [created for created in delta.partitions_created if self._has_replica(created)]
        self._groups.forget_unknown(own)
        self._clear_strays({f"{created.topic.name}-{created.partition}": created for created in own})
        await self._replicas.start(delta, image)
        metadata.subscribe(self._on_configuration)
        # Before replicas: an internal topic is lost before one that was made again can have leaders.
        metadata.subscribe(self._coordinators.on_metadata)
        metadata.subscribe(self._replicas.on_metadata)
        metadata.subscribe(self._registration.on_metadata)
        metadata.subscribe(_log_topics)
        metadata.subscribe(_log_features)
        self.metadata_partition.resume()

    def _has_replica(self, created: TopicPartitionImage) -> bool:
        """True if this node has, or shall have, a replica of a partition; what it has waits for an image that
        is behind.
        """
        if self._runtime is None:
            return True
        here = self._runtime.replication.revision_here(GroupId(created.topic.topic_id, created.partition))
        step = local_step(created.image, self._identity.node_id, here)
        return step not in (LocalStep.NONE, LocalStep.DELETE)

    def _clear_strays(self, wanted: Mapping[str, TopicPartitionImage]) -> None:
        """Removes the remains of deleted topics and of removed replicas. Other directories that a node alone
        does not know are moved aside: the metadata may have been lost. A cluster's metadata is that of a
        majority: a partition it does not name was deleted while this node was away.
        """
        for directory in find_deleted(self._disk):
            self._partitions.remove_later(directory)
        self._keep_set_aside()
        strays = find_partitions(self._disk, {*wanted, METADATA_DIRECTORY})
        if not strays:
            return
        deleted = self.metadata_partition.deleted_topics()
        for directory, topic_id in sorted(strays.items()):
            if topic_id is not None and (topic_id in deleted or self._groups.has_peers):
                if topic_id in self._metadata.image.topics_by_id:
                    _log.info("directory of a removed replica removed", extra={"directory": directory})
                else:
                    _log.info("directory of a deleted topic removed", extra={"directory": directory})
                # A topic of this name may come before it is gone.
                self._partitions.remove_later(mark_for_deletion(self._disk, directory, topic_id))
            else:
                kept = move_aside(self._disk, directory)
                _log.error(
                    "partition unknown to the metadata moved aside, not removed",
                    extra={"directory": directory, "kept": kept},
                )

    def _keep_set_aside(self) -> None:
        """Keeps incomplete logs as long as the replicas that replaced them may lack records."""
        topics = self._metadata.image.topics_by_id
        for directory, (topic_id, partition) in find_set_aside(self._disk).items():
            if topic_id in topics:
                self._partitions.keep_aside(directory, topic_id, partition)
            else:
                self._partitions.remove_later(directory)

    async def _register(self) -> None:
        """Raises OSError when a node alone cannot write; a node of a cluster tries until it is let."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self._registration.register(loop.time() + SUBMIT_SECONDS)
                return
            except KafkaError as error:
                if error.code is ErrorCode.UNSUPPORTED_VERSION:
                    raise DataDirectoryError(str(error)) from error
                if not self._groups.has_peers:
                    await self._on_refused(error)
                    return
                _log.info("not registered yet", extra={"reason": str(error)})

    async def _on_refused(self, error: KafkaError) -> None:
        """A node alone on a full disk serves its data to clients that knew it; it registers later."""
        if error.code is not ErrorCode.KAFKA_STORAGE_ERROR or self.metadata_partition.failure is not None:
            raise OSError(f"the metadata log takes no records: {error}") from error
        _log.error(
            "could not register: the metadata log takes no records; it is tried again",
            extra={"error": str(error)},
        )
        self._registering = asyncio.create_task(self._register_later(), name="registration")

    async def _register_later(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_REGISTER_SECONDS)
            try:
                await self._registration.register(loop.time() + SUBMIT_SECONDS)
            except KafkaError as error:
                _log.debug("not registered yet", extra={"error": str(error)})
            else:
                _log.info("registered")
                return

    def _describe(self) -> RegisterBroker:
        """Returns the registration with this node's addresses."""
        return RegisterBroker(
            node=self._identity.node_id,
            directory_id=self._identity.directory_id,
            endpoints=[
                BrokerEndpoint(listener=endpoint.listener, host=endpoint.host, port=endpoint.port)
                for endpoint in self.broker.endpoints.values()
            ],
            rack=self._config.raw("broker.rack"),
            features=[self._metadata.levels],
        )

    # Callbacks between rooms.

    def _topic_config(self, image: ClusterImage, topic: str) -> TopicConfig:
        config = resolve_topic_config(self._topic_defaults, image.topic_config(topic))
        if config != self._last_topic_config:
            self._last_topic_config = config
        # One value for all partitions that were opened one after the other and have the same settings.
        return self._last_topic_config

    def _topic_creation_defaults(self) -> TopicDefaults:
        return TopicDefaults(
            partitions=self._config.int("num.partitions"),
            replication_factor=self._config.int("default.replication.factor"),
            settings=self._topic_defaults,
        )

    def _on_configuration(self, delta: ClusterDelta, image: ClusterImage) -> None:
        """Applies changed broker settings before partitions read theirs."""
        own = ConfigResource(ResourceType.BROKER, str(self._identity.node_id))
        if own not in delta.configs_changed and CLUSTER_DEFAULT not in delta.configs_changed:
            return
        self._config.set_dynamic(broker=image.config(own), cluster=image.config(CLUSTER_DEFAULT))
        self._topic_defaults = topic_defaults(self._config)

    def _on_leader(self, key: PartitionKey, leader: Leader) -> None:
        """Coordinators live where their partition of an internal topic is led."""
        topic = self._metadata.image.topics_by_id.get(key.topic_id)
        if topic is None or not topic.is_internal:
            return
        if leader.node == self._identity.node_id:
            self._coordinators.on_leader(topic.name, key.partition, leader.epoch)
        else:
            self._coordinators.on_follower(topic.name, key.partition)

    async def _ensure_offsets_topic(self) -> int:
        """The partitions of `__consumer_offsets`, made when the first group needs it. One that exists need
        not have all its leaders: others' are no concern of a group.
        """
        existing = self._metadata.image.topics.get(CONSUMER_OFFSETS_TOPIC)
        if existing is not None:
            return len(existing.partitions)
        command = internal_topic(CONSUMER_OFFSETS_TOPIC, self._config)
        invariant(command is not None, "{} has no definition", CONSUMER_OFFSETS_TOPIC)
        assert command is not None
        deadline = asyncio.get_running_loop().time() + _INTERNAL_TOPIC_SECONDS_MAX
        topic = await ensure_topic(self._metadata, self._leadership, command, deadline)
        return len(topic.partitions)


def _log_topics(delta: ClusterDelta, image: ClusterImage) -> None:
    for topic in delta.topics_deleted:
        _log.info("topic deleted", extra={"topic": topic.name})
    for topic in delta.topics_created:
        _log.info("topic created", extra={"topic": topic.name, "partitions": len(topic.partitions)})


def _log_features(delta: ClusterDelta, image: ClusterImage) -> None:
    features = image.of(Features)
    for name in delta.of(FeatureChanges).features_changed:
        _log.info("feature level raised", extra={"feature": name, "level": features.levels[name]})
