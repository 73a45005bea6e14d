"""A coordinator's state is the sum of its log: a replay into an empty one gives the same."""

from collections.abc import Sequence

from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.shard import Shard
from chronik.broker.groups.topics import MetadataTopics
from chronik.records.record import decode_records
from chronik.sim.agreement import batches
from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode
from chronik.vocab.ids import CONSUMER_OFFSETS_TOPIC


def check_coordinators(nodes: Sequence[SimNode], problems: Problems) -> None:
    """Checks groups at rest: committed offsets and generation are compared."""
    for node in nodes:
        for partition in node.broker.replicas.led():
            if partition.name.topic != CONSUMER_OFFSETS_TOPIC:
                continue
            live = node.broker.groups.runtime.shard(partition.name.partition)
            if live is None:
                problems.add(f"node {node.node}: {partition.name} is led, and not served")
                continue
            replayed = Shard(GroupConfig(), MetadataTopics(node.broker.metadata))
            for batch in batches(partition.log, partition.log.start_offset):
                for record in decode_records(batch):
                    if record.key is not None:
                        replayed.replay(record.key, record.value)
            if _summary(live) != _summary(replayed):
                problems.add(
                    f"node {node.node}: {partition.name} holds {_summary(live)}, its log {_summary(replayed)}"
                )


def _summary(shard: Shard) -> dict[str, tuple[int, dict[str, int]]]:
    """A group that nothing was written of is in memory only."""
    return {
        name: (
            group.generation if group.is_written else 0,
            {str(partition): committed.offset for partition, committed in group.offsets},
        )
        for name, group in sorted(shard.groups.items())
        if group.is_written or group.offsets
    }
