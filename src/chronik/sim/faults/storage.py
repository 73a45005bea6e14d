"""Faults of a data directory while its node is stopped, a disk that is full when a node starts, and a
process without descriptors.
"""

import asyncio
import errno
import os
from itertools import pairwise

from chronik.log.names import LOG, OFFSET_INDEX, TIME_INDEX, parse_offset
from chronik.sim.disk import CrashDisk
from chronik.sim.faults.lives import DOWN_SECONDS_MAX, Lives
from chronik.sim.faults.stage import Stage
from chronik.sim.process import ProcessDied
from chronik.vocab.ids import METADATA_TOPIC, NodeId

# Besides those that are open.
_DESCRIPTORS_LEFT_MAX = 3


class StorageFaults:
    """Owned by `schedule.Faults`. Created with it, ends with the run."""

    def __init__(self, stage: Stage, lives: Lives) -> None:
        self._stage = stage
        self._lives = lives
        self._cluster = stage.cluster
        self._random = stage.random

    async def damage_indexes(self) -> None:
        """Flips bits in indexes after a clean stop. No client may notice: the log has the truth."""
        node = self._running()
        if not await self._stop(node):
            return
        disk = self._cluster.disks[node]
        for path in indexes(disk):
            position = self._random.randrange(len(disk.content(path)))
            disk.rot(path, position, 1 << self._random.randrange(8))
            self._stage.begin("damaged index", f"{node}: {path} at {position}")
        await self._start(node)

    async def lose_a_segment(self) -> None:
        """A segment between others is gone after a clean stop. One node at a time, as with rotten bits."""
        node = self._running()
        if self._is_spared(node) or not await self._stop(node):
            return
        disk = self._cluster.disks[node]
        segments = middle_segments(disk)
        # While it stopped, another node's disk may have begun to rot, or to be replaced.
        if segments and not self._is_spared(node):
            path = self._random.choice(segments)
            self._stage.begin("missing segment", f"{node}: {path}")
            self._cluster.rotten.add(node)
            disk.lose(path)
        await self._start(node)

    def _is_spared(self, node: NodeId) -> bool:
        stage = self._stage
        is_any_lost = stage.is_wiping or self._cluster.rotten - {node}
        return bool(is_any_lost) or stage.scarcity.is_spared(node)

    async def start_full(self) -> None:
        """A node finds its disk full when it starts, and room a while later."""
        node = self._stage.node()
        running = self._cluster.nodes.get(node)
        if node in self._stage.down or running is None:
            return
        disk = self._cluster.disks[node]
        self._stage.begin("full disk at a start", node)
        self._stage.down.add(node)
        disk.is_full = True
        running.crash(is_power_lost=self._random.random() < 0.5)
        starting = asyncio.create_task(self._start(node))
        await self._stage.last()
        disk.is_full = False
        self._stage.end("full disk at a start", node)
        await starting
        started = self._cluster.nodes.get(node)
        if started is not None:
            self._lives.check_failures(started, os.strerror(errno.ENOSPC), "room")
        await self._lives.replace_process(node)

    async def use_up_descriptors(self) -> None:
        """Uses up all descriptors for a while; no log may fail by it."""
        node = self._stage.node()
        running = self._cluster.nodes.get(node)
        if running is None or not running.is_open or running.has_failed_logs:
            return
        disk = self._cluster.disks[node]
        self._stage.begin("no descriptors", node)
        disk.descriptors_max = disk.open_files + self._random.randint(0, _DESCRIPTORS_LEFT_MAX)
        await self._stage.last()
        disk.descriptors_max = None
        self._stage.end("no descriptors", node)
        self._lives.check_failures(running, os.strerror(errno.EMFILE), "descriptors")
        await self._lives.replace_process(node)

    def _running(self) -> NodeId:
        """Returns a node that no other fault has taken down, if there is any."""
        running = [node for node in self._cluster.all_nodes if node not in self._stage.down]
        return self._random.choice(running or self._cluster.all_nodes)

    async def _stop(self, node: NodeId) -> bool:
        """Cleanly; False when it cannot be so."""
        running = self._cluster.nodes.get(node)
        if node in self._stage.down or running is None or not running.is_open or running.process.is_paused:
            return False
        self._stage.down.add(node)
        try:
            async with asyncio.timeout(DOWN_SECONDS_MAX * 4):
                await self._cluster.stop(node)
        except ProcessDied:
            await self._start(node)
            return False
        except TimeoutError:
            running.crash(is_power_lost=False)
            await self._start(node)
            return False
        if not self._cluster.disks[node].exists(".kafka_cleanshutdown"):
            await self._start(node)
            return False
        return True

    async def _start(self, node: NodeId) -> None:
        self._stage.down.discard(node)
        await self._lives.open(node)


def indexes(disk: CrashDisk) -> list[str]:
    """Returns those that are not empty."""
    suffixes = (OFFSET_INDEX, TIME_INDEX)
    return [path for path in disk.files() if path.endswith(suffixes) and disk.content(path)]


def middle_segments(disk: CrashDisk) -> list[str]:
    """Of topics: the segments that have others before and after them."""
    bases: dict[str, list[tuple[int, str]]] = {}
    for path in disk.files():
        directory, _, name = path.rpartition("/")
        base = parse_offset(name, LOG)
        if base is not None and not directory.startswith(METADATA_TOPIC):
            bases.setdefault(directory, []).append((base, path))
    return [path for segments in bases.values() for (_, path), _ in pairwise(sorted(segments)[1:])]
