"""Three whole nodes on disks that forget, a network and a time that are simulated. Run it on `virtual_time`.

Each is `LocalBroker` as the node wires it, without sockets, files and threads.
"""

import asyncio
import random
from collections.abc import Callable
from random import Random
from typing import TypeVar

from chronik.broker.context import Broker, Endpoint
from chronik.broker.dispatch import Dispatcher
from chronik.broker.partition import Partition
from chronik.broker.replica_manager import DiskUsage
from chronik.raft.state_store import StateStore
from chronik.raft.transport import PeerInfo
from chronik.server.data_directory import load_identity
from chronik.server.links import Seat
from chronik.server.local_broker import LocalBroker, Machine
from chronik.server.settings_cluster import RaftTicks
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.ids import NodeId
from chronik.wire.apis import ApiKey
from chronik.wire.schema import Message
from tests.support.crash_disk import CrashDisk
from tests.support.protocol.frames import cut_frames, decode_response, request
from tests.support.sim_network import SimNetwork, SimTransport
from tests.support.virtual_time import LoopClock

R = TypeVar("R", bound=Message)

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


class _Client:
    connection_id = 1
    listener = "PLAINTEXT"
    client_host = "192.0.2.1"


class SimNode:
    """One process of a node; its next life is another one, on the same disk."""

    def __init__(self, room: "ClusterRoom", node: NodeId) -> None:
        self.room = room
        self.node = node
        self.disk = room.disks[node]
        self.transport: SimTransport
        self.local: LocalBroker
        self.dispatcher: Dispatcher

    async def open(self) -> "SimNode":
        store = StateStore.open(self.disk)
        identity = load_identity(self.disk, self.node, CLUSTER_ID)
        seat = Seat(voters=frozenset(NODES), store=store, make_transport=self._make_transport, ticks=TICKS)
        machine = Machine(
            disk=self.disk,
            clock=LoopClock(),
            randomness=random.Random(self.room.random.randrange(1 << 60)),
            disk_usage=lambda: DiskUsage(
                directory="/data", total_bytes=DISK_BYTES, usable_bytes=DISK_BYTES // 2
            ),
            open_files_max=4096,
            seat=seat,
        )
        config = BrokerConfig({**_SETTINGS, **self.room.settings})
        endpoint = Endpoint(listener="PLAINTEXT", host="localhost", port=9091 + self.node)
        self.local = LocalBroker(machine, config, identity, {"PLAINTEXT": endpoint})
        self.dispatcher = Dispatcher(self.broker, asyncio.get_running_loop().time)
        await self.local.open()
        return self

    def _make_transport(self, own: PeerInfo, cluster_id: str, extra: Callable[[], bytes]) -> SimTransport:
        self.transport = self.room.network.join(self.node, own.directory_id, extra)
        return self.transport

    @property
    def broker(self) -> Broker:
        return self.local.broker

    def partition(self, topic: str, index: int = 0) -> Partition:
        return self.broker.replicas.leader(topic, index)

    async def ask(self, message: Message, version: int, response_type: type[R]) -> R:
        """The response to a request, both in their bytes of this version."""
        name = type(message).__name__.removesuffix("Request")
        snake = "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()
        asked = request(ApiKey[snake], version, message)
        reply = self.dispatcher.dispatch(memoryview(asked.frame)[4:], _Client())
        parts = reply if reply is None or isinstance(reply, list) else await reply
        assert parts is not None, "no answer"
        (frame,) = cut_frames(b"".join(parts))
        response = decode_response(asked, frame)
        assert isinstance(response, response_type)
        return response


class ClusterRoom:
    """Made in the virtual loop. `settings` have `_` for `.`."""

    def __init__(self, seed: int = 1, **settings: str) -> None:
        self.random = Random(seed)
        self.network = SimNetwork(self.random)
        self.disks = {node: CrashDisk() for node in NODES}
        self.settings = {name.replace("_", "."): value for name, value in settings.items()}
        self.nodes: dict[NodeId, SimNode] = {}

    async def open(self) -> "ClusterRoom":
        """All at once, as a new cluster must."""
        opened = await asyncio.gather(*(SimNode(self, node).open() for node in NODES))
        self.nodes = {node.node: node for node in opened}
        return self

    async def open_node(self, node: NodeId) -> SimNode:
        self.nodes[node] = await SimNode(self, node).open()
        return self.nodes[node]

    async def close(self) -> None:
        await asyncio.gather(*(node.local.close() for node in self.nodes.values()))
        self.nodes.clear()

    async def stop(self, node: NodeId) -> None:
        """As SIGTERM does."""
        stopped = self.nodes.pop(node)
        await stopped.local.hand_over()
        await stopped.local.close()
