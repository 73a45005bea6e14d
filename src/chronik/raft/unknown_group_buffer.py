"""Messages for groups that do not exist here yet.

A leader may apply the record of a new topic a moment before this node does, and send at once. Its messages
are kept for a moment, so that its first entries need not be lost, noticed by a heartbeat and sent again.
"""

from collections.abc import Mapping, Sequence

from chronik.raft.core.messages import AppendEntries, Message
from chronik.raft.group import GroupId
from chronik.vocab.ids import NodeId

# A topic of a few thousand partitions is created in one record batch; each leader sends a message or two.
_MESSAGES_MAX = 20_000
# First entries are markers and small batches; anything beyond is sent again by the leader.
_BYTES_MAX = 16 * 1024 * 1024
# Metadata is applied within milliseconds of each other; a group that is still not here was deleted.
_TICKS_MAX = 100

EarlyMessage = tuple[Message, int]


class UnknownGroupBuffer:
    """Owned by the host."""

    def __init__(self) -> None:
        self._kept: dict[GroupId, list[EarlyMessage]] = {}
        # The two generations hold the messages of the last _TICKS_MAX ticks.
        self._older: dict[GroupId, list[EarlyMessage]] = {}
        self._count = 0
        self._bytes = 0
        self._ticks = 0

    def keep(self, group: GroupId, message: Message, log_start: int) -> None:
        size = _size(message)
        if self._count >= _MESSAGES_MAX or self._bytes + size > _BYTES_MAX:
            return
        self._count += 1
        self._bytes += size
        self._kept.setdefault(group, []).append((message, log_start))

    def take(self, group: GroupId) -> Sequence[EarlyMessage]:
        """In order of arrival."""
        return [*self._older.pop(group, ()), *self._kept.pop(group, ())]

    def forget(self, source: NodeId) -> None:
        """Drop messages of a peer whose connection has ended: a group added later would take their sender for
        a leader that is alive.
        """
        self._older = _without(self._older, source)
        self._kept = _without(self._kept, source)

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks >= _TICKS_MAX:
            self._older, self._kept = self._kept, {}
            self._count = self._bytes = self._ticks = 0


def _without(
    kept: Mapping[GroupId, Sequence[EarlyMessage]], source: NodeId
) -> dict[GroupId, list[EarlyMessage]]:
    of_others = {group: [each for each in all_ if each[0].source != source] for group, all_ in kept.items()}
    return {group: messages for group, messages in of_others.items() if messages}


def _size(message: Message) -> int:
    if isinstance(message, AppendEntries):
        return sum(piece.size for piece in message.entries)
    return 0
