"""Files that are lost or cut short on a live data directory, while its node is down.

On one node at a time, as with replaced disks. After a clean stop it may be any of them; after a kill only
what is missed however little was written since the store was last told (docs/correctness.md says more). Often
another replica is cut off before and the leader killed after, so that who lacks records is asked to lead.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from chronik.log.names import LOG, parse_offset
from chronik.raft.state_store import COPY_FILE, STATE_FILE
from chronik.server.data_directory import has_clean_mark
from chronik.sim.agreement import votes_everywhere
from chronik.sim.disk import CrashDisk
from chronik.sim.faults.disks import DiskFaults
from chronik.sim.faults.lives import Lives
from chronik.sim.faults.stage import Stage
from chronik.sim.process import ProcessDied
from chronik.vocab.ids import NodeId

_STOP_SECONDS_MAX = 8.0
_CLEAN_STOPS = 0.7
_WITHOUT_OTHERS = 0.7
# Some batches of each producer.
_AWAY_SECONDS = (0.2, 1.5)
# Time for elections, and for records that the next leader takes.
_LEADERLESS_SECONDS = (2.0, 6.0)

# Damages a disk; what it did, or None where it found nothing to damage.
_Loss = Callable[[CrashDisk], str | None]


class _Others(NamedTuple):
    """Who has the partition in `directory` beside the node that loses files: its leader, and another."""

    directory: str
    leader: NodeId
    away: NodeId


class LostFiles:
    """Owned by `schedule.Faults`. Created with it, ends with the run."""

    def __init__(self, stage: Stage, lives: Lives, disks: DiskFaults) -> None:
        self._stage = stage
        self._lives = lives
        self._disks = disks
        self._cluster = stage.cluster
        self._random = stage.random
        # The partition that is to lose files; empty for any.
        self._directory = ""

    async def lose(self) -> None:
        stage, node = self._stage, self._stage.node()
        if stage.is_wiping or stage.down or self._cluster.rotten or not votes_everywhere(self._cluster, node):
            return
        stage.is_wiping = True
        others = self._others(node) if self._random.random() < _WITHOUT_OTHERS else None
        if others is None:
            await self._lose_files_of(node)
            await self._disks.come_back(node)
        else:
            await self._lose_without(others, node)

    async def _lose_without(self, others: _Others, node: NodeId) -> None:
        """`others.away` lacks what was acknowledged meanwhile; the leader is away when `node` is back."""
        self._directory = others.directory
        self._stage.begin("isolation", others.away)
        self._cluster.network.isolate(others.away)
        await asyncio.sleep(self._random.uniform(*_AWAY_SECONDS))
        await self._lose_files_of(node)
        self._directory = ""
        leader = self._cluster.nodes.get(others.leader)
        if leader is not None and others.leader not in self._stage.down:
            self._stage.begin("kill", others.leader)
            self._stage.down.add(others.leader)
            leader.crash(is_power_lost=False)
        self._stage.end("isolation", others.away)
        for other in self._cluster.all_nodes:
            if other != others.away:
                self._cluster.network.heal(others.away, other)
        await asyncio.gather(self._disks.come_back(node), self._bring_back(others.leader))

    async def _bring_back(self, leader: NodeId) -> None:
        await asyncio.sleep(self._random.uniform(*_LEADERLESS_SECONDS))
        self._stage.down.discard(leader)
        await self._lives.open(leader)

    def _others(self, node: NodeId) -> _Others | None:
        """Of a partition that clients write to, as far as that is seen."""
        replicas = self._cluster.nodes[node].broker.replicas.partitions()
        followed = [each for each in replicas if each.is_replicated and not each.is_leader]
        followed = [each for each in followed if each.group.known_leader is not None]
        if not followed:
            return None
        chosen = max(self._random.choices(followed, k=3), key=lambda each: each.log.end_offset)
        leader = chosen.group.known_leader
        rest = [other for other in chosen.replicas if other not in (node, leader)]
        if leader is None or leader == node or not rest:
            return None
        return _Others(str(chosen.name), leader, self._random.choice(rest))

    # What is lost.

    async def _lose_files_of(self, node: NodeId) -> None:
        running = self._cluster.nodes.get(node)
        if running is None or node in self._stage.down:
            # It died meanwhile, perhaps with its machine.
            return
        self._stage.down.add(node)
        if self._random.random() >= _CLEAN_STOPS:
            running.crash(is_power_lost=False)
            self._lose_one(node, "killed", [self._lose_directory, self._lose_store])
            return
        try:
            async with asyncio.timeout(_STOP_SECONDS_MAX):
                await self._cluster.stop(node)
        except (ProcessDied, TimeoutError):
            running.crash(is_power_lost=False)
            return
        if has_clean_mark(self._cluster.disks[node]):
            logs = [self._lose_directory, self._lose_segment, self._cut_log]
            self._lose_one(node, "stopped", [*logs, self._lose_store, self._cut_store])

    def _lose_one(self, node: NodeId, how: str, kinds: Sequence[_Loss]) -> None:
        what = self._random.choice(kinds)(self._cluster.disks[node])
        if what is not None:
            self._stage.begin("lost files", f"{node}, {how}: {what}")

    def _log(self, disk: CrashDisk) -> str | None:
        """The last segment of some partition."""
        last: dict[str, str] = {}
        for path in disk.files():
            directory, _, name = path.rpartition("/")
            if parse_offset(name, LOG) is not None and disk.content(path):
                last[directory] = path
        if self._directory in last:
            return last[self._directory]
        return self._random.choice(sorted(last.values())) if last else None

    def _lose_directory(self, disk: CrashDisk) -> str | None:
        path = self._log(disk)
        if path is None:
            return None
        directory = path.rpartition("/")[0]
        disk.lose(directory)
        return f"{directory} is gone"

    def _lose_segment(self, disk: CrashDisk) -> str | None:
        path = self._log(disk)
        if path is None:
            return None
        disk.lose(path)
        return f"{path} is gone"

    def _cut_log(self, disk: CrashDisk) -> str | None:
        path = self._log(disk)
        return None if path is None else self._cut(disk, path)

    def _lose_store(self, disk: CrashDisk) -> str | None:
        """And sometimes the copy that a clean stop left."""
        disk.lose(STATE_FILE)
        if not disk.exists(COPY_FILE) or self._random.random() < 0.3:
            return f"{STATE_FILE} is gone"
        disk.lose(COPY_FILE)
        return f"{STATE_FILE} and {COPY_FILE} are gone"

    def _cut_store(self, disk: CrashDisk) -> str | None:
        return self._cut(disk, STATE_FILE)

    def _cut(self, disk: CrashDisk, path: str) -> str:
        size = self._random.randrange(len(disk.content(path)))
        disk.cut(path, size)
        return f"{path} is cut to {size} bytes"
