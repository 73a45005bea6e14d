"""Placement: the nodes for the replicas of new partitions, or of those that get more or fewer, and first
leaders.

Each partition goes where the load is least: its leader to the node that leads least, its followers to the
nodes that hold least, in racks without a replica of it where there are such. Ties are drawn, so that two
clusters with equal histories do not pile everything on the node with the lowest id.

Nodes that are away come last, and never lead first: as with Kafka a topic can be created while one of three
is down, as long as the live nodes are a majority of its replicas.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chronik.cluster.metadata.topics import NodeLoad
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import NodeId
from chronik.vocab.seams import Randomness


class PlacementNode(NamedTuple):
    """A node that can take replicas. Nodes without a rack count as one rack."""

    node: NodeId
    rack: str | None = None
    is_there: bool = True


@dataclass(slots=True)
class _Candidate:
    node: NodeId
    rack: str | None
    is_there: bool
    leaders: int
    replicas: int
    lot: int = 0


def place(
    nodes: Sequence[PlacementNode],
    loads: Mapping[NodeId, NodeLoad],
    partitions: int,
    replication_factor: int,
    randomness: Randomness,
) -> list[tuple[NodeId, ...]]:
    """Returns the replicas of each of `partitions` new partitions; the first of each is its first leader.

    `loads` is the present load of the nodes. Raises INVALID_REPLICATION_FACTOR when there are too few nodes,
    or too few live ones.
    """
    _check_reachable(nodes, replication_factor)
    candidates = [_candidate(node, loads.get(node.node, NodeLoad())) for node in nodes]
    return [_place_one(candidates, replication_factor, randomness) for _ in range(partitions)]


def resize(
    nodes: Sequence[PlacementNode],
    loads: Mapping[NodeId, NodeLoad],
    present: Sequence[Sequence[NodeId]],
    replication_factor: int,
    randomness: Randomness,
) -> list[tuple[NodeId, ...]]:
    """The replicas of partitions that have others than `replication_factor`, as `place` returns them.

    `present` is where each is now, the preferred leader first. Replicas are added where the least is, and
    removed where most is, but first from nodes that are away, and last from the preferred leader. Raises
    INVALID_REPLICATION_FACTOR, as `place`.
    """
    _check_reachable(nodes, replication_factor)
    candidates = {node.node: _candidate(node, loads.get(node.node, NodeLoad())) for node in nodes}
    return [_resize_one(candidates, replicas, replication_factor, randomness) for replicas in present]


def _check_reachable(nodes: Sequence[PlacementNode], replication_factor: int) -> None:
    there = sum(node.is_there for node in nodes)
    if replication_factor < 1 or replication_factor > len(nodes) or there < replication_factor // 2 + 1:
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Replication factor {replication_factor} cannot be reached: {there} broker(s) available, "
            f"{len(nodes)} registered",
        )


def _candidate(node: PlacementNode, load: NodeLoad) -> _Candidate:
    return _Candidate(
        node=node.node,
        rack=node.rack,
        is_there=node.is_there,
        leaders=load.leaders,
        replicas=load.replicas,
    )


def _place_one(
    candidates: list[_Candidate], replication_factor: int, randomness: Randomness
) -> tuple[NodeId, ...]:
    _draw_lots(candidates, randomness)
    leader = min(candidates, key=lambda c: (not c.is_there, c.leaders, c.replicas, c.lot))
    leader.leaders += 1
    chosen = [leader]
    while len(chosen) < replication_factor:
        chosen.append(_next_follower(candidates, chosen))
    for candidate in chosen:
        candidate.replicas += 1
    return tuple(candidate.node for candidate in chosen)


def _resize_one(
    candidates: Mapping[NodeId, _Candidate],
    present: Sequence[NodeId],
    replication_factor: int,
    randomness: Randomness,
) -> tuple[NodeId, ...]:
    _draw_lots(candidates.values(), randomness)
    chosen = [candidates[node] for node in present]
    while len(chosen) < replication_factor:
        added = _next_follower(list(candidates.values()), chosen)
        added.replicas += 1
        chosen.append(added)
    while len(chosen) > replication_factor:
        # By their place, where all else is equal: the last added go first.
        places = {candidate.node: place for place, candidate in enumerate(chosen)}
        removed = max(chosen, key=lambda c: (not c.is_there, places[c.node] > 0, c.replicas, places[c.node]))
        removed.replicas -= 1
        chosen.remove(removed)
    return tuple(candidate.node for candidate in chosen)


def _draw_lots(candidates: Collection[_Candidate], randomness: Randomness) -> None:
    for candidate in candidates:
        candidate.lot = randomness.randrange(0, 1 << 16) if len(candidates) > 1 else 0


def _next_follower(candidates: list[_Candidate], chosen: list[_Candidate]) -> _Candidate:
    nodes = {candidate.node for candidate in chosen}
    racks = {candidate.rack for candidate in chosen}
    rest = (candidate for candidate in candidates if candidate.node not in nodes)
    # Among equals those come first that lead most: they are the last to lead the next partitions, which adds
    # to the others.
    return min(rest, key=lambda c: (not c.is_there, c.rack in racks, c.replicas, -c.leaders, c.lot))
