"""In the end no replica of several knows of damage in its log: it took what it lacked, or a whole copy."""

from collections.abc import Sequence

from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode


def check_damages(nodes: Sequence[SimNode], problems: Problems) -> None:
    """Of nodes that have been left in peace, with disks that are sound."""
    for node in nodes:
        for partition in node.broker.replicas.partitions():
            lost = [damage for damage in partition.log.damages.known() if damage.is_loss]
            if lost and partition.is_replicated:
                where = f"{lost[0].first_offset} to {lost[0].end_offset}"
                problems.add(f"node {node.node} lacks {where} of {partition.name}, and goes on so")
