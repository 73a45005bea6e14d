"""Disks that are slow, full, failing or rotten, and disks that are replaced."""

import asyncio
import errno
import os
from itertools import pairwise

from chronik.log.checkpoint import parse_offset_line
from chronik.log.names import LOG, RECOVERY_POINT, parse_offset
from chronik.sim.agreement import votes_everywhere
from chronik.sim.disk import WAIT_SECONDS_MAX, CrashDisk
from chronik.sim.faults.lives import DOWN_SECONDS_MAX, Lives
from chronik.sim.faults.stage import Stage
from chronik.vocab.ids import METADATA_TOPIC, NodeId

_SLOW_DISK = (5, 100)
# Longer than the slowest node takes to catch up.
_WIPED_SECONDS_MAX = 40.0


class DiskFaults:
    """Owned by `schedule.Faults`. Created with it, ends with the run."""

    def __init__(self, stage: Stage, lives: Lives) -> None:
        self._stage = stage
        self._lives = lives
        self._cluster = stage.cluster
        self._random = stage.random

    async def slow_down(self) -> None:
        node = self._stage.node()
        disk = self._cluster.disks[node]
        self._stage.begin("slow disk", node)
        disk.wait_seconds_max = WAIT_SECONDS_MAX * self._random.randint(*_SLOW_DISK)
        await self._stage.last()
        self._stage.end("slow disk", node)
        disk.wait_seconds_max = WAIT_SECONDS_MAX

    def slow_all_down(self) -> None:
        """Until `end_slowness`."""
        self._stage.begin("slow disks everywhere")
        for disk in self._cluster.disks.values():
            disk.wait_seconds_max = WAIT_SECONDS_MAX * self._random.randint(*_SLOW_DISK)

    def end_slowness(self) -> None:
        for disk in self._cluster.disks.values():
            disk.wait_seconds_max = WAIT_SECONDS_MAX
        self._stage.end("slow disks everywhere")

    async def fail_syncs(self) -> None:
        node = self._stage.node()
        disk = self._cluster.disks[node]
        self._stage.begin("failing syncs", node)
        disk.fail("sync", self._random.choice((".log", "")), OSError(errno.EIO, os.strerror(errno.EIO)))
        await self._stage.last()
        if self._random.random() < 0.5:
            # Such disks often go with their machine.
            await self._lives.take_down("power loss", node, is_power_lost=True)
        disk.heal()
        self._stage.end("failing syncs", node)
        await self._lives.replace_process(node)

    async def fill(self) -> None:
        node = self._stage.node()
        disk = self._cluster.disks[node]
        running = self._cluster.nodes.get(node)
        self._stage.begin("full disk", node)
        disk.is_full = True
        await self._stage.last()
        disk.is_full = False
        self._stage.end("full disk", node)
        if running is not None:
            self._lives.check_failures(running, os.strerror(errno.ENOSPC), "room")
        await self._lives.replace_process(node)

    async def rot(self) -> None:
        """Flips a bit in a part that a start does not read, or it would be taken for a torn write. On one
        node at a time, and not while another lacks its disk.
        """
        node = self._stage.node()
        segments = recovered_segments(self._cluster.disks[node])
        is_any_lost = self._stage.is_wiping or self._cluster.rotten - {node}
        if not segments or is_any_lost or self._stage.scarcity.is_spared(node):
            return
        path = self._random.choice(segments)
        position = self._random.randrange(len(self._cluster.disks[node].content(path)))
        self._stage.begin("rotten bit", f"{node}: {path} at {position}")
        self._cluster.rotten.add(node)
        self._cluster.disks[node].rot(path, position, 1 << self._random.randrange(8))

    async def wipe(self) -> None:
        """Replaces the disk; the node votes again once it has everything."""
        stage, node = self._stage, self._stage.node()
        if stage.is_wiping or stage.down or self._cluster.rotten or not votes_everywhere(self._cluster, node):
            return
        if stage.scarcity.is_spared(node):
            return
        stage.is_wiping = True
        stage.down.add(node)
        stage.begin("new disk", node)
        self._cluster.nodes[node].crash(is_power_lost=True)
        self._cluster.replace_disk(node)
        await self.come_back(node)

    async def come_back(self, node: NodeId) -> None:
        """After a while; until it votes again, no other node may lose its files."""
        await asyncio.sleep(self._random.random() * DOWN_SECONDS_MAX)
        self._stage.down.discard(node)
        await self._lives.open(node)
        is_slow = self._random.random() < 0.5
        if is_slow:
            # Much is written around the changes of members, and not synced.
            self.slow_all_down()
        deadline = asyncio.get_running_loop().time() + _WIPED_SECONDS_MAX
        while not votes_everywhere(self._cluster, node) and not self._stage.is_stopping:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.1)
        if is_slow:
            self.end_slowness()
        self._stage.is_wiping = self._stage.is_stopping or not votes_everywhere(self._cluster, node)


def recovered_segments(disk: CrashDisk) -> list[str]:
    """Of topics: the segments wholly before the recovery point of their log."""
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
