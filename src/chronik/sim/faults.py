"""What befalls a cluster, drawn from the seed: crashes, pauses, networks, disks and clocks.

Each fault is made, lasts a while, and is undone. Several may overlap. Some things are left out because no
cluster of this size survives them: two wiped disks at once, and a wiped disk while another replica is behind.
"""

import asyncio
import errno
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from random import Random

from chronik.log.checkpoint import parse_offset_line
from chronik.log.names import LOG, RECOVERY_POINT, parse_offset
from chronik.sim.agreement import votes_everywhere
from chronik.sim.client import ClientNetwork
from chronik.sim.cluster import SimCluster
from chronik.sim.disk import WAIT_SECONDS_MAX, CrashDisk
from chronik.sim.process import ProcessDied, outside
from chronik.sim.trace import Trace
from chronik.sim.traps import Moment, Traps
from chronik.vocab.ids import METADATA_TOPIC, NodeId, TopicPartition

_PAUSE_SECONDS_MAX = 0.8
_LASTS_SECONDS = (0.05, 2.5)
_DOWN_SECONDS_MAX = 2.0
# Several election timeouts, and longer than a session: time enough to be found out as one who still takes
# itself for the leader, and to be fenced.
_ISOLATED_SECONDS_MAX = 6.0
# So long that others have led for seconds, and what it says of old is too old.
_LONG_SECONDS = 9.0
_LONG_ISOLATIONS = 0.3
_SUPERVISOR_SECONDS = 0.5
# Some batches of each producer.
_STORM_SECONDS_MAX = 0.5
_UPHEAVAL_TRANSFERS = 8
# Some round trips and syncs.
_UPHEAVAL_SECONDS_MAX = 0.02
# Less than the hour after which a broker refuses records from its future.
_CLOCK_STEP_MS_MAX = 3_500_000
_DRIFT_MAX = 0.05
_SLOW_DISK = (5, 100)
_SLOW_LINK_SECONDS = (0.01, 0.4)
_LOSS_MAX = 0.3
# Longer than the slowest node takes to catch up.
_WIPED_SECONDS_MAX = 40.0
_LOOK_SECONDS = 0.01
_UNLUCKY = (2, 4)
_LOOKED_AT = 4
# What is on the way comes turn by turn, mostly that of other groups.
_TURNS_LEFT = (0, 0, 0, 1, 3)
# Long enough for two elections.
_UNLUCKY_SECONDS_MAX = 3.0
# Of every kind of fault, each run has none, as many as it says, or more.
_SWARM = (0, 1, 1, 3)


class Faults:
    """One per run. `begin`, `run` until `stop`, then `heal`."""

    def __init__(self, cluster: SimCluster, clients: ClientNetwork, trace: Trace, random: Random) -> None:
        self._cluster = cluster
        self._clients = clients
        self._trace = trace
        self._random = random
        self.counts: Counter[str] = Counter()
        # What keeps a node from coming back when it should; a violation.
        self.problems: list[str] = []
        self._is_stopping = False
        # Nodes that somebody has taken down and will bring back, so that nobody else does.
        self._down: set[NodeId] = set()
        self._opening: set[NodeId] = set()
        self._is_wiping = False
        self._traps = Traps(cluster, random, self._on_death)
        # The loop holds tasks only weakly.
        self._revivals: set[asyncio.Task[None]] = set()
        self._kinds: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (4, self._kill),
            (3, self._lose_power),
            (1, self._lose_all_power),
            (3, self._lose_power_in_a_storm),
            (2, self._upheaval),
            (12, self._unlucky_leaders),
            (2, self._restart),
            (1, self._roll),
            (4, self._pause),
            (3, self._isolate),
            (2, self._cut_pair),
            (3, self._cut_one_way),
            (2, self._slow_link),
            (4, self._reset),
            (2, self._cut_clients),
            (3, self._lose_answers),
            (2, self._slow_disk),
            (2, self._fail_syncs),
            (2, self._fill_disk),
            (2, self._rot),
            (2, self._step_clock),
            (1, self._drift),
            (3, self._transfer),
            (4, self._wipe),
        ]
        self._weights = [weight * random.choice(_SWARM) for weight, _ in self._kinds]

    def begin(self) -> None:
        """Nodes may die by themselves from now on."""
        self._traps.be_brittle()

    def stop(self) -> None:
        self._is_stopping = True

    async def run(self) -> None:
        """One fault after the other; several of these may run at once."""
        while not self._is_stopping:
            await asyncio.sleep(self._random.random() * _PAUSE_SECONDS_MAX)
            if self._is_stopping:
                break
            (chosen,) = self._random.choices([kind for _, kind in self._kinds], self._weights)
            await chosen()

    async def heal(self) -> None:
        """What still lasts ends; every node comes back."""
        self._cluster.network.heal_all()
        self._clients.cuts.clear()
        self._clients.loss = 0.0
        self._traps.clear()
        for node, disk in self._cluster.disks.items():
            disk.heal()
            disk.is_full = False
            disk.wait_seconds_max = WAIT_SECONDS_MAX
            self._cluster.clocks[node].drift(0.0)
        for running in list(self._cluster.nodes.values()):
            running.resume()
        for node in list(self._cluster.rotten):
            # An operator who was told of wrong checksums replaces the disk.
            self._trace.tell("fault", f"new disk {node}")
            if node in self._cluster.nodes:
                self._cluster.nodes[node].crash(is_power_lost=True)
            self._cluster.replace_disk(node)
        # A log that failed stays closed until its process begins anew, as an operator would have it.
        for node in self._cluster.all_nodes:
            running_now = self._cluster.nodes.get(node)
            if running_now is not None and running_now.has_failed_logs:
                running_now.crash(is_power_lost=False)
        await asyncio.gather(*(self.open(node) for node in self._cluster.all_nodes))

    # Nodes.

    async def open(self, node: NodeId) -> None:
        """Bring it back, whatever keeps it."""
        while node not in self._cluster.nodes:
            if node in self._opening:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            self._opening.add(node)
            try:
                await self._open_once(node)
                self._trace.tell(f"node {node}", "serves")
            except ProcessDied:
                pass
            except OSError as error:
                # Its disk; it tries again, as a supervisor would have it.
                self._give_up(node, error)
                await asyncio.sleep(0.2)
            except Exception as error:
                self._give_up(node, error)
                self.problems.append(f"node {node} does not come back: {error!r}")
                return
            finally:
                self._opening.discard(node)

    async def _open_once(self, node: NodeId) -> None:
        """A node whose metadata log fails while it starts stays, and is never ready: a supervisor ends it."""
        opening = asyncio.create_task(self._cluster.open_node(node))
        while not opening.done():
            await asyncio.wait([opening], timeout=_SUPERVISOR_SECONDS)
            running = self._cluster.nodes.get(node)
            if (
                running is not None
                and running.is_made
                and running.local.metadata_partition.failure is not None
            ):
                self._trace.tell(f"node {node}", "is never ready: its metadata log failed")
                running.crash(is_power_lost=False)
        await opening

    def _give_up(self, node: NodeId, error: Exception) -> None:
        self._trace.tell(f"node {node}", f"does not start: {error!r}")
        failed = self._cluster.nodes.get(node)
        if failed is not None:
            failed.crash(is_power_lost=False)

    def _begin(self, kind: str, who: object = "") -> None:
        self.counts[kind] += 1
        self._trace.tell("fault", f"{kind} {who}".rstrip())

    def _end(self, kind: str, who: object = "") -> None:
        self._trace.tell("fault", f"{kind} {who}".rstrip() + " ends")

    def _node(self) -> NodeId:
        return self._random.choice(self._cluster.all_nodes)

    def _pair(self) -> tuple[NodeId, NodeId]:
        first, second = self._random.sample(self._cluster.all_nodes, 2)
        return first, second

    async def _last(self) -> None:
        await asyncio.sleep(self._random.uniform(*_LASTS_SECONDS))

    async def _take_down(self, kind: str, node: NodeId, *, is_power_lost: bool) -> None:
        if node in self._down:
            return
        self._begin(kind, node)
        self._down.add(node)
        running = self._cluster.nodes.get(node)
        if running is not None:
            running.crash(is_power_lost=is_power_lost)
        await self._bring_back(node)

    async def _bring_back(self, node: NodeId) -> None:
        # Mostly short: a node that is back at once may meet again what it was asked before.
        await asyncio.sleep(self._random.random() ** 3 * _DOWN_SECONDS_MAX)
        self._down.discard(node)
        await self.open(node)

    async def _kill(self) -> None:
        await self._take_down("kill", self._node(), is_power_lost=False)

    async def _lose_power(self) -> None:
        await self._take_down("power loss", self._node(), is_power_lost=True)

    async def _lose_all_power(self) -> None:
        nodes = self._cluster.all_nodes
        await asyncio.gather(
            *(self._take_down("power loss of all", node, is_power_lost=True) for node in nodes)
        )

    async def _lose_power_in_a_storm(self) -> None:
        """All disks are slow, so that much is written and not synced when the power goes everywhere."""
        self._slow_all_disks()
        await asyncio.sleep(self._random.random() * _STORM_SECONDS_MAX)
        await self._lose_all_power()
        self._end_slow_disks()

    def _slow_all_disks(self) -> None:
        self._begin("slow disks everywhere")
        for disk in self._cluster.disks.values():
            disk.wait_seconds_max = WAIT_SECONDS_MAX * self._random.randint(*_SLOW_DISK)

    def _end_slow_disks(self) -> None:
        for disk in self._cluster.disks.values():
            disk.wait_seconds_max = WAIT_SECONDS_MAX
        self._end("slow disks everywhere")

    async def _unlucky_leaders(self) -> None:
        """A leader is cut off, or all lose their power, so that some have what others have not. Who leads
        then dies before it commits anything, and perhaps who comes after it (figure 8 of the Raft paper).
        """
        found = self._busy_leader()
        if found is None:
            return
        leader, partition = found
        self._begin("unlucky leaders", partition)
        if self._random.random() < 0.3:
            await asyncio.gather(self._lose_power_in_a_storm(), self._kill_leaders(partition, cut_off=None))
        else:
            self._cluster.network.isolate(leader)
            await self._kill_leaders(partition, cut_off=leader)

    def _busy_leader(self) -> tuple[NodeId, TopicPartition] | None:
        """Of a partition that clients write to, as far as that is seen."""
        nodes = [node for node in self._cluster.nodes.values() if node.is_open]
        led = [(node.node, partition) for node in nodes for partition in node.broker.replicas.led()]
        if not led:
            return None
        some = self._random.choices(led, k=_LOOKED_AT)
        leader, partition = max(some, key=lambda each: each[1].log.end_offset)
        return leader, partition.name

    async def _kill_leaders(self, partition: TopicPartition, cut_off: NodeId | None) -> None:
        """`cut_off` is so until the first died."""
        victims = []
        for number in range(self._random.randint(*_UNLUCKY)):
            moment = Moment.HALF_WAY if number % 2 else Moment.ELECTED
            trap = self._traps.set(partition, moment, self._random.choice(_TURNS_LEFT))
            with suppress(TimeoutError):
                await asyncio.wait_for(trap.sprung.wait(), _UNLUCKY_SECONDS_MAX)
            self._traps.drop(trap)
            if trap.victim is not None:
                victims.append(trap.victim)
            for other in self._cluster.all_nodes:
                if cut_off is not None and other != cut_off:
                    self._cluster.network.heal(cut_off, other)
        self._end("unlucky leaders", partition)
        for victim in victims:
            await self._bring_back(victim)

    def _on_death(self, node: NodeId, how: str, is_trap: bool) -> None:
        self._begin("death at work", how)
        if is_trap:
            self._down.add(node)
        elif node not in self._down and node not in self._opening:
            # Else whoever takes it down, or opens it, brings it back.
            self._down.add(node)
            with outside():
                revival = asyncio.get_running_loop().create_task(self._bring_back(node))
            self._revivals.add(revival)
            revival.add_done_callback(self._revivals.discard)

    async def _upheaval(self) -> None:
        """Everything is handed over at once, and nodes die while votes are on their way."""
        self._begin("upheaval")
        for _ in range(_UPHEAVAL_TRANSFERS):
            await self._transfer()
        await asyncio.sleep(self._random.random() * _UPHEAVAL_SECONDS_MAX)
        await asyncio.gather(self._kill(), self._lose_power())

    async def _restart(self) -> None:
        node = self._node()
        running = self._cluster.nodes.get(node)
        if node in self._down or running is None or not running.is_open or running.process.is_paused:
            return
        self._begin("restart", node)
        self._down.add(node)
        try:
            async with asyncio.timeout(_DOWN_SECONDS_MAX * 4):
                await self._cluster.stop(node)
        except ProcessDied:
            pass
        except TimeoutError:
            running.crash(is_power_lost=False)
        self._down.discard(node)
        await self.open(node)

    async def _roll(self) -> None:
        self._begin("rolling restart")
        for _ in self._cluster.all_nodes:
            await self._restart()
            if self._is_stopping:
                break

    async def _pause(self) -> None:
        node = self._node()
        running = self._cluster.nodes.get(node)
        if running is None or running.process.is_paused or node in self._down:
            return
        self._begin("pause", node)
        running.pause()
        await self._last()
        running.resume()
        self._end("pause", node)

    async def _wipe(self) -> None:
        """The disk is replaced; the node votes again once it has everything."""
        node = self._node()
        if self._is_wiping or self._down or self._cluster.rotten or not votes_everywhere(self._cluster, node):
            return
        self._is_wiping = True
        self._down.add(node)
        self._begin("new disk", node)
        self._cluster.nodes[node].crash(is_power_lost=True)
        self._cluster.replace_disk(node)
        await asyncio.sleep(self._random.random() * _DOWN_SECONDS_MAX)
        self._down.discard(node)
        await self.open(node)
        is_slow = self._random.random() < 0.5
        if is_slow:
            # Much is written around the changes of members, and not synced.
            self._slow_all_disks()
        deadline = asyncio.get_running_loop().time() + _WIPED_SECONDS_MAX
        while not votes_everywhere(self._cluster, node) and not self._is_stopping:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.1)
        if is_slow:
            self._end_slow_disks()
        self._is_wiping = self._is_stopping or not votes_everywhere(self._cluster, node)

    async def _transfer(self) -> None:
        """Somebody leads, and shall not."""
        nodes = [node for node in self._cluster.nodes.values() if node.is_open]
        led = [(node, partition) for node in nodes for partition in node.broker.replicas.led()]
        if not led:
            return
        node, partition = self._random.choice(led)
        others = [other for other in partition.replicas if other != node.node]
        self._begin("transfer", partition.name)
        with node.process.inside():
            try:
                node.broker.transfers.begin(partition, self._random.choice(others))
            except Exception as error:  # refused, with a KafkaError
                self._trace.feed("transfer", repr(error))

    # Networks.

    async def _isolate(self) -> None:
        node = self._node()
        self._begin("isolation", node)
        self._cluster.network.isolate(node)
        is_long = self._random.random() < _LONG_ISOLATIONS
        await asyncio.sleep(_LONG_SECONDS if is_long else self._random.random() * _ISOLATED_SECONDS_MAX)
        self._end("isolation", node)
        for other in self._cluster.all_nodes:
            if other != node:
                self._cluster.network.heal(node, other)

    async def _cut_pair(self) -> None:
        pair = self._pair()
        self._begin("cut", pair)
        self._cluster.network.cut(*pair)
        await asyncio.sleep(self._random.random() * _ISOLATED_SECONDS_MAX)
        self._end("cut", pair)
        self._cluster.network.heal(*pair)

    async def _cut_one_way(self) -> None:
        pair = self._pair()
        self._begin("cut one way", pair)
        self._cluster.network.cut(*pair, is_one_way=True)
        await self._last()
        self._end("cut one way", pair)
        self._cluster.network.heal(*pair)

    async def _slow_link(self) -> None:
        pair = self._pair()
        self._begin("slow link", pair)
        self._cluster.network.slow_down(*pair, self._random.uniform(*_SLOW_LINK_SECONDS))
        await self._last()
        self._end("slow link", pair)
        self._cluster.network.heal(*pair)

    async def _reset(self) -> None:
        first, second = self._pair()
        if first in self._cluster.nodes and second in self._cluster.nodes:
            self._begin("broken connection", (first, second))
            self._cluster.network.reset(first, second)

    async def _cut_clients(self) -> None:
        node = self._node()
        self._begin("cut from clients", node)
        self._clients.cuts.add(node)
        await self._last()
        self._end("cut from clients", node)
        self._clients.cuts.discard(node)

    async def _lose_answers(self) -> None:
        self._begin("lost answers")
        self._clients.loss = self._random.random() * _LOSS_MAX
        await self._last()
        self._end("lost answers")
        self._clients.loss = 0.0

    # Disks.

    async def _slow_disk(self) -> None:
        node = self._node()
        disk = self._cluster.disks[node]
        self._begin("slow disk", node)
        disk.wait_seconds_max = WAIT_SECONDS_MAX * self._random.randint(*_SLOW_DISK)
        await self._last()
        self._end("slow disk", node)
        disk.wait_seconds_max = WAIT_SECONDS_MAX

    async def _rot(self) -> None:
        """A bit flips in what a start does not look through, or it would take that for a torn write. On one
        node at a time, and not while another lacks its disk.
        """
        node = self._node()
        segments = _recovered_segments(self._cluster.disks[node])
        if not segments or self._is_wiping or self._cluster.rotten - {node}:
            return
        path = self._random.choice(segments)
        position = self._random.randrange(len(self._cluster.disks[node].content(path)))
        self._begin("rotten bit", f"{node}: {path} at {position}")
        self._cluster.rotten.add(node)
        self._cluster.disks[node].rot(path, position, 1 << self._random.randrange(8))

    async def _fail_syncs(self) -> None:
        node = self._node()
        disk = self._cluster.disks[node]
        self._begin("failing syncs", node)
        disk.fail("sync", self._random.choice((".log", "")), OSError(errno.EIO, os.strerror(errno.EIO)))
        await self._last()
        if self._random.random() < 0.5:
            # Such disks often go with their machine.
            await self._take_down("power loss", node, is_power_lost=True)
        disk.heal()
        self._end("failing syncs", node)
        await self._replace_process(node)

    async def _fill_disk(self) -> None:
        node = self._node()
        disk = self._cluster.disks[node]
        self._begin("full disk", node)
        disk.is_full = True
        await self._last()
        disk.is_full = False
        self._end("full disk", node)
        await self._replace_process(node)

    async def _replace_process(self, node: NodeId) -> None:
        """A log that failed stays closed until an operator has the node start again."""
        running = self._cluster.nodes.get(node)
        if running is not None and running.has_failed_logs:
            await self._take_down("kill", node, is_power_lost=False)

    # Clocks.

    async def _step_clock(self) -> None:
        node = self._node()
        offset = self._random.randint(-_CLOCK_STEP_MS_MAX, _CLOCK_STEP_MS_MAX)
        self._begin("clock step", f"{node} to {offset} ms")
        self._cluster.clocks[node].set(offset)

    async def _drift(self) -> None:
        node = self._node()
        self._begin("clock drift", node)
        self._cluster.clocks[node].drift(self._random.uniform(-_DRIFT_MAX, _DRIFT_MAX))
        await self._last()
        self._end("clock drift", node)


def _recovered_segments(disk: CrashDisk) -> list[str]:
    """Of topics: those wholly before the recovery point of their log."""
    bases: dict[str, list[tuple[int, str]]] = {}
    points: dict[str, int] = {}
    for path in disk.files():
        directory, _, name = path.rpartition("/")
        if directory.startswith(METADATA_TOPIC):
            continue
        base = parse_offset(name, LOG)
        if base is not None:
            bases.setdefault(directory, []).append((base, path))
        elif name == RECOVERY_POINT:
            points[directory] = parse_offset_line(disk.content(path)) or 0
    return [
        path
        for directory, segments in bases.items()
        for (_, path), (end, _) in pairwise(segments)
        if end <= points.get(directory, 0)
    ]
