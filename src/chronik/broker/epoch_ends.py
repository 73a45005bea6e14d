"""Ends of leader epochs, for clients that check for truncation (OffsetForLeaderEpoch, KIP-320)."""

from chronik.log.partition_log import PartitionLog


def end_of_epoch(log: PartitionLog, epoch: int, *, current: int, reach: int) -> tuple[int, int]:
    """The largest epoch that is not above `epoch`, and where it ends; -1, -1 when nothing is known.

    `current` is the leader's own epoch. It has not ended, and reaches as far as `reach`.
    """
    if epoch == current:
        return epoch, reach
    latest = log.latest_epoch
    if latest <= epoch < current and latest < current:
        # Nothing is written in the current epoch. It begins where the log ends, as Kafka notes at once.
        return (latest if latest >= 0 else epoch), log.end_offset
    found = log.end_offset_for_epoch(epoch)
    return found.epoch, found.end_offset
