"""A membership as bytes: the voters, the learners, and the replicas that are known."""

from struct import Struct

from chronik.raft.core.types import Membership, ReplicaId
from chronik.raft.transport import MalformedFrame
from chronik.vocab.ids import NodeId

# How many voters, learners and replicas.
_COUNTS = Struct(">HHH")
# In the count of replicas: each has a revision. Without it all are founders, as in earlier releases.
_ARE_REVISED = 0x8000
# A node, and the bytes of its directory's name.
_DIRECTORY = Struct(">iH")
# Behind the name.
_REVISION = Struct(">i")


def encode_membership(membership: Membership) -> bytes:
    """Equal memberships are equal bytes."""
    voters, learners = sorted(membership.voters), sorted(membership.learners)
    replicas, are_revised = sorted(membership.replicas), membership.has_revisions
    parts = [_COUNTS.pack(len(voters), len(learners), len(replicas) | _ARE_REVISED * are_revised)]
    parts += [node.to_bytes(4, "big", signed=True) for node in voters + learners]
    for node, directory, revision in replicas:
        name = directory.encode()
        parts += [_DIRECTORY.pack(node, len(name)), name]
        if are_revised:
            parts.append(_REVISION.pack(revision))
    return b"".join(parts)


def decode_membership(data: memoryview, at: int) -> tuple[Membership, int]:
    """Returns the membership that begins at `at`, and the position after it.

    Raises MalformedFrame, also for no voters or an overlap of voters and learners; struct.error at the
    frame's end.
    """
    voter_count, learner_count, replica_count = _COUNTS.unpack_from(data, at)
    voters, at = _nodes(data, at + _COUNTS.size, voter_count)
    learners, at = _nodes(data, at, learner_count)
    if not voters or voters & learners:
        raise MalformedFrame("a membership without voters, or with one who also learns")
    replicas = set()
    for _ in range(replica_count & ~_ARE_REVISED):
        replica, at = _replica(data, at, is_revised=bool(replica_count & _ARE_REVISED))
        replicas.add(replica)
    return Membership(voters=voters, learners=learners, replicas=frozenset(replicas)), at


def _nodes(data: memoryview, at: int, count: int) -> tuple[frozenset[NodeId], int]:
    nodes = Struct(f">{count}i").unpack_from(data, at)
    return frozenset(map(NodeId, nodes)), at + 4 * count


def _replica(data: memoryview, at: int, *, is_revised: bool) -> tuple[ReplicaId, int]:
    node, size = _DIRECTORY.unpack_from(data, at)
    at += _DIRECTORY.size
    directory = _text(data, at, size)
    at += size
    if not is_revised:
        return ReplicaId(NodeId(node), directory), at
    (revision,) = _REVISION.unpack_from(data, at)
    if revision < 0:
        raise MalformedFrame(f"a replica of revision {revision}")
    return ReplicaId(NodeId(node), directory, revision), at + _REVISION.size


def _text(data: memoryview, at: int, size: int) -> str:
    if at + size > len(data):
        raise MalformedFrame("a directory's name beyond the frame's end")
    try:
        return bytes(data[at : at + size]).decode()
    except UnicodeDecodeError as error:
        raise MalformedFrame("a directory's name that is not UTF-8") from error
