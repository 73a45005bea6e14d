"""Withholds sequence errors from producers until it is certain that this node still leads.

A node that was stopped or cut off may believe for an election timeout that it leads, while a producer goes on
with the next leader. Should that producer come back to it, its sequence numbers seem to have a hole, and an
answer of OUT_OF_ORDER_SEQUENCE_NUMBER would make it take a new epoch and write committed records again. So
the first answers are NOT_LEADER_OR_FOLLOWER, which makes the producer look for the leader and try again; a
hole that remains after the time in which an old leader would have noticed is real.
"""

from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import ProducerId

# An isolated leader steps down when its peers were silent for an election timeout, 1 s by default, and a
# tick.
DOUBT_MS = 1_500

# Producers with a hole at one time; beyond, all are doubted again.
_PRODUCERS_MAX = 1_000


class SequenceGrace:
    """Owned by a replicated partition; forgets everything when its leader changes."""

    __slots__ = ("_since_ms",)

    def __init__(self) -> None:
        self._since_ms: dict[ProducerId, int] = {}

    def judge(self, producer_id: int, error: KafkaError, now_ms: int) -> KafkaError:
        """Returns the error to answer instead of `error`, or `error` itself; `now_ms` is monotonic."""
        producer = ProducerId(producer_id)
        if len(self._since_ms) >= _PRODUCERS_MAX:
            self._since_ms.clear()
        if now_ms - self._since_ms.setdefault(producer, now_ms) >= DOUBT_MS:
            return error
        return KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER, f"not sure to lead still: {error}")

    def clear(self) -> None:
        self._since_ms.clear()
