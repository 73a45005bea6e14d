"""Whole nodes, three by default, on simulated disks that can crash, with a simulated network and time.

Each is `LocalBroker` as the node wires it, without sockets, files and threads. Run it with
`sim_process.on_processes` where nodes are to crash, on `virtual_time` otherwise.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from math import inf
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

from chronik.broker.context import Broker, Endpoint
from chronik.broker.dispatch import Dispatcher
from chronik.broker.log_maintenance import LogMaintenance
from chronik.broker.partition import Partition
from chronik.broker.replica_manager import DiskUsage
from chronik.broker.session import Session
from chronik.node import data_directory
from chronik.node.cluster_runtime import ClusterMember
from chronik.node.data_directory import check_contents, load_identity
from chronik.node.local_broker import LocalBroker, Machine
from chronik.node.lost_store import is_new_member, open_store
from chronik.node.metadata_partition import METADATA_GROUP
from chronik.node.raft_ticks import RaftTicks
from chronik.raft.state_store import StateStore
from chronik.raft.transport import PeerInfo
from chronik.sim.clock import SimClock
from chronik.sim.disk import CrashDisk
from chronik.sim.frames import cut_frames, decode_response, request
from chronik.sim.network import SimNetwork
from chronik.sim.process import SimProcess, outside
from chronik.sim.process_disk import Death, Operation, ProcessDisk
from chronik.sim.process_transport import ProcessTransport
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.ids import NodeId
from chronik.wire.apis import ApiKey
from chronik.wire.schema import Message

R = TypeVar("R", bound=Message)
T = TypeVar("T")

NODES = (NodeId(1), NodeId(2), NodeId(3))
CLUSTER_ID = "cluster-of-the-test"
TICKS = RaftTicks(tick_ms=20, election=50, heartbeat=8)
DISK_BYTES = 1 << 40

_SETTINGS = {
    "default.replication.factor": "3",
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "3",
    "num.partitions": "3",
}


class SimNode:
    """One process of a node; its next life is another one, on the same disk."""

    def __init__(self, room: "SimCluster", node: NodeId) -> None:
        self.room = room
        self.node = node
        self.disk = room.disks[node]
        self.process = SimProcess(f"node {node}")
        # Whether it has a broker; whether that serves.
        self.is_made = False
        self.is_open = False
        self.transport: ProcessTransport
        self.store: StateStore
        self.local: LocalBroker
        self.dispatcher: Dispatcher
        self._maintenance: LogMaintenance
        # Of the client that all requests come from.
        self._session = Session(connection_id=1, listener="PLAINTEXT", client_host="192.0.2.1")
        self._chance = Random(room.random.randrange(1 << 60))
        self._has_joined = False

    async def open(self) -> "SimNode":
        """Raises ProcessDied when it crashes during the start, and any error that prevents the start."""
        await self.process.do(self._open())
        return self

    async def _open(self) -> None:
        disk = ProcessDisk(self.disk, self.process, self._watch, self._die, self._chance)
        check_contents(disk, has_peers=True)
        directory_id = f"directory-{self._chance.randrange(1 << 40):011x}"
        with patch.object(data_directory, "_new_id", lambda: directory_id):
            # As `server.cluster_config` does.
            self.store = store = open_store(disk)
            identity = load_identity(disk, self.node, CLUSTER_ID)
        member = ClusterMember(
            voters=frozenset(self.room.all_nodes),
            store=store,
            is_new=is_new_member(disk, store, METADATA_GROUP),
            make_transport=self._make_transport,
            ticks=self.room.ticks,
        )
        machine = Machine(
            disk=disk,
            clock=self.room.clocks[self.node],
            randomness=random.Random(self._chance.randrange(1 << 60)),
            disk_usage=lambda: DiskUsage(
                directory="/data", total_bytes=DISK_BYTES, usable_bytes=DISK_BYTES // 2
            ),
            open_files_max=4096,
            member=member,
        )
        config = BrokerConfig({**_SETTINGS, **self.room.settings})
        endpoint = Endpoint(listener="PLAINTEXT", host="localhost", port=9091 + self.node)
        self.local = LocalBroker(machine, config, identity, {"PLAINTEXT": endpoint})
        self.is_made = True
        self.room.on_made(self)
        self.dispatcher = Dispatcher(self.broker, asyncio.get_running_loop().time)
        await self.local.open()
        self._maintenance = LogMaintenance(
            self.broker.replicas, lambda: config.int("log.retention.check.interval.ms")
        )
        self._maintenance.start()
        self.is_open = True

    def _make_transport(self, own: PeerInfo, cluster_id: str, extra: Callable[[], bytes]) -> ProcessTransport:
        with outside():
            inner = self.room.network.join(self.node, own.directory_id, extra)
        self._has_joined = True
        self.transport = ProcessTransport(inner, self.process)
        return self.transport

    async def close(self) -> None:
        await self.process.do(self._close())
        self.process.die()

    async def _close(self) -> None:
        was_open, self.is_open = self.is_open, False
        if was_open:
            await self._maintenance.stop()
        if self.is_made:
            await self.local.close()

    async def drain(self) -> None:
        await self.process.do(self.local.drain())

    # Dying.

    def _watch(self, operation: Operation) -> Death | None:
        return self.room.watch(self, operation)

    def _die(self) -> None:
        self.crash(is_power_lost=self.room.is_power_lost(self))

    def crash(self, *, is_power_lost: bool) -> None:
        """Crashes now. With its power the machine loses unsynced writes, and its peers do not see its
        connections close. A rotten disk loses none: the next start may read all of it, and would take
        rot for a torn write.
        """
        if self.process.is_dead:
            return
        is_power_lost = is_power_lost and self.node not in self.room.rotten
        with outside():
            self.room.on_dying(self)
        self.is_open = False
        self.process.die()
        with outside():
            if self._has_joined:
                self.room.network.crash(self.node, is_silent=is_power_lost)
            if is_power_lost:
                self.room.power_losses += 1
                self.disk.crash(self._chance)
            else:
                self.disk.kill()
            self.room.on_crashed(self)

    def pause(self) -> None:
        """As SIGSTOP does."""
        if not self.process.is_dead and self._has_joined:
            self.process.pause()
            self.room.paused_until[self.node] = inf
            self.room.network.pause(self.node, is_paused=True)

    def resume(self) -> None:
        if self.process.is_paused:
            self.room.network.pause(self.node, is_paused=False)
            self.process.resume()
            self.room.paused_until[self.node] = asyncio.get_running_loop().time()

    # Using it.

    @property
    def broker(self) -> Broker:
        return self.local.broker

    @property
    def has_failed_logs(self) -> bool:
        """True if its disk failed it: such logs stay closed until its process starts over."""
        if not self.is_open:
            return False
        partitions = [self.local.metadata_partition.partition, *self.broker.replicas.partitions()]
        is_any_offline = self.broker.replicas.statistics().offline > 0
        return is_any_offline or any(partition.log.is_failed for partition in partitions)

    def partition(self, topic: str, index: int = 0) -> Partition:
        return self.broker.replicas.replica(topic, index)

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Have its process do this. Raises ProcessDied."""
        return await self.process.do(work)

    async def ask(self, message: Message, version: int, response_type: type[R]) -> R:
        """Returns the response to a request, both in their bytes of this version. Raises ProcessDied when
        the node crashes before it answers.
        """
        return await self.process.do(self._ask(message, version, response_type))

    async def _ask(self, message: Message, version: int, response_type: type[R]) -> R:
        name = type(message).__name__.removesuffix("Request")
        snake = "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()
        asked = request(ApiKey[snake], version, message)
        reply = self.dispatcher.dispatch(memoryview(asked.frame)[4:], self._session)
        parts = reply if reply is None or isinstance(reply, list) else await reply
        assert parts is not None, "no answer"
        (frame,) = cut_frames(b"".join(parts))
        response = decode_response(asked, frame)
        assert isinstance(response, response_type)
        return response


class SimCluster:
    """Made in the loop. `settings` have `_` for `.`."""

    def __init__(self, seed: int = 1, count: int = 3, /, **settings: str) -> None:
        self.random = Random(seed)
        self.network = SimNetwork(self.random)
        self.all_nodes = tuple(map(NodeId, range(1, count + 1)))
        self.disks = {node: CrashDisk() for node in self.all_nodes}
        self.clocks = {node: SimClock() for node in self.all_nodes}
        self.settings = {name.replace("_", "."): value for name, value in settings.items()}
        self.ticks = TICKS
        # Running nodes, also while they open.
        self.nodes: dict[NodeId, SimNode] = {}
        self.power_losses = 0
        # Called with every change of a disk; returns whether, and where, the node dies of it.
        self.watch: Callable[[SimNode, Operation], Death | None] = lambda node, operation: None
        self.is_power_lost: Callable[[SimNode], bool] = lambda node: True
        # Nodes whose disk has returned bits other than the written ones.
        self.rotten: set[NodeId] = set()
        # When nodes that were paused went on; infinite while they are.
        self.paused_until: dict[NodeId, float] = {}
        # The loop holds tasks only weakly.
        self.background: set[asyncio.Task[None]] = set()
        # Called with each life of a node, before it opens anything.
        self.on_made: Callable[[SimNode], None] = lambda node: None
        # Called before a node crashes.
        self.on_dying: Callable[[SimNode], None] = lambda node: None

    async def open(self) -> "SimCluster":
        """All nodes at once, as a new cluster must."""
        await asyncio.gather(*(self.open_node(node) for node in self.all_nodes))
        return self

    async def open_node(self, node: NodeId) -> SimNode:
        """The node's next life."""
        assert node not in self.nodes, f"node {node} runs"
        self.nodes[node] = opened = SimNode(self, node)
        return await opened.open()

    async def close(self) -> None:
        await asyncio.gather(*(node.close() for node in self.nodes.values()))
        self.nodes.clear()

    async def stop(self, node: NodeId) -> None:
        """As SIGTERM does."""
        stopped = self.nodes[node]
        await stopped.drain()
        await stopped.close()
        del self.nodes[node]

    def crash(self, node: NodeId, *, is_power_lost: bool) -> None:
        """Now, between two operations."""
        self.nodes[node].crash(is_power_lost=is_power_lost)

    def replace_disk(self, node: NodeId) -> None:
        """For a node that does not run: all its files are gone."""
        assert node not in self.nodes, f"node {node} runs"
        self.disks[node] = CrashDisk()
        self.rotten.discard(node)

    def on_crashed(self, node: SimNode) -> None:
        if self.nodes.get(node.node) is node:
            del self.nodes[node.node]
