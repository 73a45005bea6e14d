"""Replicas that change: groups follow the metadata one member at a time, and removed replicas leave nothing
behind.

* Memberships that follow each other in a log differ by one voter at most (section 4.3 of the dissertation):
  else two majorities need not meet. A voter is not replaced by another replica of its node in one step.
* While a partition moves from some replicas to others it never has fewer voters than the smaller number,
  except for those that lost their disk.
* The metadata drops no replica that is a member: a leader that reports so asked a majority.
* Once faults end, members are those the metadata asks for, under the names it gives them, all vote, and other
  nodes have neither files of the partition nor a term and a vote.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from chronik.broker.partition import Partition
from chronik.cluster.metadata.replicas import PartitionImage
from chronik.cluster.metadata.topics import TopicImage
from chronik.raft.core.types import Membership
from chronik.raft.group import GroupId
from chronik.raft.replicated import ReplicatedGroup
from chronik.sim.agreement import runtime_of
from chronik.sim.checks.problems import Problems
from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.producers import open_nodes
from chronik.vocab.ids import NodeId


class ReplicaCheck:
    """`look` at the partitions of each node again and again, while it runs."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        # By group: how many replicas there were to be, by revision.
        self._wanted: dict[GroupId, dict[int, int]] = {}
        # The last revision at which everything was as the metadata asks.
        self._done: dict[GroupId, int] = {}
        # The last membership that was committed, and its leader's epoch.
        self._committed: dict[GroupId, tuple[int, Membership]] = {}
        # Memberships whose log was checked, by life of a node, which may have died before it was made.
        self._seen: dict[SimNode, dict[ReplicatedGroup, Membership]] = {}

    def forget(self, node: SimNode) -> None:
        """That life is over."""
        self._seen.pop(node, None)

    def look(self, node: SimNode, partitions: Sequence[Partition]) -> None:
        topics = node.broker.metadata.image.topics_by_id
        host = runtime_of(node).host
        for partition in partitions:
            group = host.group(GroupId(partition.topic_id, partition.name.partition))
            topic = topics.get(partition.topic_id)
            if group is None or topic is None:
                continue
            where = f"node {node.node}, {partition.name}"
            seen = self._seen.setdefault(node, {})
            if seen.get(group) is not group.membership:
                seen[group] = group.membership
                self._check_steps(where, node, group)
            image = topic.partitions[partition.name.partition]
            self._check_copies(where, group, image)
            self._check_dropped(where, group, image)

    def _check_steps(self, where: str, node: SimNode, group: ReplicatedGroup) -> None:
        state = node.store.get(group.id)
        if state is None:
            return
        for (_, before), (_, after) in pairwise(state.markers.memberships()):
            if len(before.voters ^ after.voters) > 1:
                both = f"{sorted(before.voters)} are followed by {sorted(after.voters)}"
                self._problems.add(f"{where}: as voters {both}")
            for node_id in before.voters & after.voters:
                known, now = before.replica(node_id), after.replica(node_id)
                if known is not None and known != now:
                    self._problems.add(f"{where}: the voter {known} is followed by {now}")

    def _is_newest(self, group: ReplicatedGroup) -> bool:
        """True if it leads, as far as any node knows, and its membership is committed."""
        epoch, _ = self._committed.get(group.id, (0, None))
        is_settled = group.is_own_term_committed and not group.is_membership_pending
        return is_settled and group.leader_epoch >= epoch

    def _check_copies(self, where: str, group: ReplicatedGroup, image: PartitionImage) -> None:
        known = self._wanted.setdefault(group.id, {0: len(image.founders)})
        known[image.revision] = len(image.wanted)
        if not self._is_newest(group):
            return
        self._committed[group.id] = group.leader_epoch, group.membership
        if group.membership.voters == frozenset(image.nodes):
            self._done[group.id] = max(image.revision, self._done.get(group.id, 0))
        done = self._done.get(group.id, 0)
        least = min(count for revision, count in known.items() if revision >= done)
        copies = group.membership.voters | _demoted(group.membership, done)
        if len(copies) < least:
            self._problems.add(f"{where}: only {sorted(copies)} hold it, of {least} at least")

    def _check_dropped(self, where: str, group: ReplicatedGroup, image: PartitionImage) -> None:
        if image.revision < max(self._wanted[group.id]) or group.id not in self._committed:
            return
        epoch, known = self._committed[group.id]
        dropped = known.members - frozenset(image.nodes)
        if dropped:
            self._problems.add(f"{where}: {sorted(dropped)} are dropped, and members in epoch {epoch}")


def _demoted(membership: Membership, done: int) -> frozenset[NodeId]:
    """Learners that voted before: their disk was replaced, or files of theirs were lost."""
    named = {node: membership.replica(node) for node in membership.learners}
    return frozenset(node for node, known in named.items() if known is not None and known.revision <= done)


def unfinished(cluster: SimCluster, topic: str | None = None) -> list[str]:
    """Returns the differences of the replicas of a topic, or of all, from the metadata."""
    nodes = open_nodes(cluster)
    if len(nodes) < len(cluster.all_nodes):
        return [f"only {[node.node for node in nodes]} serve"]
    found: list[str] = []
    for name, image in nodes[0].broker.metadata.image.topics.items():
        for index in range(len(image.partitions) if topic in (None, name) else 0):
            found += _unfinished(nodes, image, index)
    return found


def _unfinished(nodes: Sequence[SimNode], topic: TopicImage, index: int) -> Iterator[str]:
    name, image = f"{topic.name}-{index}", topic.partitions[index]
    for node in nodes:
        known = node.broker.metadata.image.topics_by_id.get(topic.topic_id)
        if known is None or known.partitions[index] != image:
            yield f"{name}: node {node.node} knows it as another one"
            return
    if image.target:
        yield f"{name}: {image.nodes} are to be {image.target}"
    groups = {
        node.node: group
        for node in nodes
        if (group := runtime_of(node).host.group(GroupId(topic.topic_id, index))) is not None
    }
    if set(groups) != set(image.nodes):
        yield f"{name}: {sorted(groups)} have replicas, of {image.nodes}"
    yield from _misnamed(name, image, groups)
    for node in nodes:
        if node.node not in image.nodes:
            yield from _leftovers(name, node, topic, index)


def _misnamed(name: str, image: PartitionImage, groups: Mapping[NodeId, ReplicatedGroup]) -> Iterator[str]:
    leading = [group for group in groups.values() if group.is_own_term_committed]
    if len(leading) != 1:
        yield f"{name}: {len(leading)} lead"
        return
    membership = leading[0].membership
    if membership.voters != set(image.nodes) or membership.learners:
        yield f"{name}: {membership} of {image.nodes}"
    for node, revision in image.replicas:
        named = membership.replica(node)
        if named is not None and named.revision != revision:
            yield f"{name}: node {node} is a member as of {named.revision}, not of {revision}"
        group = groups.get(node)
        if group is not None and group.replica_id.revision != revision:
            yield f"{name}: node {node} has a replica of {group.replica_id.revision}, not of {revision}"


def _leftovers(name: str, node: SimNode, topic: TopicImage, index: int) -> Iterator[str]:
    of_topic = topic.topic_id.hex()
    directories = {path.partition("/")[0] for path in node.disk.files()}
    left = [one for one in directories if one == name or (one.startswith(f"{name}.") and of_topic in one)]
    if left:
        yield f"{name}: node {node.node} still has {sorted(left)}"
    if node.store.get(GroupId(topic.topic_id, index)) is not None:
        yield f"{name}: node {node.node} still knows its term and vote"
