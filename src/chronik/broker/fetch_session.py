"""Incremental fetch sessions (KIP-227): the client names its partitions once, then only what changes.

The cache belongs to the node, a session to the client that was given its id. As in Kafka a session gives
way when it has been idle for `EVICTION_MS`; when none has, the client just gets no session and sends full
requests. Unlike Kafka's the cache is also bounded in partitions, for those are what takes memory.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.seams import Clock, Randomness

# Kafka's min.incremental.fetch.session.eviction.ms.
EVICTION_MS = 120_000
# In all sessions together: a thousand consumers of two hundred partitions each, in some 60 MB.
PARTITIONS_MAX = 200_000
# Names that no topic can have are kept as well, until the client gives up on them, and may be long. Each so
# many characters count as a partition.
_NAME_CHARS = 256

NO_SESSION = 0
INITIAL_EPOCH = 0
FINAL_EPOCH = -1

# How a request names a partition: (topic name or topic id, index). The version decides which, and a session
# keeps to it.
PartitionKey = tuple[str | bytes, int]


@dataclass(slots=True, kw_only=True)
class FetchedPartition:
    """The client's settings for one partition, and the values last sent to it."""

    fetch_offset: int
    partition_max_bytes: int
    current_leader_epoch: int
    last_fetched_epoch: int
    # -1 before the first answer.
    told_high_watermark: int = -1
    told_log_start_offset: int = -1
    # Errors are repeated in every answer until they are gone.
    told_error: bool = False


# In the order of the request.
Wanted = Mapping[PartitionKey, FetchedPartition]


class FetchSession:
    """One client's partitions in the order in which they are read next."""

    __slots__ = ("epoch", "last_used_ms", "partitions", "session_id", "uses_topic_ids", "weight")

    def __init__(self, session_id: int, uses_topic_ids: bool, now_ms: int) -> None:
        self.session_id = session_id
        self.uses_topic_ids = uses_topic_ids
        # The epoch the next request must carry.
        self.epoch = 1
        self.last_used_ms = now_ms
        self.partitions: OrderedDict[PartitionKey, FetchedPartition] = OrderedDict()
        # Its share of the cache's bound. Changed by the cache only.
        self.weight = 0

    def update(self, wanted: Wanted, forgotten: Iterable[PartitionKey]) -> int:
        """Adds or changes `wanted`, then drops `forgotten`; returns the change of the weight."""
        growth = 0
        for key, partition in wanted.items():
            known = self.partitions.get(key)
            if known is None:
                self.partitions[key] = partition
                growth += _weight(key)
            else:
                known.fetch_offset = partition.fetch_offset
                known.partition_max_bytes = partition.partition_max_bytes
                known.current_leader_epoch = partition.current_leader_epoch
                known.last_fetched_epoch = partition.last_fetched_epoch
        for key in forgotten:
            if self.partitions.pop(key, None) is not None:
                growth -= _weight(key)
        return growth

    def advance(self) -> None:
        """The next request's epoch; wraps past zero, which would mean a new session."""
        self.epoch = 1 if self.epoch == 2**31 - 1 else self.epoch + 1


class FetchSessionCache:
    """All sessions of a node."""

    def __init__(
        self,
        slots: Callable[[], int],
        clock: Clock,
        randomness: Randomness,
        partitions_max: int = PARTITIONS_MAX,
    ) -> None:
        self._slots = slots
        self._clock = clock
        self._randomness = randomness
        self._partitions_max = partitions_max
        # Least recently used first.
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()
        # Invariant: the sum of all sessions' weights.
        self._weight = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, wanted: Wanted, *, uses_topic_ids: bool) -> FetchSession | None:
        """Opens a session of `wanted`; None when the cache is full of sessions in use."""
        now_ms = self._clock.monotonic_ms()
        if not self._make_room(sum(map(_weight, wanted)), now_ms):
            return None
        session = FetchSession(self._unused_id(), uses_topic_ids, now_ms)
        self._sessions[session.session_id] = session
        self._grow(session, session.update(wanted, ()))
        return session

    def _make_room(self, weight: int, now_ms: int) -> bool:
        """Evict idle sessions until another one fits; whether it does."""
        slots = self._slots()
        while len(self._sessions) >= slots or self._weight + weight > self._partitions_max:
            oldest = next(iter(self._sessions.values()), None)
            if oldest is None or now_ms - oldest.last_used_ms < EVICTION_MS:
                return False
            self.close(oldest.session_id)
        return True

    def update(self, session: FetchSession, wanted: Wanted, forgotten: Iterable[PartitionKey]) -> None:
        """Applies the changes of the session's next request. A session that is then empty, or too large, is
        closed.

        Raises KafkaError FETCH_SESSION_ID_NOT_FOUND when it was too large: the client then starts over, and
        goes on without a session.
        """
        self._grow(session, session.update(wanted, forgotten))
        is_too_much = self._weight > self._partitions_max
        if is_too_much or not session.partitions:
            self.close(session.session_id)
        if is_too_much:
            raise KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        session.advance()

    def _grow(self, session: FetchSession, weight: int) -> None:
        session.weight += weight
        self._weight += weight

    def use(self, session_id: int, epoch: int, *, uses_topic_ids: bool) -> FetchSession:
        """The session a request continues. Raises KafkaError when there is none, or the epoch or id kind is
        not its own.
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != epoch:
            raise KafkaError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_topic_ids is not uses_topic_ids:
            raise KafkaError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.last_used_ms = self._clock.monotonic_ms()
        self._sessions.move_to_end(session_id)
        return session

    def close(self, session_id: int) -> None:
        """End a session; nothing happens when there is none of this id."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._weight -= session.weight

    def _unused_id(self) -> int:
        while True:
            session_id = self._randomness.randrange(1, 2**31)
            if session_id not in self._sessions:
                return session_id


def _weight(key: PartitionKey) -> int:
    return 1 + len(key[0]) // _NAME_CHARS
