"""A replica's promises hold over its restarts: it votes once in a term, and forgets no term in which it voted
or accepted (persistent state: Raft, section 5.2 and figure 2).

Promises are recorded as they leave a node. A node on a replaced disk has promised nothing, and neither has a
replica that is made again after it was removed: it has another revision. One that was removed has forgotten
what it promised, so nobody may ever speak by its name again.
"""

from typing import NamedTuple

from chronik.broker.partition import Partition
from chronik.raft.core.messages import AppendAccepted, Message, VoteReply
from chronik.raft.group import GroupId
from chronik.sim.agreement import runtime_of
from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimNode
from chronik.vocab.ids import NodeId, Offset


class _Replica(NamedTuple):
    """What a group knows a member by."""

    # That of its node, whatever it lost of it.
    directory: str
    revision: int
    group: GroupId


class VoteCheck:
    """`watch` each life of each node, and `look` at the partitions it opens."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._votes: dict[tuple[_Replica, int], NodeId] = {}
        self._terms: dict[_Replica, int] = {}
        # Those whose files are gone because the metadata removed them.
        self._removed: set[_Replica] = set()

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
        replica = _replica(node, group)
        if replica in self._removed:
            self._problems.add(f"node {node.node}, {partition.name}: the removed {replica} is back")
        term = self._terms.get(replica, 0)
        if partition.is_open and not partition.log.is_failed and partition.leader_epoch < term:
            where = f"node {node.node}, {partition.name}"
            self._problems.add(f"{where}: is in epoch {partition.leader_epoch}, and promised {term}")

    def look_for_removed(self, node: SimNode) -> None:
        """Which of its replicas a node that serves has deleted."""
        own = node.transport.own.directory_id
        topics, host = node.broker.metadata.image.topics_by_id, runtime_of(node).host
        for replica in self._terms:
            topic = topics.get(replica.group.topic_id)
            if replica.directory != own or topic is None or host.group(replica.group) is not None:
                continue
            index = replica.group.partition
            is_there = topic.partitions[index].revision_of(node.node) == replica.revision
            if not is_there and node.store.get(replica.group) is None:
                self._removed.add(replica)

    def _observe(self, node: SimNode, group: GroupId, message: Message) -> None:
        replica = _replica(node, group)
        if replica in self._removed:
            self._problems.add(f"node {node.node} speaks as the removed {replica}: {message}")
        if isinstance(message, VoteReply) and message.is_granted:
            known = self._votes.setdefault((replica, message.term), message.target)
            if known != message.target:
                both = f"{known} and {message.target} in epoch {message.term} of {group}"
                self._problems.add(f"node {node.node} votes for {both}")
        elif not isinstance(message, AppendAccepted):
            return
        self._terms[replica] = max(message.term, self._terms.get(replica, 0))


def _replica(node: SimNode, group: GroupId) -> _Replica:
    found = runtime_of(node).host.group(group)
    revision = 0 if found is None else found.replica_id.revision
    return _Replica(node.transport.own.directory_id, revision, group)
