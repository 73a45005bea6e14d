"""Turns commands into committed records, on the node that leads `__meta`.

Commands queue. While one append to the metadata log is in progress, further ones gather, and go into the log
together with the next append, so a thousand clients that create topics share a few syncs. Each is still
decided after all that came before it. An answer, refusals included, is given only when everything it depends
on is committed and applied.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chronik.cluster.answers import NOT_DECIDED, UNKNOWN, Answer, Outcome, refused, unknown
from chronik.cluster.applied_metadata import AppliedMetadata
from chronik.cluster.controller import change_made_already, decide
from chronik.cluster.image import ClusterDelta
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.premises import Premises
from chronik.cluster.metadata.subject import Command, MetadataRecord
from chronik.cluster.metadata.table import SubjectTable
from chronik.cluster.metadata_log import MetadataLog
from chronik.cluster.record_codec import encode
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import TopicId

_log = logging.getLogger(__name__)

# The loop is held while a batch is decided and applied; this many commands and records take about 20 ms. A
# single command may exceed it, for its records are committed together.
BATCH_MAX = 1_000

# Commands are small, and their clients wait; beyond this the controller is not keeping up, and a longer wait
# helps no client.
QUEUE_MAX = 10_000


class _Waiting(NamedTuple):
    command: Command
    validate_only: bool
    answer: asyncio.Future[Answer]

    def tell(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


@dataclass(frozen=True, slots=True)
class _Deleted:
    """Topics that were deleted, lately or in the batch that is being decided."""

    lately: Collection[TopicId]
    in_batch: Collection[TopicId]

    def __contains__(self, topic_id: object) -> bool:
        return topic_id in self.lately or topic_id in self.in_batch


# Decisions on waiting commands, sent to their callers after the commit.
_Outcomes = list[tuple[_Waiting, ClusterDelta | KafkaError]]


class ControllerWriter:
    """One per node, for the node's life; the part of `MetadataService` that works while this node leads."""

    def __init__(
        self,
        log: MetadataLog,
        applied: AppliedMetadata,
        premises: Callable[[], Premises],
        subjects: SubjectTable,
    ) -> None:
        """`premises` is called for each batch."""
        self._log = log
        self._applied = applied
        self._premises = premises
        self._subjects = subjects
        self._queue: deque[_Waiting] = deque()
        # Commands of the batch that is on its way into the log.
        self._writing: list[_Waiting] = []
        # Invariant: not None while anything is queued.
        self._writer: asyncio.Task[None] | None = None
        # Set by a bug: nothing may be decided any more.
        self.failure: KafkaError | None = None

    @property
    def can_decide(self) -> bool:
        """True if it is worth asking. True also while an append is on its way: commands queue behind it."""
        return self._applied.failure is None and (bool(self._writing) or self._log.can_decide)

    async def decide(self, command: Command, *, validate_only: bool) -> Answer:
        """Returns the outcome of `command` here. A command whose sender is cancelled is carried out all
        the same.
        """
        if self.failure is not None:
            return refused(self.failure)
        if len(self._queue) >= QUEUE_MAX:
            message = "Too many metadata changes are waiting"
            return refused(KafkaError(ErrorCode.THROTTLING_QUOTA_EXCEEDED, message))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(command=command, validate_only=validate_only, answer=answer))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="metadata-writer")
            self._writer.add_done_callback(self._on_writer_end)
        return await answer

    async def drain(self) -> None:
        """Wait until all that was taken is answered."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        while self._queue:
            if not self.can_decide:
                self._answer_all(self._queue, NOT_DECIDED)
                continue
            records, outcomes = self._decide_batch()
            if records:
                failure = await self._append(records)
                if failure is not None:
                    self._answer_all(self._writing, failure)
                    continue
            else:
                # Many refusals in a row must not hold the loop either.
                await asyncio.sleep(0)
            self._writing.clear()
            self._tell(outcomes)
        # In the same step in which the queue was found empty: a command that comes now starts another writer.
        self._writer = None

    async def _append(self, records: Sequence[MetadataRecord]) -> Answer | None:
        """Returns None when they are committed and applied; else the answer for their senders."""
        try:
            await self._log.append([encode(record, self._subjects) for record in records])
        except KafkaError as error:
            return unknown(error)
        # As a rule it was done when the high watermark moved.
        self._applied.follow()
        return UNKNOWN if self._applied.failure is not None else None

    def _decide_batch(self) -> tuple[list[MetadataRecord], _Outcomes]:
        """Decide queued commands one after the other, each on the image after those before it."""
        image, records, outcomes = self._applied.image, list[MetadataRecord](), _Outcomes()
        subjects, deleted = self._subjects, set[TopicId]()
        premises = self._premises()._replace(deleted=_Deleted(self._applied.deleted, deleted))
        while self._queue and len(records) + len(outcomes) < BATCH_MAX:
            waiting = self._queue.popleft()
            self._writing.append(waiting)
            try:
                decided = decide(image, waiting.command, premises, subjects)
            except KafkaError as refusal:
                outcomes.append((waiting, refusal))
                continue
            after, delta = apply_records(image, decided, subjects)
            if not decided:
                delta = change_made_already(image, waiting.command, subjects)
            elif not waiting.validate_only:
                image = after
                records.extend(decided)
                deleted.update(topic.topic_id for topic in delta.topics_deleted)
            outcomes.append((waiting, delta))
        return records, outcomes

    def _tell(self, outcomes: _Outcomes) -> None:
        offset = self._applied.offset
        for waiting, result in outcomes:
            if isinstance(result, KafkaError):
                waiting.tell(refused(result, offset))
            else:
                waiting.tell(Answer(fate=Outcome.DONE, offset=offset, delta=result))

    def _answer_all(self, waiting: deque[_Waiting] | list[_Waiting], answer: Answer) -> None:
        for one in waiting:
            one.tell(answer)
        waiting.clear()

    def _on_writer_end(self, writer: asyncio.Task[None]) -> None:
        failure = None if writer.cancelled() else writer.exception()
        if failure is None and not writer.cancelled():
            return
        self._writer = None
        # A bug, or the loop is closing. No caller may wait forever, and nothing may be decided on an image
        # that may be wrong.
        if failure is not None:
            _log.critical("metadata service failed; no change is accepted until a restart", exc_info=failure)
        self.failure = KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "This broker's metadata service has failed")
        self._answer_all(self._writing, refused(self.failure))
        self._answer_all(self._queue, refused(self.failure))
