"""A cluster at rest holds nothing for any client, and its permanent state does not grow with its history."""

from collections.abc import Sequence

from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode

# So often the limit at which it is written again: the rewrite takes a while, and the live part counts too,
# which in a journal grows with each disk that was replaced.
_JOURNAL_SLACK = 12
_METADATA_SLACK = 6


def check_bounds(
    nodes: Sequence[SimNode], journal_bytes: int, metadata_bytes: int, problems: Problems
) -> None:
    """Called after all clients have ended. `journal_bytes` and `metadata_bytes`: the sizes at which terms
    and markers are compacted, and a snapshot of the metadata is taken.
    """
    for node in nodes:
        where = f"node {node.node}"
        if node.dispatcher._tasks:
            problems.add(f"{where} handles {len(node.dispatcher._tasks)} requests that nobody made")
        if node.broker.memory.loading_bytes:
            problems.add(f"{where} holds {node.broker.memory.loading_bytes} bytes for nobody")
        _check_waiters(where, node, problems)
        _check_files(where, node, journal_bytes, metadata_bytes, problems)


def _check_waiters(where: str, node: SimNode, problems: Problems) -> None:
    for partition in node.broker.replicas.partitions():
        waiting = (
            len(partition._commit_waiters) + len(partition._fetch_waiters) + len(partition._own_term_waiters)
        )
        if waiting:
            problems.add(f"{where}: {waiting} wait for {partition.name}")


def _check_files(
    where: str, node: SimNode, journal_bytes: int, metadata_bytes: int, problems: Problems
) -> None:
    journal = len(node.disk.content("raft-state"))
    if journal > _JOURNAL_SLACK * journal_bytes:
        problems.add(f"{where}: {journal} bytes of terms and markers")
    metadata = node.local.metadata_partition.partition.log.size
    if metadata > _METADATA_SLACK * metadata_bytes:
        problems.add(f"{where}: {metadata} bytes of metadata")
