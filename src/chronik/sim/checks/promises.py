"""What clients were told, held against the logs in the end."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from chronik.log.partition_log import PartitionLog
from chronik.sim.agreement import values
from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode
from chronik.sim.workload.history import History, Sent
from chronik.vocab.ids import Offset, TopicPartition


def check_promises(
    history: History, nodes: Sequence[SimNode], idempotent: frozenset[str], problems: Problems
) -> None:
    """`nodes` agree by now. `idempotent` names the producers whose records may be there only once."""
    for partition in history.partitions():
        if partition.topic in history.doomed:
            continue
        log = _log(nodes, partition)
        found = [(Offset(offset), value) for offset, value in values(log)]
        _check_records(history, partition, found, log.start_offset, problems)
        _check_order(history, partition, found, idempotent, problems)
        _check_reads(history, partition, dict(found), log.start_offset, problems)


def _log(nodes: Sequence[SimNode], partition: TopicPartition) -> PartitionLog:
    replicas = (node.broker.replicas.find(*partition) for node in nodes)
    return next(replica.log for replica in replicas if replica is not None)


def _check_records(
    history: History,
    partition: TopicPartition,
    found: Sequence[tuple[Offset, bytes]],
    start: Offset,
    problems: Problems,
) -> None:
    """Everything acknowledged is there, nothing is there that nobody sent, and no offset is left out."""
    at = dict(found)
    present = set(at.values())
    for value, sent in history.sent.items():
        if sent.partition != partition or value not in history.acknowledged:
            continue
        offset = history.acknowledged[value]
        if offset is None:
            if value not in present and start == 0:
                problems.add(f"{partition}: {value[:40]!r} was acknowledged, and is not there")
        elif offset >= start and at.get(offset) != value:
            problems.add(f"{partition}: {value[:40]!r}, acknowledged at {offset}, is not there")
    for offset, value in found:
        if value not in history.sent or history.sent[value].partition != partition:
            problems.add(f"{partition}: nobody sent {value[:40]!r}, which is at {offset}")
    holes = [before for (before, _), (after, _) in pairwise(found) if after != before + 1]
    if holes:
        problems.add(f"{partition}: offsets are left out after {holes[:5]}")


def _check_order(
    history: History,
    partition: TopicPartition,
    found: Sequence[tuple[Offset, bytes]],
    idempotent: frozenset[str],
    problems: Problems,
) -> None:
    """The records of an idempotent producer are there once, in the order in which it sent them."""
    numbers: dict[str, list[int]] = {}
    for _, value in found:
        sent = history.sent.get(value)
        if sent is not None and sent.producer in idempotent:
            numbers.setdefault(sent.producer, []).append(sent.number)
    for producer, kept in numbers.items():
        if kept != list(range(kept[0], kept[0] + len(kept))):
            problems.add(f"{partition}: the records of {producer} are not each there once, in order: {kept}")


def _check_reads(
    history: History,
    partition: TopicPartition,
    at: Mapping[Offset, bytes],
    start: Offset,
    problems: Problems,
) -> None:
    """Nobody was given what is not there."""
    for consumed in history.consumed:
        if consumed.partition != partition or consumed.offset < start:
            continue
        if at.get(consumed.offset) != consumed.value:
            problems.add(f"{partition}: {consumed.group} read {consumed.value[:40]!r} at {consumed.offset}")


def unread(history: History, group: str, partitions: Sequence[TopicPartition]) -> list[Sent]:
    """What was acknowledged and not given to the group."""
    read = {consumed.value for consumed in history.consumed if consumed.group == group}
    wanted = frozenset(partitions)
    return [
        sent
        for value, sent in history.sent.items()
        if sent.partition in wanted
        and value in history.acknowledged
        and value not in read
        and sent.partition not in history.deleted_below
    ]
