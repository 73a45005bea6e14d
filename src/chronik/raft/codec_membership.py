"""A membership as bytes: the voters, the learners, and the directories that are known."""

from struct import Struct

from chronik.raft.core.types import Membership
from chronik.raft.transport import MalformedFrame
from chronik.vocab.ids import NodeId

# How many voters, learners and directories.
_COUNTS = Struct(">HHH")
# A node, and the bytes of its directory's name.
_DIRECTORY = Struct(">iH")


def encode_membership(membership: Membership) -> bytes:
    """Equal memberships are equal bytes."""
    voters, learners = sorted(membership.voters), sorted(membership.learners)
    directories = sorted(membership.directories)
    parts = [_COUNTS.pack(len(voters), len(learners), len(directories))]
    parts += [node.to_bytes(4, "big", signed=True) for node in voters + learners]
    for node, directory in directories:
        name = directory.encode()
        parts += [_DIRECTORY.pack(node, len(name)), name]
    return b"".join(parts)


def decode_membership(data: memoryview, at: int) -> tuple[Membership, int]:
    """The membership that begins at `at`, and where it ends.

    Raises MalformedFrame, also when nobody votes or a learner does; struct.error at the frame's end.
    """
    voter_count, learner_count, directory_count = _COUNTS.unpack_from(data, at)
    voters, at = _nodes(data, at + _COUNTS.size, voter_count)
    learners, at = _nodes(data, at, learner_count)
    if not voters or voters & learners:
        raise MalformedFrame("a membership without voters, or with one who also learns")
    directories = set()
    for _ in range(directory_count):
        node, size = _DIRECTORY.unpack_from(data, at)
        at += _DIRECTORY.size
        directories.add((NodeId(node), _text(data, at, size)))
        at += size
    return Membership(voters=voters, learners=learners, directories=frozenset(directories)), at


def _nodes(data: memoryview, at: int, count: int) -> tuple[frozenset[NodeId], int]:
    nodes = Struct(f">{count}i").unpack_from(data, at)
    return frozenset(map(NodeId, nodes)), at + 4 * count


def _text(data: memoryview, at: int, size: int) -> str:
    if at + size > len(data):
        raise MalformedFrame("a directory's name beyond the frame's end")
    try:
        return bytes(data[at : at + size]).decode()
    except UnicodeDecodeError as error:
        raise MalformedFrame("a directory's name that is not UTF-8") from error
