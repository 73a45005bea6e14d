"""At which change of whose disk a node crashes: by the name of the point, or by number."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from chronik.raft.group import GroupId
from chronik.raft.replicated import ReplicatedGroup
from chronik.sim.cluster import SimCluster, SimNode
from chronik.sim.process_disk import Death, Operation
from chronik.vocab.ids import METADATA_TOPIC, NodeId
from tests.support.durability_points import METADATA_GROUP, Classifier, Point, Step


class Part(Enum):
    """What the node does in the group that is concerned: who leads it or asks to, and the others."""

    LEADER = "leader"
    FOLLOWER = "follower"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashPlan:
    """One crash."""

    death: Death
    is_power_lost: bool
    # Which of the changes that fit, from 1.
    number: int
    # None: any.
    point: Point | None = None
    part: Part | None = None

    def __str__(self) -> str:
        how = "power loss" if self.is_power_lost else "process death"
        what = "any change" if self.point is None else self.point.value
        who = "any node" if self.part is None else self.part.value
        return f"{how} {self.death.value} {what} #{self.number} on {who}"


class CrashWatch:
    """Sees every change of every disk of a room, and lets one node die by it.

    Made with the room, armed once.
    """

    def __init__(self, room: SimCluster) -> None:
        self._room = room
        self._classifiers: dict[SimNode, Classifier] = {}
        self._plan: CrashPlan | None = None
        self._left = 0
        # What it was that the node died by; None until then.
        self.crashed_at: str | None = None
        self.crashed_node: NodeId | None = None
        # Changes by point and part while it was armed.
        self.seen: Counter[tuple[Point, Part]] = Counter()
        self.changes = 0
        # Everything, for comparing two runs.
        self.transcript: list[str] | None = None
        # Who was seen to open each term.
        self._leaders: dict[tuple[GroupId, int], NodeId] = {}
        self.problems: list[str] = []
        # Who was to lead each partition first, by the name of its directory and by its group.
        self._first_leaders: dict[str | GroupId, NodeId] = {}
        room.watch = self._on_change
        room.is_power_lost = lambda node: self._plan is not None and self._plan.is_power_lost

    def arm(self, plan: CrashPlan) -> None:
        self._plan, self._left = plan, plan.number

    def _on_change(self, node: SimNode, operation: Operation) -> Death | None:
        classifier = self._classifiers.get(node)
        if classifier is None:
            classifier = self._classifiers[node] = Classifier(lambda: node.is_open)
        step = classifier.name(operation)
        if step.point is Point.CREATE_DIRECTORY:
            self._learn(node)
        part = self._part(node, step)
        if self.transcript is not None:
            self.transcript.append(f"{node.node} {step.point.name} {part.name} {operation}")
        if step.point is Point.OTHER:
            self.problems.append(f"nobody knows what this is for: {operation}")
        if step.point is Point.MARKER and part is Part.LEADER:
            self._check_leader(node, step)
        if self._plan is None:
            return None
        self.seen[step.point, part] += 1
        self.changes += 1
        return self._death(node, operation, step, part)

    def _death(self, node: SimNode, operation: Operation, step: Step, part: Part) -> Death | None:
        plan = self._plan
        assert plan is not None
        if self.crashed_at is not None or plan.point not in (None, step.point):
            return None
        if plan.part not in (None, part):
            return None
        self._left -= 1
        if self._left > 0:
            return None
        self.crashed_at = f"{step.point.name} ({part.value}): {operation}"
        self.crashed_node = node.node
        return plan.death

    # Who leads.

    def _part(self, node: SimNode, step: Step) -> Part:
        if step.point is Point.VOTE:
            return Part.LEADER if step.voted_for == node.node else Part.FOLLOWER
        leads = self._leads(node, step)
        return Part.LEADER if leads else Part.FOLLOWER

    def _leads(self, node: SimNode, step: Step) -> bool:
        group_id = step.group
        if step.directory and group_id is None:
            return self._leads_directory(node, step.directory)
        group = group_of(node, group_id or METADATA_GROUP)
        if group is not None:
            return group.is_leader
        return group_id is not None and self._first_leaders.get(group_id) == node.node

    def _leads_directory(self, node: SimNode, directory: str) -> bool:
        name = directory.partition(".")[0]
        topic, _, index = name.rpartition("-")
        image = node.broker.metadata.image.topics.get(topic) if node.is_made else None
        if topic == METADATA_TOPIC:
            group = group_of(node, METADATA_GROUP)
        else:
            group = None if image is None else group_of(node, GroupId(image.topic_id, int(index)))
        if group is not None and "-delete" not in directory:
            return group.is_leader
        return self._first_leaders.get(name) == node.node

    def _learn(self, node: SimNode) -> None:
        if not node.is_made:
            return
        for topic in node.broker.metadata.image.topics.values():
            for index, partition in enumerate(topic.partitions):
                self._first_leaders[f"{topic.name}-{index}"] = partition.first_leader
                self._first_leaders[GroupId(topic.topic_id, index)] = partition.first_leader

    def _check_leader(self, node: SimNode, step: Step) -> None:
        assert step.group is not None
        group = group_of(node, step.group)
        if group is None:
            return
        key = (step.group, int(group.leader_epoch))
        if self._leaders.setdefault(key, node.node) != node.node:
            self.problems.append(f"{key} has two leaders: {self._leaders[key]} and {node.node}")


def group_of(node: SimNode, group: GroupId) -> ReplicatedGroup | None:
    """A node's replica, if it has begun."""
    runtime = node.local.runtime if node.is_made else None
    return None if runtime is None else runtime.host.group(group)
