"""The metadata of the cluster on this node: commands become committed records, records become the next image.

Commands queue. While one append to the metadata log is on its way, those that come gather, and go into the
log together with the next one, so a thousand clients that create topics share a few syncs. Each is still
decided after all that came before it. An answer, refusals included, is given only when everything it builds
on is committed and applied.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chronik.cluster.commands import Command
from chronik.cluster.controller import decide
from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.record_codec import decode, encode
from chronik.cluster.records import MetadataRecord
from chronik.cluster.topic_decisions import TopicDefaults
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.seams import Randomness

_log = logging.getLogger(__name__)

KeyValue = tuple[bytes, bytes]
ImageCallback = Callable[[ClusterDelta, ClusterImage], None]

# The loop is held while a batch is decided and applied; this many commands and records take about 20 ms. A
# single command may exceed it, for its records are committed together.
BATCH_MAX = 1_000

# Commands are small, and their clients wait; beyond this the controller is not keeping up, and waiting longer
# helps nobody.
QUEUE_MAX = 10_000


class MetadataLog(Protocol):
    """The `__meta` log as the service needs it."""

    async def append(self, records: Sequence[KeyValue]) -> None:
        """Append all of `records` as one record batch, and return when they are committed.

        Never called again before it returned. Raises KafkaError when it failed. If records of a failed append
        may be in the log all the same, every later append must fail too, until the log has been replayed.
        """
        ...

    def replay(self) -> Iterable[KeyValue]:
        """All committed records from the beginning."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    command: Command
    validate_only: bool
    answer: asyncio.Future[ClusterDelta]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What was decided on a waiting command; told to its sender after the commit."""

    waiting: _Waiting
    result: ClusterDelta | KafkaError

    def tell(self) -> None:
        if self.waiting.answer.done():
            return
        if isinstance(self.result, KafkaError):
            self.waiting.answer.set_exception(self.result)
        else:
            self.waiting.answer.set_result(self.result)


class MetadataService:
    """One per node, for the node's life. Made and replayed by the server before anything else is started."""

    def __init__(
        self, log: MetadataLog, defaults: Callable[[], TopicDefaults], randomness: Randomness
    ) -> None:
        self._log = log
        self._defaults = defaults
        self._randomness = randomness
        # Invariant: what the committed records add up to, and nothing else.
        self._image = ClusterImage()
        self._callbacks: list[ImageCallback] = []
        self._queue: deque[_Waiting] = deque()
        # Commands of the batch that is on its way into the log.
        self._writing: list[_Waiting] = []
        # Invariant: not None while anything is queued.
        self._writer: asyncio.Task[None] | None = None
        self._refusal: KafkaError | None = None

    @property
    def image(self) -> ClusterImage:
        """The latest committed image."""
        return self._image

    def replay(self) -> None:
        """Build the image from the log. Subscribers are not called: they look at the image when they start.

        Raises UnreadableRecord, InvariantViolation when the log cannot be understood: the node must not start
        then.
        """
        records = [decode(key, value) for key, value in self._log.replay()]
        self._image, _ = apply_records(ClusterImage(), records)

    def subscribe(self, callback: ImageCallback) -> Callable[[], None]:
        """Call `callback` with each change and the image after it, before any sender is answered.

        It is called on the loop, in the order of subscription, and must not raise. Returns what ends the
        subscription.
        """
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def submit(self, command: Command, *, validate_only: bool = False) -> ClusterDelta:
        """Carry out `command`. Returns what it changed, once committed and told to all subscribers.

        With `validate_only` it returns what would change, and nothing changes. Raises KafkaError when the
        command is refused or could not be committed. A command whose sender is cancelled is carried out all
        the same.
        """
        if self._refusal is not None:
            raise KafkaError(self._refusal.code, self._refusal.message)
        if len(self._queue) >= QUEUE_MAX:
            raise KafkaError(ErrorCode.THROTTLING_QUOTA_EXCEEDED, "Too many metadata changes are waiting")
        answer: asyncio.Future[ClusterDelta] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(command=command, validate_only=validate_only, answer=answer))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="metadata-writer")
            self._writer.add_done_callback(self._on_writer_end)
        return await answer

    async def close(self) -> None:
        """Take no more commands and wait until those that were taken are answered."""
        self._refusal = KafkaError(ErrorCode.NOT_CONTROLLER, "The broker is shutting down")
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        while self._queue:
            records, outcomes = self._decide_batch()
            if records:
                try:
                    await self._log.append([encode(record) for record in records])
                except KafkaError as error:
                    self._fail_batch(error)
                    continue
                self._apply(records)
            else:
                # Many refusals in a row must not hold the loop either.
                await asyncio.sleep(0)
            self._writing.clear()
            for outcome in outcomes:
                outcome.tell()
        # In the same step in which the queue was found empty: a command that comes now starts another writer.
        self._writer = None

    def _decide_batch(self) -> tuple[list[MetadataRecord], list[_Outcome]]:
        """Decide queued commands one after the other, each on the image after those before it."""
        image, records, outcomes = self._image, list[MetadataRecord](), list[_Outcome]()
        defaults = self._defaults()
        while self._queue and len(records) + len(outcomes) < BATCH_MAX:
            waiting = self._queue.popleft()
            self._writing.append(waiting)
            try:
                decided = decide(image, waiting.command, defaults, self._randomness)
            except KafkaError as refusal:
                outcomes.append(_Outcome(waiting=waiting, result=refusal))
                continue
            after, delta = apply_records(image, decided)
            if not waiting.validate_only:
                image = after
                records.extend(decided)
            outcomes.append(_Outcome(waiting=waiting, result=delta))
        return records, outcomes

    def _apply(self, records: Sequence[MetadataRecord]) -> None:
        # Once more from the records, as a node does that did not decide them: subscribers see one change per
        # batch.
        self._image, delta = apply_records(self._image, records)
        for callback in self._callbacks:
            callback(delta, self._image)

    def _fail_batch(self, error: KafkaError) -> None:
        for waiting in self._writing:
            _Outcome(waiting=waiting, result=KafkaError(error.code, error.message)).tell()
        self._writing.clear()

    def _on_writer_end(self, writer: asyncio.Task[None]) -> None:
        failure = None if writer.cancelled() else writer.exception()
        if failure is None and not writer.cancelled():
            return
        self._writer = None
        # A bug, or the loop is closing. Nobody may wait for ever, and nothing may be decided on an image that
        # may be wrong.
        if failure is not None:
            _log.critical("metadata service failed, no further change is accepted", exc_info=failure)
        self._refusal = KafkaError(
            ErrorCode.UNKNOWN_SERVER_ERROR, "This broker's metadata service has failed"
        )
        self._writing.extend(self._queue)
        self._queue.clear()
        self._fail_batch(self._refusal)
