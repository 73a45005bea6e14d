"""In the end no replica of several has damage in its log: it was sent the missing records, or a whole
copy.
"""

from collections.abc import Sequence

from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode


def check_damages(nodes: Sequence[SimNode], problems: Problems) -> None:
    """Checks nodes without further faults, on sound disks."""
    for node in nodes:
        for partition in node.broker.replicas.partitions():
            lost = [damage for damage in partition.log.damages.known() if damage.is_loss]
            if lost and partition.is_replicated:
                where = f"{lost[0].first_offset} to {lost[0].end_offset}"
                problems.add(f"node {node.node} lacks {where} of {partition.name}, and goes on so")
