"""Acknowledgements and reads of clients, compared with the logs in the end, by the check that chaos and
proofs use, too.
"""

from collections.abc import Sequence

from chronik.history.check import History as Told
from chronik.history.check import check
from chronik.history.events import Records
from chronik.history.violations import Allowances
from chronik.log.partition_log import PartitionLog
from chronik.sim.agreement import values
from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode
from chronik.sim.workload.auditing import STALE_SECONDS_MAX
from chronik.sim.workload.history import History
from chronik.vocab.ids import TopicPartition


def check_promises(
    history: History, nodes: Sequence[SimNode], idempotent: frozenset[str], problems: Problems
) -> None:
    """`nodes` agree by now. `idempotent` names the producers whose records may be there only once."""
    logs = {
        str(partition): _log(nodes, partition)
        for partition in history.partitions()
        if partition.topic not in history.doomed
    }
    plain = frozenset(sent.producer for sent in history.sent.values()) - idempotent
    allowed = Allowances(
        repeating=plain,
        unordered=plain,
        starts={place: log.start_offset for place, log in logs.items()},
        # That all is read is waited for, and a record that is there twice is read once.
        ends=dict.fromkeys(logs, 0),
        stale_seconds_max=STALE_SECONDS_MAX,
        asks_everybody=True,
    )
    records = {place: _records(history, place, log) for place, log in logs.items()}
    for violation in check(Told.of(history.events()), records, allowed):
        problems.add(str(violation))


def _log(nodes: Sequence[SimNode], partition: TopicPartition) -> PartitionLog:
    replicas = (node.broker.replicas.find(*partition) for node in nodes)
    return next(replica.log for replica in replicas if replica is not None)


def _records(history: History, place: str, log: PartitionLog) -> Records:
    """From the start of the log: its first batch may hold more."""
    return [
        (offset, history.number_at(place, offset, value))
        for offset, value in values(log)
        if offset >= log.start_offset
    ]
