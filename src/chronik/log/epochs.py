"""Start offsets of leader epochs: Kafka's LeaderEpochFileCache and `leader-epoch-checkpoint`.

Every batch carries its epoch, so the file is only needed for the part that recovery does not read: it is
written before the recovery point passes, not at each new epoch.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from chronik.log.checkpoint import format_lines, parse_lines
from chronik.vocab.invariant import invariant


class EpochStart(NamedTuple):
    epoch: int
    start_offset: int


class EpochEnd(NamedTuple):
    """The largest known epoch that is not above the requested one, and the offset at which it ends."""

    epoch: int
    end_offset: int


# For an epoch newer than all, and for a log that knows none.
UNKNOWN_END = EpochEnd(-1, -1)


class LeaderEpochs:
    """Ascending in epoch and in start offset."""

    __slots__ = ("_epochs", "_starts", "is_dirty")

    def __init__(self, entries: Iterable[EpochStart] = ()) -> None:
        self._epochs: list[int] = []
        self._starts: list[int] = []
        # Changed since it was last written.
        self.is_dirty = False
        for entry in entries:
            self._epochs.append(entry.epoch)
            self._starts.append(entry.start_offset)

    @property
    def latest(self) -> int:
        """The newest epoch, -1 when there is none."""
        return self._epochs[-1] if self._epochs else -1

    def entries(self) -> list[EpochStart]:
        return [EpochStart(*entry) for entry in zip(self._epochs, self._starts, strict=True)]

    def on_batch(self, epoch: int, base_offset: int) -> None:
        """A batch of `epoch` is appended at `base_offset`."""
        if self._epochs:
            if epoch == self._epochs[-1]:
                return
            invariant(epoch > self._epochs[-1], "epoch {} after {}", epoch, self._epochs[-1])
            # An epoch whose records are all gone, and whose start moved along with the log's.
            self.truncate_end(base_offset)
        self._epochs.append(epoch)
        self._starts.append(base_offset)
        self.is_dirty = True

    def epoch_at(self, offset: int) -> int:
        """The epoch of the record at `offset`, -1 when nothing is known."""
        position = bisect_right(self._starts, offset)
        return self._epochs[position - 1] if position else -1

    def end_of(self, epoch: int, log_end_offset: int) -> EpochEnd:
        """Answers OffsetForLeaderEpoch (KIP-101, KIP-320)."""
        if not self._epochs or epoch > self._epochs[-1]:
            return UNKNOWN_END
        if epoch == self._epochs[-1]:
            return EpochEnd(epoch, log_end_offset)
        above = bisect_right(self._epochs, epoch)
        # Below the first known epoch Kafka answers the requested epoch, and the start of the first one.
        known = self._epochs[above - 1] if above else epoch
        return EpochEnd(known, self._starts[above])

    def truncate_end(self, end_offset: int) -> None:
        """Drop the epochs that begin at or after `end_offset`."""
        keep = bisect_left(self._starts, end_offset)
        if keep < len(self._starts):
            del self._epochs[keep:], self._starts[keep:]
            self.is_dirty = True

    def truncate_start(self, start_offset: int) -> None:
        """Drop the epochs that end at or before `start_offset`; the one that holds it now begins there."""
        keep = bisect_right(self._starts, start_offset) - 1
        if keep < 0 or (keep == 0 and self._starts[0] == start_offset):
            return
        del self._epochs[:keep], self._starts[:keep]
        self._starts[0] = start_offset
        self.is_dirty = True

    def format(self) -> bytes:
        return format_lines(self.entries())


def parse_epochs(content: bytes) -> LeaderEpochs | None:
    """Returns None if the checkpoint is not whole or not ascending."""
    rows = parse_lines(content)
    if rows is None or not all(len(row) == 2 and row[0].isdigit() and row[1].isdigit() for row in rows):
        return None
    entries = [EpochStart(int(epoch), int(start)) for epoch, start in rows]
    ascending = all(a.epoch < b.epoch and a.start_offset <= b.start_offset for a, b in pairwise(entries))
    return LeaderEpochs(entries) if ascending else None
