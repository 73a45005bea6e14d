"""Files that are lost or cut short in the data directory of a node that is down.

On one node at a time, as with replaced disks. After a clean stop it may be any of them; after a kill only
files whose loss is detected even if little was written since the store's last record (docs/correctness.md has
details). Often another replica is cut off before, until it lacks a committed record, and the leader is dead
from then on until another one leads: so the replica that lacks records is asked for its vote by the one that
has lost them. No other fault begins during this, for any further death would spoil it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from chronik.broker.partition import Partition
from chronik.log.names import LOG, parse_offset
from chronik.node.data_directory import has_clean_mark
from chronik.raft.state_store import COPY_FILE, STATE_FILE
from chronik.records.batch import split_batches
from chronik.sim.agreement import votes_everywhere
from chronik.sim.disk import CrashDisk
from chronik.sim.faults.disks import DiskFaults
from chronik.sim.faults.lives import Lives
from chronik.sim.faults.stage import Stage
from chronik.sim.process import ProcessDied
from chronik.vocab.ids import NodeId, TopicPartition

_STOP_SECONDS_MAX = 8.0
_CLEAN_STOPS = 0.7
_WITHOUT_OTHERS = 0.7
# Longer than most faults last, and than it takes to vote again after them.
_CALM_SECONDS_MAX = 10.0
# Some batches of each producer.
_AWAY_SECONDS = (0.1, 0.8)
# Until a replica that is cut off lacks something; every producer sends several batches in that time.
_LACKING_SECONDS_MAX = 3.0
# A start, and elections of the metadata and of the partition one after the other.
_LEADERLESS_SECONDS_MAX = 6.0
# For records that the next leader takes.
_LEADING_SECONDS = (0.2, 1.0)
_LOOK_SECONDS = 0.02
_ROTTEN_BATCHES_MAX = 3

# Damages a disk; returns a description, or None where it found nothing to damage.
_Loss = Callable[[CrashDisk], str | None]


class _Others(NamedTuple):
    """The other replicas of `partition` than the node that loses files: its leader, and another."""

    partition: TopicPartition
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
        if stage.is_reserved or stage.scarcity.is_spared(node):
            return
        stage.is_reserved = True
        try:
            # Also when faults are to end: then those of others do, and the cluster becomes quiet.
            if not await self._until(lambda: self._is_calm(node), _CALM_SECONDS_MAX):
                return
            stage.is_wiping = True
            others = self._others(node) if self._random.random() < _WITHOUT_OTHERS else None
            if others is not None:
                await self._lose_without(others, node)
        finally:
            stage.is_reserved = False
        if others is None:
            await self._lose_files_of(node)
        await self._disks.come_back(node)

    def _is_calm(self, node: NodeId) -> bool:
        stage = self._stage
        is_quiet = not stage.is_wiping and not stage.down and not self._cluster.rotten
        return is_quiet and not stage.scarcity.is_spared(node) and votes_everywhere(self._cluster, node)

    async def _until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """True if it came to be so."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not is_so():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    async def _lose_without(self, others: _Others, node: NodeId) -> None:
        """`others.away` lacks records acknowledged since; the leader is down until another one leads. In
        the end the node is still down, or just back.
        """
        self._directory = str(others.partition)
        self._stage.begin("isolation", others.away)
        self._cluster.network.isolate(others.away)
        await asyncio.sleep(self._random.uniform(*_AWAY_SECONDS))
        await self._until(lambda: self._lacks_records(others), _LACKING_SECONDS_MAX)
        await self._lose_files_of(node)
        self._directory = ""
        leader = self._cluster.nodes.get(others.leader)
        is_killed = leader is not None and others.leader not in self._stage.down
        if leader is not None and is_killed:
            self._stage.begin("kill", others.leader)
            self._stage.down.add(others.leader)
            # Else it arrives when the isolation ends, and who was cut off lacks nothing.
            self._cluster.network.lose_what_is_said(others.leader)
            leader.crash(is_power_lost=False)
        self._stage.end("isolation", others.away)
        for other in self._cluster.all_nodes:
            if other != others.away:
                self._cluster.network.heal(others.away, other)
        self._stage.down.discard(node)
        # Without its store the node has no identity, and opens only when the leader is back.
        opening = self._lives.open(node)
        if is_killed:
            await asyncio.gather(opening, self._bring_back(others))
        else:
            await opening

    async def _bring_back(self, others: _Others) -> None:
        """Brings back the leader, after another has led for a while; none may, if only it has the records
        that others lost.
        """
        if await self._until(lambda: self._led_by(others.partition) is not None, _LEADERLESS_SECONDS_MAX):
            await asyncio.sleep(self._random.uniform(*_LEADING_SECONDS))
        self._stage.down.discard(others.leader)
        await self._lives.open(others.leader)

    def _others(self, node: NodeId) -> _Others | None:
        """Of a partition that clients write to, as far as observed."""
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
        return _Others(chosen.name, leader, self._random.choice(rest))

    def _lacks_records(self, others: _Others) -> bool:
        """True if the replica that is cut off lacks something that is committed."""
        away, leader = (
            self._replica(others.away, others.partition),
            self._replica(others.leader, others.partition),
        )
        return away is not None and leader is not None and away.log.end_offset < leader.high_watermark

    def _led_by(self, partition: TopicPartition) -> NodeId | None:
        """Returns the leader that has committed a record of its own."""
        replicas = ((node, self._replica(node, partition)) for node in self._cluster.all_nodes)
        return next(
            (node for node, found in replicas if found is not None and found.is_own_term_committed), None
        )

    def _replica(self, node: NodeId, partition: TopicPartition) -> Partition | None:
        running = self._cluster.nodes.get(node)
        if running is None or not running.is_open:
            return None
        return running.broker.replicas.find(*partition)

    # Losses.

    async def _lose_files_of(self, node: NodeId) -> None:
        running = self._cluster.nodes.get(node)
        if running is None or node in self._stage.down:
            # The node died in the meantime, perhaps with its machine.
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
            logs = [
                self._lose_directory,
                self._lose_segment,
                self._lose_inner_segment,
                self._cut_log,
                self._rot_end,
            ]
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

    def _lose_inner_segment(self, disk: CrashDisk) -> str | None:
        """Removes a segment with others after it: the log ends where it did, and has a gap."""
        last = self._log(disk)
        directory = "" if last is None else last.rpartition("/")[0]
        paths = sorted(
            path for path in disk.files() if path.startswith(f"{directory}/") and path.endswith(LOG)
        )
        if len(paths) < 2:
            return None
        path = self._random.choice(paths[:-1])
        disk.lose(path)
        return f"{path} is gone, from before the last one"

    def _cut_log(self, disk: CrashDisk) -> str | None:
        path = self._log(disk)
        return None if path is None else self._cut(disk, path)

    def _rot_end(self, disk: CrashDisk) -> str | None:
        """Bits flip in the last batches of a log, one in each: no start may take that for a torn write."""
        path = self._log(disk)
        if path is None:
            return None
        batches = split_batches(disk.content(path))
        count = self._random.randint(1, min(_ROTTEN_BATCHES_MAX, len(batches)))
        position = len(disk.content(path))
        for batch in reversed(batches[-count:]):
            position -= len(batch.data)
            disk.rot(path, position + self._random.randrange(len(batch.data)), 1 << self._random.randrange(8))
        return f"{path} is rotten from {position} on, {count} batches"

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
