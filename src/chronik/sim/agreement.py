"""Checks that the nodes of a simulated cluster agree, and have kept their promises."""

import asyncio
from collections.abc import Iterator, Sequence

from chronik.broker.partition import Partition
from chronik.cluster.metadata.topics import TopicImage
from chronik.log.partition_log import PartitionLog
from chronik.log.reading import ColdRead
from chronik.node.cluster_runtime import ClusterRuntime
from chronik.records.batch import Batch
from chronik.records.record import decode_records
from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.producers import Producer, open_nodes
from chronik.vocab.ids import NodeId, Offset

_LOOK_SECONDS = 0.1


async def wait_for_agreement(room: SimCluster, seconds: float) -> list[str]:
    """Returns the remaining disagreements after `seconds`; empty as soon as there are none."""
    for _ in range(round(seconds / _LOOK_SECONDS)):
        if not disagreements(room):
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return disagreements(room)


def disagreements(room: SimCluster) -> list[str]:
    nodes = open_nodes(room)
    if len(nodes) < len(room.all_nodes):
        return [f"only {[node.node for node in nodes]} serve"]
    images = [node.broker.metadata.snapshot() for node in nodes]
    if any(image != images[0] for image in images):
        return [f"images differ, at {[offset for offset, _ in images]}"]
    problems = _compare("__meta", [_metadata(node) for node in nodes])
    problems += _compare_leaders("__meta", {node.node: _metadata(node) for node in nodes})
    for topic in nodes[0].broker.metadata.image.topics.values():
        problems += _topic_problems(nodes, topic)
    return problems


def _metadata(node: SimNode) -> Partition:
    return node.local.metadata_partition.partition


def _topic_problems(nodes: Sequence[SimNode], topic: TopicImage) -> list[str]:
    problems = []
    for index in range(len(topic.partitions)):
        name = f"{topic.name}-{index}"
        replicas = topic.partitions[index].nodes
        found = {
            node.node: node.broker.replicas.find(topic.name, index) for node in nodes if node.node in replicas
        }
        missing = [node for node, partition in found.items() if partition is None]
        if missing:
            problems.append(f"{name}: no replica on {missing}")
            continue
        partitions = {node: partition for node, partition in found.items() if partition is not None}
        problems += _compare(name, list(partitions.values()))
        problems += _compare_leaders(name, partitions)
        leaders = {node.broker.leadership.leader(topic.topic_id, index) for node in nodes}
        led = {node for node, partition in partitions.items() if partition.is_leader}
        if {leader.node for leader in leaders if leader is not None} != led or None in leaders:
            problems.append(f"{name}: the tables name {leaders}, and {led} lead")
    return problems


def _compare_leaders(name: str, partitions: "dict[NodeId, Partition]") -> list[str]:
    leading = [node for node, partition in partitions.items() if partition.is_own_term_committed]
    epochs = {partition.leader_epoch for partition in partitions.values()}
    if len(leading) != 1 or len(epochs) != 1:
        return [f"{name}: {leading} lead, epochs {epochs}"]
    return []


def _compare(name: str, partitions: Sequence[Partition]) -> list[str]:
    ends = [(partition.high_watermark, partition.log.end_offset) for partition in partitions]
    if any(end != (ends[0][0], ends[0][0]) for end in ends):
        return [f"{name}: high watermarks and ends {ends}"]
    if any(partition.log.is_failed for partition in partitions):
        return [f"{name}: a log failed"]
    start = max(partition.log.start_offset for partition in partitions)
    logs = [_contents(partition.log, start) for partition in partitions]
    if any(log != logs[0] for log in logs):
        return [f"{name}: the logs differ from {start} on"]
    return []


def _contents(log: PartitionLog, start: Offset) -> dict[int, bytes]:
    """Whole batches by their base offsets."""
    return {batch.header.base_offset: bytes(batch.data) for batch in batches(log, start)}


def votes_everywhere(room: SimCluster, node: NodeId) -> bool:
    """True if the leader of each of its groups counts the node, with the files it has now."""
    found = room.nodes.get(node)
    if found is None or not found.is_open or len(open_nodes(room)) < len(room.all_nodes):
        return False
    groups = [group for other in open_nodes(room) for group in runtime_of(other).host.groups()]
    led = {group.id: group.membership for group in groups if group.is_own_term_committed}
    own = {group.id: group.directory for group in runtime_of(found).host.groups()}
    return all(group in led for group in own) and all(
        node in led[group].voters and led[group].directories.get(node) == directory
        for group, directory in own.items()
    )


def runtime_of(node: SimNode) -> ClusterRuntime:
    runtime = node.local.runtime
    assert runtime is not None
    return runtime


def batches(log: PartitionLog, start: Offset) -> Iterator[Batch]:
    """Yields every batch from `start` on."""
    offset = start
    while offset < log.end_offset:
        read = log.read_for_replication(offset, 1 << 20)
        read = read.load() if isinstance(read, ColdRead) else read
        yield from read.batches()
        offset = Offset(read.end_offset)


def values(log: PartitionLog) -> list[tuple[int, bytes]]:
    """Offset and value of every record."""
    found: list[tuple[int, bytes]] = []
    for batch in batches(log, log.start_offset):
        base = batch.header.base_offset
        found += [(base + number, record.value or b"") for number, record in enumerate(decode_records(batch))]
    return found


def broken_promises(room: SimCluster, producer: Producer) -> list[str]:
    """Returns the acknowledgements to a producer that the cluster did not keep."""
    name = f"{producer.topic}-{producer.index}"
    problems = list(producer.refusals)
    for node in open_nodes(room):
        log = node.partition(producer.topic, producer.index).log
        found = values(log)
        at = dict(found)
        for number, offset in producer.acked.items():
            if offset >= log.start_offset and at.get(offset) != producer.value(number):
                problems.append(f"{name} on {node.node}: {number}, acknowledged at {offset}, is not there")
        if producer.is_idempotent:
            expected = [producer.value(number) for number in range(producer.sent)]
            kept = [value for _, value in found]
            if kept != expected[len(expected) - len(kept) :]:
                problems.append(f"{name} on {node.node}: not every record once and in order")
    return problems
