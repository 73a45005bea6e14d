"""A replica's promises hold over its restarts: it votes once in a term, and forgets no term in which it voted
or accepted (persistent state: Raft, section 5.2 and figure 2).

Promises are recorded as they leave a node. A node on a replaced disk has promised nothing.
"""

from chronik.broker.partition import Partition
from chronik.raft.core.messages import AppendAccepted, Message, VoteReply
from chronik.raft.group import GroupId
from chronik.sim.agreement import runtime_of
from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode
from chronik.vocab.ids import NodeId, Offset

# The data directory of a node, and a group.
_Replica = tuple[str, GroupId]


class VoteCheck:
    """`watch` each life of each node, and `look` at the partitions it opens."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._votes: dict[tuple[_Replica, int], NodeId] = {}
        self._terms: dict[_Replica, int] = {}

    def watch(self, node: SimNode) -> None:
        host = runtime_of(node).host
        send = host.send

        def observed(group: GroupId, message: Message, log_start: Offset) -> None:
            self._observe(node, group, message)
            send(group, message, log_start)

        host.send = observed  # type: ignore[method-assign]

    def look(self, node: SimNode, partition: Partition) -> None:
        """As it was opened, or later."""
        group = GroupId(partition.topic_id, partition.name.partition)
        term = self._terms.get(self._replica(node, group), 0)
        if partition.is_open and not partition.log.is_failed and partition.leader_epoch < term:
            where = f"node {node.node}, {partition.name}"
            self._problems.add(f"{where}: is in epoch {partition.leader_epoch}, and promised {term}")

    def _observe(self, node: SimNode, group: GroupId, message: Message) -> None:
        replica = self._replica(node, group)
        if isinstance(message, VoteReply) and message.is_granted:
            known = self._votes.setdefault((replica, message.term), message.target)
            if known != message.target:
                both = f"{known} and {message.target} in epoch {message.term} of {group}"
                self._problems.add(f"node {node.node} votes for {both}")
        elif not isinstance(message, AppendAccepted):
            return
        self._terms[replica] = max(message.term, self._terms.get(replica, 0))

    def _replica(self, node: SimNode, group: GroupId) -> _Replica:
        return node.transport.own.directory_id, group
