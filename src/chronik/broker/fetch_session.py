"""Incremental fetch sessions (KIP-227): the client names its partitions once, then only what changes.

The cache belongs to the node, a session to the client that was given its id. Eviction follows Kafka: a
session gives way when it has been idle for `EVICTION_MS`; when none has, the client just gets no session and
sends full requests.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.seams import Clock, Randomness

# Kafka's min.incremental.fetch.session.eviction.ms.
EVICTION_MS = 120_000
# A session of more partitions than a node may have can only be an attack on its memory.
SESSION_PARTITIONS_MAX = 200_000

NO_SESSION = 0
INITIAL_EPOCH = 0
FINAL_EPOCH = -1

# How a request names a partition: (topic name or topic id, index). The version decides which, and a session
# keeps to it.
PartitionKey = tuple[str | bytes, int]


@dataclass(slots=True, kw_only=True)
class FetchedPartition:
    """What the client wants of one partition, and what it was told last."""

    fetch_offset: int
    partition_max_bytes: int
    current_leader_epoch: int
    last_fetched_epoch: int
    # -1 before the first answer.
    told_high_watermark: int = -1
    told_log_start_offset: int = -1
    # Errors are repeated in every answer until they are gone.
    told_error: bool = False


class FetchSession:
    """One client's partitions in the order in which they are read next."""

    __slots__ = ("epoch", "last_used_ms", "partitions", "session_id", "uses_topic_ids")

    def __init__(self, session_id: int, uses_topic_ids: bool, now_ms: int) -> None:
        self.session_id = session_id
        self.uses_topic_ids = uses_topic_ids
        # The epoch the next request must carry.
        self.epoch = 1
        self.last_used_ms = now_ms
        self.partitions: OrderedDict[PartitionKey, FetchedPartition] = OrderedDict()

    def update(
        self, wanted: Iterable[tuple[PartitionKey, FetchedPartition]], forgotten: Iterable[PartitionKey]
    ) -> None:
        """Add or change `wanted`, then drop `forgotten`. Raises KafkaError when the session would grow too
        large.
        """
        for key, partition in wanted:
            known = self.partitions.get(key)
            if known is None:
                self.partitions[key] = partition
            else:
                known.fetch_offset = partition.fetch_offset
                known.partition_max_bytes = partition.partition_max_bytes
                known.current_leader_epoch = partition.current_leader_epoch
                known.last_fetched_epoch = partition.last_fetched_epoch
        for key in forgotten:
            self.partitions.pop(key, None)
        if len(self.partitions) > SESSION_PARTITIONS_MAX:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "too many partitions in one fetch session")

    def advance(self) -> None:
        """The next request's epoch; wraps past zero, which would mean a new session."""
        self.epoch = 1 if self.epoch == 2**31 - 1 else self.epoch + 1


class FetchSessionCache:
    """All sessions of a node."""

    def __init__(self, slots: Callable[[], int], clock: Clock, randomness: Randomness) -> None:
        self._slots = slots
        self._clock = clock
        self._randomness = randomness
        # Least recently used first.
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, *, uses_topic_ids: bool) -> FetchSession | None:
        """A new session, or None when the cache is full of sessions in use."""
        now_ms = self._clock.monotonic_ms()
        slots = self._slots()
        while len(self._sessions) >= slots:
            oldest = next(iter(self._sessions.values()), None)
            if oldest is None or now_ms - oldest.last_used_ms < EVICTION_MS:
                return None
            del self._sessions[oldest.session_id]
        session = FetchSession(self._unused_id(), uses_topic_ids, now_ms)
        self._sessions[session.session_id] = session
        return session

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
        self._sessions.pop(session_id, None)

    def _unused_id(self) -> int:
        while True:
            session_id = self._randomness.randrange(1, 2**31)
            if session_id not in self._sessions:
                return session_id
