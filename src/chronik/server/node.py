"""One node on the real machine: a data directory, sockets, HTTP and signals around a `LocalBroker`.

`Node.start` returns when clients can connect; `Node.stop` when everything is synced and closed. A node lives
in one event loop; `run` gives it one of its own, until a signal ends it.
"""

import asyncio
import errno
import gc
import logging
import os
import random
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from chronik.broker.context import Broker, Endpoint
from chronik.broker.dispatch import Dispatcher, import_handlers
from chronik.broker.log_maintenance import LogMaintenance
from chronik.broker.replica_manager import DiskUsage
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.log.damage import DamageKind
from chronik.log.handle_cache import OPEN_FILES_MAX
from chronik.node.data_directory import (
    Identity,
    check_contents,
    load_identity,
)
from chronik.node.local_broker import LocalBroker, Machine
from chronik.raft.syncer import Syncer
from chronik.server.binding import ListenerAddress, bind_all
from chronik.server.clock import RealClock
from chronik.server.descriptors import budget, raise_limit
from chronik.server.directory_lock import DirectoryLock
from chronik.server.disk import RealDisk
from chronik.server.disk_trouble import DiskTroubles, Trouble
from chronik.server.http.server import HttpServer
from chronik.server.http.view import NodeAbout, NodeStatistics, RaftFigures, StorageFigures
from chronik.server.listener import ConnectionLimits, Listeners
from chronik.server.loop_usage import LoopUsage
from chronik.server.settings.loading import Settings
from chronik.server.stop_signals import stop_signals
from chronik.vocab.address import host_and_port

if TYPE_CHECKING:
    from chronik.node.cluster_runtime import ClusterMember

_log = logging.getLogger(__name__)

# When the node stops: requests have this long to be answered before parked group members are refused, which
# for requests that wait for the disk is plenty, and all others this much longer. Kafka's clients reconnect by
# themselves.
_ANSWER_SECONDS = 0.1
_STOP_GRACE_SECONDS = 0.4

# How often room is looked for to fill the reserve of a disk that was full.
_RESERVE_SECONDS = 10.0

# For a node's process. Thousands of partitions are hundreds of thousands of objects, and Python's defaults
# scan all of them each time some thousands more are created: a pause in which peers wait for this node.
# Garbage here is nearly always freed by its count of references. The second number limits scans of new
# objects, such as those of a large request, to 50,000 objects or some 5 ms.
_GC_THRESHOLDS = (10_000, 5, 200)


class Node:
    """See the module. Not restarted: a new start is a new Node on the same directory."""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing yet."""
        self.settings = settings
        self._closing = AsyncExitStack()
        self._is_started = False
        self._troubles = DiskTroubles()
        self._descriptors = budget(OPEN_FILES_MAX)
        self._phase = "starting"
        # More detailed than the phase, once there is a broker.
        self._progress: Callable[[], Sequence[str]] = tuple
        self.endpoints: dict[str, Endpoint] = {}
        # Where HTTP is served; None when it is switched off.
        self.http_port: int | None = None

    @property
    def is_ready(self) -> bool:
        """True if clients can connect and use it."""
        return self._is_started and not self.reasons

    @property
    def reasons(self) -> Sequence[str]:
        """The reasons why it is not ready; empty when it is."""
        if not self._is_started:
            return self._progress() or (self._phase,)
        failure = self._local.metadata_partition.failure
        return () if failure is None else (f"the metadata log failed: {failure}",)

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients: the first listener's advertised one."""
        first = next(iter(self.endpoints.values()))
        return host_and_port(first.host, first.port)

    @property
    def broker(self) -> Broker:
        return self._local.broker

    @property
    def syncer(self) -> Syncer:
        return self._local.syncer

    async def start(self) -> None:
        """Raises DataDirectoryError, OSError (a port or the disk); then everything is closed again."""
        try:
            await self._start()
        except BaseException:
            await self._closing.aclose()
            raise
        self._is_started = True

    async def stop(self) -> None:
        """Answers open requests, syncs and closes everything. Safe to call once after `start`."""
        self._is_started, self._phase = False, "stopping"
        await self._closing.aclose()

    async def _start(self) -> None:
        for note in self.settings.notes:
            _log.info("setting", extra={"note": note})
        disk = self._open_directory()
        identity, member = self._identify(disk)
        # Ports, which another process may hold, come first: a port in use must not cost the mark of a clean
        # stop.
        sockets = self._bind()
        self._clock = RealClock()
        self._loop_usage = LoopUsage()
        self._started_ms = self._clock.now_ms()
        machine = Machine(
            disk=disk,
            clock=self._clock,
            randomness=random.SystemRandom(),
            disk_usage=lambda: _disk_usage(disk.root),
            open_files_max=self._descriptors.files,
            member=member,
            timer=time.perf_counter,
        )
        self._local = LocalBroker(machine, self.settings.config, identity, self.endpoints)
        self._progress = lambda: self._local.progress
        self._dispatcher = Dispatcher(self.broker, time.perf_counter)
        self._listeners = Listeners(self._dispatcher, self.broker.memory, self._connection_limits())
        await self._start_http()
        self._closing.push_async_callback(self._local.close)
        await self._local.open()
        # After the broker's own subscribers: its settings have changed by then.
        self.broker.metadata.subscribe(self._on_metadata)
        self._listeners.set_limits(self._connection_limits())
        self._start_maintenance()
        self._start_reserve(disk)
        self._closing.push_async_callback(self._stop_serving)
        await self._listeners.serve(sockets)

    def _open_directory(self) -> RealDisk:
        lock = DirectoryLock(self.settings.data_dir)
        self._closing.callback(lock.release)
        disk = RealDisk(self.settings.data_dir, self._troubles)
        self._closing.callback(disk.close)
        check_contents(disk, has_peers=bool(self.settings.voters))
        return disk

    def _identify(self, disk: RealDisk) -> "tuple[Identity, ClusterMember | None]":
        settings = self.settings
        if settings.voters:
            # A node alone starts sooner without.
            from chronik.server.cluster_config import cluster_member

            return cluster_member(settings, disk, self._bind_raft())
        return load_identity(disk, settings.node_id, settings.cluster_id), None

    def _bind_raft(self) -> list[socket.socket]:
        """Binds the sockets for the other nodes."""
        address = self.settings.raft_address
        assert address is not None
        try:
            sockets = bind_all(ListenerAddress(name="raft.address", host=address.host, port=address.port))
        except OSError as error:
            raise OSError(
                f"{error.strerror or error} (for the other nodes). {_raft_advice(error)}"
            ) from error
        for bound in sockets:
            self._closing.callback(bound.close)
        return sockets

    def _bind(self) -> list[tuple[str, socket.socket]]:
        """Binds every listener and determines the advertised addresses. Nothing is accepted yet."""
        config = self.settings.config
        sockets = []
        for listener in self.settings.listeners:
            address = ListenerAddress(
                name=listener.name,
                host=listener.host,
                port=listener.port,
                send_buffer_bytes=config.int("socket.send.buffer.bytes"),
                receive_buffer_bytes=config.int("socket.receive.buffer.bytes"),
            )
            for bound in bind_all(address):
                self._closing.callback(bound.close)
                sockets.append((listener.name, bound))
            advertised = self.settings.advertised(listener.name, sockets[-1][1].getsockname()[1])
            self.endpoints[listener.name] = Endpoint(
                listener=listener.name, host=advertised.host, port=advertised.port
            )
        return sockets

    async def _start_http(self) -> None:
        """Health and metrics answer before the node is ready, and until it has stopped."""
        address = self.settings.http_address
        if address is not None:
            http = HttpServer(address.host, address.port, self)
            self.http_port = await http.start()
            self._closing.push_async_callback(http.stop)

    def _on_metadata(self, delta: ClusterDelta, image: ClusterImage) -> None:
        if delta.configs_changed:
            self._listeners.set_limits(self._connection_limits())

    def _connection_limits(self) -> ConnectionLimits:
        config = self.settings.config
        return ConnectionLimits(
            connections_max=min(config.int("max.connections"), self._descriptors.connections),
            connections_per_ip_max=config.int("max.connections.per.ip"),
            idle_seconds_max=config.int("connections.max.idle.ms") / 1000,
            frame_bytes_max=config.int("socket.request.max.bytes"),
        )

    def _start_reserve(self, disk: RealDisk) -> None:
        keeping = asyncio.create_task(self._keep_reserve(disk), name="reserve")
        self._closing.push_async_callback(_end, keeping)

    async def _keep_reserve(self, disk: RealDisk) -> None:
        while True:
            await disk.run_blocking(disk.keep_reserve)
            await asyncio.sleep(_RESERVE_SECONDS)

    def _start_maintenance(self) -> None:
        config = self.settings.config
        maintenance = LogMaintenance(
            self.broker.replicas, lambda: config.int("log.retention.check.interval.ms")
        )
        maintenance.start()
        self._closing.push_async_callback(maintenance.stop)

    async def _stop_serving(self) -> None:
        """Transfers leaderships to other nodes. Then accepts no more connections, and gives open requests
        a moment to be answered; those that only wait for time are answered at once.
        """
        await self._local.drain()
        self._listeners.finish()
        self.broker.is_stopping = True
        self.broker.replicas.wake_fetchers()
        await self._listeners.wait_closed(_ANSWER_SECONDS)
        await self.broker.groups.close()
        await self._listeners.wait_closed(_STOP_GRACE_SECONDS)
        self._listeners.abort()
        # For the requests that were just cancelled, with their connections.
        await self._dispatcher.drain(_ANSWER_SECONDS)

    def about(self) -> NodeAbout:
        """See `http.view.NodeView`."""
        return NodeAbout(
            node_id=self.broker.node_id,
            cluster_id=self.broker.cluster_id,
            listeners={name: host_and_port(one.host, one.port) for name, one in self.endpoints.items()},
            started_ms=self._started_ms,
        )

    async def statistics(self) -> NodeStatistics:
        """See `http.view.NodeView`."""
        # A node that is never scraped starts sooner without.
        from chronik.server.http.quorum_snapshot import take_metadata_figures
        from chronik.server.http.snapshot import Sources, take_statistics

        runtime, metadata = self._local.runtime, self.broker.metadata
        return await take_statistics(
            Sources(
                broker=self.broker,
                requests=self._dispatcher.statistics(),
                listeners=self._listeners,
                syncs=self.syncer.statistics(),
                traffic=self._local.traffic,
                idle_ratio=self._loop_usage.idle_ratio(),
                metadata=take_metadata_figures(metadata, self._local.metadata_partition, runtime),
                raft=self._raft_figures(),
                storage=self._storage_figures(),
            )
        )

    @property
    def warnings(self) -> Sequence[str]:
        """Problems that clients do not notice."""
        local = self._local.warnings() if self._is_started else []
        return [*local, *self._troubles.warnings()]

    def _storage_figures(self) -> StorageFigures:
        storage, troubles = self._local.storage, self._troubles
        lasting = troubles.lasting()
        return StorageFigures(
            damaged_partitions=len(storage.damaged),
            damage={kind.value: storage.found[kind] for kind in DamageKind},
            short={kind.value: kind in lasting for kind in Trouble},
            refused={kind.value: count for kind, count in troubles.refused.items()},
        )

    def _raft_figures(self) -> RaftFigures | None:
        runtime = self._local.runtime
        if runtime is None:
            return None
        # A node alone has none of these figures.
        from chronik.server.http.raft_snapshot import take_raft_figures

        return take_raft_figures(runtime, self.broker.metadata)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


def _raft_advice(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            "Stop what listens there, which may be this node started twice, or give the node another address "
            "in controller.quorum.voters, on every node."
        )
    return "Set raft.address to an address of this machine by which the other nodes reach it."


def _disk_usage(root: str) -> DiskUsage:
    found = os.statvfs(root)
    return DiskUsage(
        directory=root,
        total_bytes=found.f_blocks * found.f_frsize,
        usable_bytes=found.f_bavail * found.f_frsize,
    )


async def serve(settings: Settings, on_ready: Callable[[Node], None]) -> None:
    """Run a node until a signal stops it; one that comes while it starts ends the start."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, stopping.set)
    node = Node(settings)
    starting = loop.create_task(node.start())
    stop = loop.create_task(stopping.wait())
    await asyncio.wait([starting, stop], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        return
    starting.result()
    # Objects that exist now stay; the collector need not scan them repeatedly.
    gc.freeze()
    on_ready(node)
    # In a thread, and after the start, which is not to take longer. A first request takes a turn for it.
    await loop.run_in_executor(None, import_handlers)
    await stop
    await node.stop()


def run(settings: Settings) -> None:
    """`serve` in an event loop of its own: uvloop where there is one. For a process of the node's own."""
    raise_limit()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.enable()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(settings, _announce))
    else:
        uvloop.run(serve(settings, _announce))


def _announce(node: Node) -> None:
    # Test containers for Kafka wait for this line, so it comes at every level.
    addresses = {"bootstrap_servers": node.bootstrap_servers}
    if node.http_port is not None and node.settings.http_address is not None:
        addresses["http"] = host_and_port(node.settings.http_address.host, node.http_port)
    if _log.isEnabledFor(logging.INFO):
        _log.info("Kafka Server started", extra=addresses)
    else:
        print("Kafka Server started", file=sys.stderr, flush=True)
