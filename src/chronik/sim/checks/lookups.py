"""Whatever happened to a replica's indexes, each committed record is found by its offset and by its time; and
missing records in its log are never skipped silently.

Every replica is checked, not only leaders: any of them may lead next.
"""

from collections.abc import Sequence

from chronik.log.partition_log import PartitionLog
from chronik.log.reading import ColdRead, CorruptBatch
from chronik.records.record import decode_records
from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode
from chronik.sim.workload.history import History, Kept
from chronik.vocab.ids import Offset

# As small as a read can be: the batch that holds the offset comes, and no other.
_ONE_BATCH = 1


def check_lookups(history: History, nodes: Sequence[SimNode], problems: Problems) -> None:
    """Checks all records that were acknowledged, and that a replica knows to be committed."""
    for node in nodes:
        for partition in node.broker.replicas.partitions():
            log = partition.log
            if not partition.is_open or log.is_failed or partition.name.topic in history.doomed:
                continue
            end = min(partition.high_watermark, log.end_offset)
            kept = [each for each in history.kept(partition.name) if log.start_offset <= each.offset < end]
            where = f"node {node.node}, {partition.name}"
            check_log(where, log, kept, problems, is_rotten=node.node in node.room.rotten)


def check_log(
    where: str, log: PartitionLog, kept: Sequence[Kept], problems: Problems, *, is_rotten: bool
) -> None:
    """`kept`: the records certain to be in the log, in order. With a rotten disk it may report damage
    instead.
    """
    for record in kept:
        _check_offset(where, log, record, problems, is_rotten=is_rotten)
    if not is_rotten:
        _check_times(where, log, kept, problems)


def _check_offset(
    where: str, log: PartitionLog, record: Kept, problems: Problems, *, is_rotten: bool
) -> None:
    offset = record.offset
    try:
        read = log.read(offset, _ONE_BATCH, log.end_offset)
        read = read.load() if isinstance(read, ColdRead) else read
    except CorruptBatch as error:
        if not is_rotten:
            problems.add(f"{where}: {offset} cannot be read, and its disk is whole: {error}")
        return
    batch = next(read.batches(), None)
    if batch is None or not batch.header.base_offset <= offset <= batch.header.last_offset:
        problems.add(f"{where}: a read at {offset} passes over it, to {read.base_offset}")
    elif not is_rotten:
        found = {each.offset: each.value for each in decode_records(batch)}
        if found.get(offset) != record.value:
            problems.add(f"{where}: a read at {offset} finds {found}, not {record.value!r}")


def _check_times(where: str, log: PartitionLog, kept: Sequence[Kept], problems: Problems) -> None:
    """A lookup finds the first record that is at least so new: at most the first that was acknowledged."""
    first: dict[int, Offset] = {}
    for record in kept:
        first.setdefault(record.timestamp, record.offset)
    due = log.end_offset
    for timestamp in sorted(first, reverse=True):
        # Producers are several, and send again: newer records may stand before older ones.
        due = min(due, first[timestamp])
        try:
            found = log.offset_for_timestamp(timestamp)
        except CorruptBatch as error:
            problems.add(f"{where}: {timestamp} cannot be looked up, and its disk is whole: {error}")
            continue
        if found is None or found.timestamp < timestamp or found.offset > due:
            problems.add(f"{where}: {timestamp} is looked up as {found}, and {due} is so new")
