"""The next step of a group's leader towards the members that the metadata asks for.

Pure: a step is a function of the committed membership, of the metadata and of the progress of the
replicas. So the next leader goes on where the one before it was (decision 0019, "Replicas").
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from chronik.cluster.metadata.replicas import PartitionImage
from chronik.raft.core.types import Membership, ReplicaId
from chronik.raft.directories import losses_of, node_directory
from chronik.vocab.ids import NodeId


class Replicas(Protocol):
    """The state of a group's replicas, as its leader sees it."""

    def is_up(self, node: NodeId) -> bool:
        """True if it is connected; the leader's own node is."""
        ...

    def has_membership(self, node: NodeId) -> bool:
        """True if it has the membership in force in its log, durably."""
        ...

    def is_in_sync(self, node: NodeId) -> bool:
        """True if it could lead without catching up first."""
        ...


class Propose(NamedTuple):
    """Put a membership into the group's log: the one in force again, or one that differs by one step."""

    membership: Membership
    # For the operator, in a log line; empty for the one in force.
    what: str = ""


class Transfer(NamedTuple):
    """Have another member lead: this one is to go."""

    to: NodeId


class Report(NamedTuple):
    """Reports to the controller that the group has no other members than these."""

    members: tuple[NodeId, ...]


class Wait(NamedTuple):
    """Nothing can be done before something else changes."""

    reason: str


Step = Propose | Transfer | Report | Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A group whose leader has committed its term and its membership, and has no transfer in progress."""

    leader: NodeId
    membership: Membership
    # Which data directory each registered node has.
    registered: Mapping[NodeId, str]
    # What replicas reported that lost files.
    reported: Mapping[NodeId, str] = field(default_factory=dict)
    # Where the partition lives; None for a group whose members do not change.
    image: PartitionImage | None = None
    # Whether this leader put the membership in force into the log a second time in this term, since it was
    # proposed first; and since the revision of the image was known.
    is_repeated: bool = False
    is_confirmed: bool = False

    @property
    def wanted(self) -> tuple[NodeId, ...]:
        """The target members; the first shall lead."""
        return tuple(sorted(self.membership.members)) if self.image is None else self.image.wanted


def next_steps(situation: Situation, replicas: Replicas) -> Iterator[Step]:
    """Yields steps in the order in which they are to be tried, until one is not refused. None when all is in
    order. The first row that applies:

    | membership and image                                                    | step                      |
    | ------------------------------------------------------------------------ | ------------------------- |
    | a member in another directory, or one that lost files                   | a learner, as it is now   |
    | a target node is no member, or an earlier replica of it is              | add a learner; or remove  |
    | a learner that shall vote has the membership in its log once            | the membership again      |
    | and twice, and is caught up                                             | a voter                   |
    | all target nodes vote, and the leader is not one of them                | transfer the leadership   |
    | all target nodes vote, and others are members, too                      | remove one                |
    | only target nodes are members, and the metadata has other replicas      | the membership again      |
    | and that is committed                                                   | report the members        |
    """
    yield from _demotions(situation)
    yield from _additions(situation)
    membership, wanted = situation.membership, situation.wanted
    learners = [node for node in wanted if node in membership.learners & situation.registered.keys()]
    if learners:
        yield from _promotions(situation, replicas, learners)
    missing = [node for node in wanted if node not in membership.voters]
    if missing:
        yield Wait(_why_not_voting(situation, replicas, missing))
        return
    if situation.leader not in wanted:
        yield from _transfers(wanted, replicas)
        return
    yield from _removals(situation, replicas)
    if membership.members == set(wanted):
        yield from _reports(situation)


def _demotions(situation: Situation) -> Iterator[Step]:
    membership, registered = situation.membership, situation.registered
    named = membership.directories
    for node in sorted(membership.members & registered.keys()):
        directory = present_directory(named.get(node, ""), registered[node], situation.reported.get(node))
        if directory != named.get(node, "") and len(membership.voters) > 1:
            known = membership.replica(node)
            moved = ReplicaId(node, directory, known.revision if known is not None else 0)
            yield Propose(
                _with_learner(membership, moved), "a replica that lost its disk or files is a learner"
            )


def _additions(situation: Situation) -> Iterator[Step]:
    """Yields additions of members that are missing, or are other replicas than the present ones."""
    image, membership = situation.image, situation.membership
    if image is None or image.change is None:
        # Founders name themselves; a membership of a release without names counts as well.
        return
    for node, revision in image.change.replicas:
        if node not in situation.wanted:
            continue
        if node in membership.members:
            known = membership.replica(node)
            if (0 if known is None else known.revision) < revision and len(membership.voters - {node}) > 0:
                yield Propose(_without(membership, node), f"an earlier replica of node {node} is removed")
        elif node in situation.registered:
            added = ReplicaId(node, situation.registered[node], revision)
            yield Propose(_with_learner(membership, added), f"node {node} is added as a learner")


def _promotions(situation: Situation, replicas: Replicas, learners: Sequence[NodeId]) -> Iterator[Step]:
    membership = situation.membership
    if not situation.is_repeated:
        # A learner whose log has it twice can prove, whatever happens next, that it may vote.
        yield Propose(membership)
        return
    for node in learners:
        # Refused until all it lacks is on its way to it.
        if replicas.has_membership(node):
            voters, rest = membership.voters | {node}, membership.learners - {node}
            promoted = Membership(voters=voters, learners=rest, replicas=membership.replicas)
            yield Propose(promoted, f"node {node} votes")


def _why_not_voting(situation: Situation, replicas: Replicas, missing: Sequence[NodeId]) -> str:
    node = missing[0]
    if node not in situation.membership.members and node not in situation.registered:
        return f"node {node} is not registered"
    return f"node {node} is not caught up" if replicas.is_up(node) else f"node {node} is not connected"


def _transfers(wanted: Sequence[NodeId], replicas: Replicas) -> Iterator[Step]:
    for node in wanted:
        if replicas.is_up(node) and replicas.is_in_sync(node):
            yield Transfer(node)
    yield Wait("no replica that is to stay is in sync, so none can lead")


def _removals(situation: Situation, replicas: Replicas) -> Iterator[Step]:
    """Yields removals, first of members that do not count: without them less depends on the rest."""
    membership = situation.membership
    leaving = membership.members - set(situation.wanted)

    def dispensable(node: NodeId) -> tuple[bool, bool, NodeId]:
        return node in membership.voters, replicas.is_up(node), NodeId(-node)

    for node in sorted(leaving, key=dispensable):
        left = _without(membership, node)
        if left.is_majority(frozenset(filter(replicas.is_up, left.voters))):
            yield Propose(left, f"node {node} is removed")
            return
    if leaving:
        yield Wait("too few of the replicas that are left are connected to let one go")


def _reports(situation: Situation) -> Iterator[Step]:
    image = situation.image
    if image is None or set(image.nodes) == set(image.wanted):
        return
    if not situation.is_confirmed:
        # An old leader must not cause a deletion: a majority confirms that this is the membership.
        yield Propose(situation.membership)
    else:
        yield Report(tuple(sorted(situation.membership.members)))


def _with_learner(membership: Membership, replica: ReplicaId) -> Membership:
    known = membership.replica(replica.node)
    return Membership(
        voters=membership.voters - {replica.node},
        learners=membership.learners | {replica.node},
        replicas=membership.replicas - {known} | {replica},
    )


def _without(membership: Membership, node: NodeId) -> Membership:
    return Membership(
        voters=membership.voters - {node},
        learners=membership.learners - {node},
        replicas=frozenset(replica for replica in membership.replicas if replica.node != node),
    )


def present_directory(named: str, registered: str, reported: str | None) -> str:
    """Returns the directory that a membership should have for a member with the name `named`: its node
    registered with one data directory, and it may have reported a loss of files.

    | the member                                                                  | its name        |
    | ---------------------------------------------------------------------------- | --------------- |
    | reported a loss in the registered directory, which `named` does not know of | `reported`      |
    | is named in another directory than the registered one                       | `registered`    |
    | any other, also one that is not named                                        | `named`         |
    """
    is_in_place = node_directory(named) == registered
    known_losses = losses_of(named) if is_in_place else 0
    if reported is not None and node_directory(reported) == registered and losses_of(reported) > known_losses:
        return reported
    return named if is_in_place or not named else registered
