"""The image as far as this node has applied `__meta`: leaders and followers build it the same way.

Only committed records change it. Records that a node decided itself reach it by the log like those of any
other.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from chronik.cluster.image import ClusterDelta, ClusterImage, delta_between
from chronik.cluster.image_draft import ImageDraft, apply_records
from chronik.cluster.metadata.features import level_problem
from chronik.cluster.metadata.passed_over import PassedOverChanges
from chronik.cluster.metadata.subject import MetadataRecord
from chronik.cluster.metadata.table import SubjectTable
from chronik.cluster.metadata.topics import TopicDeleted
from chronik.cluster.metadata_log import KeyValue, MetadataLog
from chronik.cluster.offset_waiters import OffsetWaiters
from chronik.cluster.record_codec import UnreadableRecord, decode
from chronik.cluster.snapshot import decode_snapshot, encode_snapshot
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset, TopicId
from chronik.vocab.invariant import invariant

_log = logging.getLogger(__name__)

# More than are deleted while one creation is under way.
_DELETED_MAX = 10_000

# Before a read that failed is repeated: a device, or a lack of descriptors, may recover.
_READ_AGAIN_SECONDS = 0.5

ImageCallback = Callable[[ClusterDelta, ClusterImage], None]


class _CannotRead(Exception):
    """The log could not be read now. Says nothing about its records."""


class AppliedMetadata:
    """One per node, for the node's life; the part of `MetadataService` that follows the log."""

    def __init__(self, log: MetadataLog, on_applied: Callable[[], None], subjects: SubjectTable) -> None:
        """`on_applied` is called after subscribers were, each time `offset` has moved."""
        self._log = log
        self._on_applied = on_applied
        self._subjects = subjects
        # Invariant: the sum of the committed records below _offset, and nothing else.
        self.image = ClusterImage()
        self.offset = Offset(0)
        # The topics deleted last, in order: a creation that comes late must not bring one back.
        self.deleted: dict[TopicId, None] = {}
        # Set when a record could not be applied: the image stays as it is from then on.
        self.failure: Exception | None = None
        self._callbacks: list[ImageCallback] = []
        self._waiters = OffsetWaiters()
        self._is_applying = False
        # Whether the last read failed, and the timer for the next one.
        self._is_unreadable = False
        self._reading_again: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Repeats no read that failed."""
        if self._reading_again is not None:
            self._reading_again.cancel()

    def subscribe(self, callback: ImageCallback) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def replay(self) -> None:
        """Applies all committed records, without notifying subscribers.

        Raises UnreadableRecord, InvariantViolation, KafkaError; nothing is applied then.
        """
        draft, offset = ImageDraft(self.image, self._subjects), self.offset
        for end, batch in self._log.read(offset):
            for record in self._decoded(batch):
                draft.apply(record)
            offset = end
        image, delta = draft.finish()
        self._check_level(image)
        self.image, self.offset = image, offset
        _log_passed_over(delta)

    def follow(self) -> None:
        """Applies committed records, batch by batch, and notifies subscribers. Does not raise: see
        `failure`.
        """
        # A subscriber may make the log move; the new records are applied after it has returned.
        if self._is_applying or self.failure is not None:
            return
        self._is_applying = True
        try:
            while (offset := self.offset) < self._log.high_watermark:
                for end, batch in self._read(offset):
                    self._apply(end, batch)
                invariant(self.offset > offset, "nothing to read at {} below the high watermark", offset)
        except _CannotRead as error:
            self._read_again_later(error)
        except Exception as error:  # whatever the error, the image must not skip a record and go on
            self.failure = error
            _log.critical("could not apply metadata; it stays at the last applied offset", exc_info=error)
            self._waiters.give_up()
        finally:
            self._is_applying = False

    def _read(self, offset: Offset) -> Iterator[tuple[Offset, Sequence[KeyValue]]]:
        """Raises _CannotRead where the log does not say what it has; a subscriber's error passes as it is."""
        try:
            yield from self._log.read(offset)
        except KafkaError as error:
            if error.code is not ErrorCode.KAFKA_STORAGE_ERROR:
                raise
            raise _CannotRead(str(error)) from error

    def _read_again_later(self, error: _CannotRead) -> None:
        if not self._is_unreadable:
            self._is_unreadable = True
            _log.error("could not read the metadata log; it is read again", extra={"error": str(error)})
        if self._reading_again is None:
            loop = asyncio.get_running_loop()
            self._reading_again = loop.call_later(_READ_AGAIN_SECONDS, self._read_again)

    def _read_again(self) -> None:
        self._reading_again = None
        self.follow()

    def snapshot(self) -> tuple[Offset, bytes]:
        """The offset up to which it counts, and its bytes."""
        return self.offset, encode_snapshot(self.image, self.offset, self._subjects)

    def load_snapshot(self, data: bytes) -> bool:
        """Replaces the image by a snapshot's, unless that is older. Raises UnreadableSnapshot."""
        image, offset = decode_snapshot(data, self._subjects)
        self._check_level(image)
        if offset <= self.offset:
            return False
        delta = delta_between(self.image, image)
        self._remember_deleted(topic.topic_id for topic in delta.topics_deleted)
        self._become(image, offset, delta)
        return True

    async def wait(self, offset: Offset, deadline: float) -> bool:
        """True if everything below `offset` is applied before `deadline`."""
        if self.offset >= offset:
            return True
        return self.failure is None and await self._waiters.wait(offset, deadline)

    def _apply(self, end: Offset, batch: Iterable[KeyValue]) -> None:
        records = list(self._decoded(batch))
        image, delta = apply_records(self.image, records, self._subjects)
        self._check_level(image)
        # By the records: a delta omits topics created and deleted within one batch.
        self._remember_deleted(record.topic_id for record in records if isinstance(record, TopicDeleted))
        self._become(image, end, delta)

    def _become(self, image: ClusterImage, offset: Offset, delta: ClusterDelta) -> None:
        self.image, self.offset = image, offset
        self._is_unreadable = False
        _log_passed_over(delta)
        for callback in self._callbacks:
            callback(delta, image)
        self._on_applied()
        self._waiters.on_reached(offset)

    def _check_level(self, image: ClusterImage) -> None:
        """Raises UnreadableRecord where the cluster has gone to a level that this release does not know."""
        problem = level_problem(image, self._subjects.last_level)
        if problem is not None:
            raise UnreadableRecord(problem)

    def _remember_deleted(self, topic_ids: Iterable[TopicId]) -> None:
        for topic_id in topic_ids:
            self.deleted[topic_id] = None
            if len(self.deleted) > _DELETED_MAX:
                del self.deleted[next(iter(self.deleted))]

    def _decoded(self, batch: Iterable[KeyValue]) -> Iterable[MetadataRecord]:
        return (decode(key, value, self._subjects) for key, value in batch)


def _log_passed_over(delta: ClusterDelta) -> None:
    """Once for each kind: the first record of it that was applied."""
    kinds = delta.of(PassedOverChanges).kinds_passed_over
    if kinds:
        _log.warning(
            "metadata records passed over: a later release wrote them, and they are kept for it",
            extra={"kinds": ", ".join(kinds)},
        )
