"""Committed records stay: compared, batch by batch, with those that any replica has shown as committed
before.

The reference of a partition grows as the first replica's high watermark does. All others, and later lives of
the same, must have the same bytes there (Log Matching, State Machine Safety: Raft, sections 5.3 and 5.4.3), a
new leader must have all of it (Leader Completeness, section 5.4.3), and high watermarks and epochs of one
life never go back.
"""

import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from chronik.broker.partition import Partition
from chronik.log.reading import ColdRead
from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode
from chronik.vocab.ids import LeaderEpoch, NodeId, Offset, TopicId

_READ_BYTES = 1 << 20

Key = tuple[TopicId, int]


@dataclass(frozen=True, slots=True)
class _Committed:
    """One batch of the reference."""

    end_offset: Offset
    epoch: int
    # Of all its bytes except those that consensus writes.
    checksum: int


class _Reference:
    """The committed records of one partition; with holes, where they were removed before any check."""

    def __init__(self) -> None:
        self._batches: dict[Offset, _Committed] = {}
        self._bases: list[Offset] = []
        # The end of the committed records of each epoch.
        self.by_epoch: dict[int, Offset] = {}

    def contradiction(self, base: Offset, found: _Committed) -> str | None:
        """Returns the contradiction of a batch that begins at `base`, if any; else adds the batch to the
        reference.
        """
        known = self._batches.get(base)
        if known is None:
            position = bisect_right(self._bases, base)
            if position and self._batches[self._bases[position - 1]].end_offset > base:
                return f"a batch begins at {base}, inside of a committed one"
            if position < len(self._bases) and self._bases[position] < found.end_offset:
                return f"a batch ends at {found.end_offset}, inside of a committed one"
            self._bases.insert(position, base)
            self._batches[base] = found
            self.by_epoch[found.epoch] = max(found.end_offset, self.by_epoch.get(found.epoch, Offset(0)))
            return None
        return None if known == found else f"at {base} is {found}, committed was {known}"


@dataclass(slots=True)
class _Look:
    """The last observation of one partition of one life of a node."""

    partition: Partition
    checked: Offset
    high_watermark: Offset
    epoch: LeaderEpoch


class CommitCheck:
    """`look` at each node again and again, while it runs."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._references: dict[Key, _Reference] = {}
        self._leaders: dict[tuple[Key, LeaderEpoch], NodeId] = {}
        # The high watermarks of leaders when they were first seen, until they commit something of their own.
        self._unsettled: dict[tuple[Key, LeaderEpoch], Offset] = {}
        # By life of a node.
        self._looks: dict[SimNode, dict[Partition, _Look]] = {}
        self.batches_compared = 0

    def forget(self, node: SimNode) -> None:
        """That life is over."""
        self._looks.pop(node, None)

    def on_leader(self, topic_id: TopicId, index: int, node: NodeId, epoch: LeaderEpoch) -> None:
        """A node's table names `node` as leader. Election Safety: Raft, section 5.2."""
        known = self._leaders.setdefault(((topic_id, index), epoch), node)
        if known != node:
            self._problems.add(f"{topic_id.hex()}-{index}: nodes {known} and {node} both lead epoch {epoch}")

    def look(self, node: SimNode, partitions: list[Partition]) -> None:
        looks = self._looks.setdefault(node, {})
        for partition in partitions:
            found = looks.get(partition)
            if found is None:
                found = looks[partition] = _Look(
                    partition, partition.log.start_offset, partition.high_watermark, partition.leader_epoch
                )
            if partition.is_open and not partition.log.is_failed:
                self._look(node, found)

    def _look(self, node: SimNode, look: _Look) -> None:
        partition = look.partition
        high_watermark, epoch = partition.high_watermark, partition.leader_epoch
        where = f"node {node.node}, {partition.name}"
        if high_watermark < look.high_watermark:
            self._problems.add(
                f"{where}: the high watermark went from {look.high_watermark} to {high_watermark}"
            )
        if epoch < look.epoch:
            self._problems.add(f"{where}: the epoch went from {look.epoch} to {epoch}")
        look.high_watermark, look.epoch = high_watermark, epoch
        if partition.is_leader:
            self.on_leader(partition.topic_id, partition.name.partition, node.node, epoch)
            self._check_complete(where, partition)
            self._check_restraint(where, partition)
        if high_watermark > look.checked and node.node not in node.room.rotten:
            self._compare(where, look)

    def _check_complete(self, where: str, partition: Partition) -> None:
        """A leader that does not know of its successor may lack records that the successor has committed."""
        reference = self._references.get((partition.topic_id, partition.name.partition))
        if reference is None or not partition.is_own_term_committed:
            return
        epoch, end = partition.leader_epoch, partition.log.end_offset
        committed = max((upto for of, upto in reference.by_epoch.items() if of < epoch), default=Offset(0))
        if end < committed:
            self._problems.add(f"{where}: leads epoch {epoch} with {end} of {committed} committed before")

    def _check_restraint(self, where: str, partition: Partition) -> None:
        """Entries of earlier epochs are committed together with the first of its own: Raft, section 5.4.2.
        Else they may still be replaced, in a way that needs much bad luck (figure 8).
        """
        if partition.is_own_term_committed:
            return
        key = (partition.topic_id, partition.name.partition), partition.leader_epoch
        known = self._unsettled.setdefault(key, partition.high_watermark)
        if partition.high_watermark > known:
            moved = f"{known} to {partition.high_watermark} with nothing of its own"
            self._problems.add(f"{where}: leads epoch {partition.leader_epoch}, and commits from {moved}")

    def _compare(self, where: str, look: _Look) -> None:
        partition = look.partition
        key = (partition.topic_id, partition.name.partition)
        reference = self._references.setdefault(key, _Reference())
        for base, found in _committed(partition, max(look.checked, partition.log.start_offset)):
            contradiction = reference.contradiction(base, found)
            if contradiction is not None:
                self._problems.add(f"{where}: {contradiction}")
            self.batches_compared += 1
        look.checked = partition.high_watermark


def _committed(partition: Partition, start: Offset) -> Iterator[tuple[Offset, _Committed]]:
    """The batches from `start` to the high watermark."""
    log, offset = partition.log, start
    while offset < partition.high_watermark:
        read = log.read_for_replication(offset, _READ_BYTES)
        read = read.load() if isinstance(read, ColdRead) else read
        for batch in read.batches():
            header = batch.header
            if header.base_offset >= partition.high_watermark:
                return
            end = Offset(header.base_offset + header.last_offset_delta + 1)
            checksum = zlib.crc32(bytes(batch.data)[16:])
            yield Offset(header.base_offset), _Committed(end, header.leader_epoch, checksum)
        offset = Offset(read.end_offset)
