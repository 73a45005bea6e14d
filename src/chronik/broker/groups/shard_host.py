"""One shard at work: loaded from its partition, given commands and time, its records appended, its answers
delivered.

A command is run at once on the shard's state, which is ahead of the log; its answer is held until everything
the shard has written so far is committed, whether or not this command wrote any of it. So any number of
commits can be in flight, answers keep the order of the log, and nobody is told what a failed append would
take back. Offsets are read the same way: OffsetFetch sees every commit that came before it, and answers once
those are durable.

When an append fails, everyone who waits gets the error, the state is thrown away, and the shard is loaded
again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeVar, cast

from chronik.broker.groups.config import RECORD_OVERHEAD_BYTES, RECORDS_BYTES_MAX, GroupConfig
from chronik.broker.groups.deadlines import Now
from chronik.broker.groups.log import CoordinatorLog, KeyValues
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import Offset
from chronik.vocab.invariant import InvariantViolation
from chronik.vocab.seams import Clock

if TYPE_CHECKING:
    from chronik.broker.groups.commands import AnswerTo, Command, Ticket
    from chronik.broker.groups.shard import Shard
    from chronik.broker.groups.topics import Topics
    from chronik.broker.groups.turn import Outcome

_log = logging.getLogger(__name__)

A = TypeVar("A")

# A client that comes while its group is loaded is better served late than sent away, for it would come back
# after its backoff; yet its own request timeout (30 s in most clients) must be far away.
LOAD_WAIT_SECONDS: Final = 2.0

# Between tries to load a partition that cannot be read.
LOAD_RETRY_SECONDS: Final = 5.0

# Until a log line says that the metadata of this node is behind what a coordinator before it knew.
METADATA_WAIT_SECONDS: Final = 5.0

# Commands that wait in one shard. Each holds a request, and connections bound those already; this is for a
# log that has stopped committing while clients give up and come again.
WAITING_MAX: Final = 50_000

# What a failed append means for who asked: look for the coordinator elsewhere, or try again (Kafka's
# mapping).
_APPEND_ERRORS: Final = {
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
}


class _Append:
    """A batch on its way, and the answers that wait for it."""

    __slots__ = ("answers", "committed")

    def __init__(self, committed: asyncio.Future[None]) -> None:
        self.committed = committed
        self.answers: list[AnswerTo] = []


class ShardHost:
    """Made by the service when this node becomes leader of a partition; closed when it no longer is."""

    def __init__(
        self, partition: int, log: CoordinatorLog, clock: Clock, config: GroupConfig, topics: "Topics"
    ) -> None:
        self._partition = partition
        self._topics = topics
        self._log = log
        self._clock = clock
        self._config = config
        self._loop = asyncio.get_running_loop()
        # While what a load has to write is appended.
        self._is_taking_over = False
        # None while it is loaded, and after the end.
        self._shard: Shard | None = None
        self._waiting: dict[Ticket, asyncio.Future[object]] = {}
        self._next_ticket = 0
        # In the order of the log.
        self._in_flight: deque[_Append] = deque()
        # Appends that were in flight when the state they came from was dropped; some may still be committed.
        self._abandoned: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        # Invariant: when there is a timer, the monotonic time at which it fires.
        self._timer_due_ms = 0
        self._is_closed = False
        # Set while there is a shard to ask, or when there is none for now, or will be none.
        self._is_done = asyncio.Event()
        self._loading = self._start_loading()

    @property
    def shard(self) -> "Shard | None":
        """For statistics; None while it is loaded."""
        return self._shard

    @property
    def has_failed(self) -> bool:
        """True if its partition could not be loaded, and is tried again."""
        return self._shard is None and self._is_done.is_set() and not self._is_closed

    async def run(self, command: "Command[A]") -> A:
        """The command's answer. Raises KafkaError when this is not, or not yet, the place to ask."""
        shard = self._shard or await self._loaded()
        if len(self._waiting) >= WAITING_MAX:
            raise KafkaError(
                ErrorCode.COORDINATOR_NOT_AVAILABLE, "too many requests wait for the coordinator"
            )
        self._next_ticket += 1
        ticket = cast("Ticket", self._next_ticket)
        future: asyncio.Future[object] = self._loop.create_future()
        self._waiting[ticket] = future
        try:
            self._perform(shard.handle(command, ticket, self._now()))
            return cast(A, await future)
        except asyncio.CancelledError:
            self._abandon(command.group_id, ticket)
            raise
        except InvariantViolation:
            # The state may be half changed; what the log says is not.
            self._fail(ErrorCode.UNKNOWN_SERVER_ERROR)
            raise
        finally:
            self._waiting.pop(ticket, None)

    async def _loaded(self) -> "Shard":
        try:
            async with asyncio.timeout(LOAD_WAIT_SECONDS):
                await self._is_done.wait()
        except TimeoutError:
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS) from None
        if self._shard is None:
            raise KafkaError(ErrorCode.NOT_COORDINATOR)
        return self._shard

    def _abandon(self, group_id: str, ticket: "Ticket") -> None:
        """The client's connection closed while it waited."""
        if self._shard is None:
            return
        from chronik.broker.groups.commands import Abandon, Ticket

        outcome = self._shard.handle(Abandon(group_id, abandoned=ticket), Ticket(0), self._now())
        self._perform(outcome)

    async def close(self, code: ErrorCode = ErrorCode.NOT_COORDINATOR) -> None:
        """Answer everyone who waits with `code`. What is on its way to the log may still be committed."""
        self._is_closed = True
        self._loading.cancel()
        self._drop_state(code)
        self._is_done.set()
        await asyncio.wait([self._loading])

    # Loading.

    def _start_loading(self) -> asyncio.Task[None]:
        # What the last load had to write failed at once, and would again: the disk is full, for example.
        delay = LOAD_RETRY_SECONDS if self._is_taking_over else 0.0
        task = self._loop.create_task(self._load(delay), name=f"load-groups-{self._partition}")
        task.add_done_callback(self._on_load_end)
        return task

    def _on_load_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical(
                "could not load groups: an unexpected error; restart this node",
                extra={"partition": self._partition},
                exc_info=error,
            )

    async def _load(self, delay: float) -> None:
        await self._settle_appends()
        if delay:
            await asyncio.sleep(delay)
        while not self._is_closed:
            try:
                shard = await self._replay()
                await self._follow_metadata(Offset(shard.metadata_required()))
            except (KafkaError, OSError) as error:
                _log.error(
                    "could not load groups; the load is tried again",
                    extra={"partition": self._partition, "error": str(error)},
                )
                # As Kafka: who waits, and who comes, is sent to look for the coordinator elsewhere. Without
                # all of the partition nothing is answered from it: offsets would be missing.
                self._is_done.set()
                await asyncio.sleep(LOAD_RETRY_SECONDS)
                continue
            self._shard = shard
            self._is_taking_over = True
            self._perform(shard.on_loaded(self._now()))
            self._is_taking_over = False
            if self._shard is not None:
                self._is_done.set()
            return

    async def _follow_metadata(self, offset: Offset) -> None:
        """Wait until this node knows as much of the topics as those knew who wrote the log."""
        while not await self._topics.wait_applied(offset, METADATA_WAIT_SECONDS):
            extra = {"partition": self._partition, "offset": offset, "applied": self._topics.metadata_offset}
            _log.warning("group loading delayed: the metadata of this node is behind the log", extra=extra)
            # Where nothing is applied any more the wait ends at once.
            await asyncio.sleep(LOAD_RETRY_SECONDS)

    async def _settle_appends(self) -> None:
        if self._abandoned:
            await asyncio.wait(self._abandoned)
            self._abandoned = []

    async def _replay(self) -> "Shard":
        # Not imported before it is needed: a node without groups starts sooner.
        from chronik.broker.groups.primitives import MalformedRecord
        from chronik.broker.groups.shard import Shard

        started_ms = self._clock.monotonic_ms()
        shard = Shard(self._config, self._topics)
        records = 0
        async for piece in self._log.read(self._partition):
            records += len(piece)
            for key, value in piece:
                try:
                    shard.replay(key, value)
                except MalformedRecord as error:
                    # Kafka refuses to load here. One group's loss is better than all groups', and it is said.
                    extra = {"partition": self._partition, "key": key.hex(), "error": str(error)}
                    _log.error("group record skipped: it cannot be decoded", extra=extra)
        if records:
            took_ms = self._clock.monotonic_ms() - started_ms
            extra = {"partition": self._partition, "groups": len(shard.groups), "records": records}
            _log.info("groups loaded", extra={**extra, "took_ms": took_ms})
        return shard

    # Records out, answers back.

    def _perform(self, outcome: "Outcome") -> None:
        for event in outcome.events:
            _log.info("group %s: %s", event.group_id, event.text)
        for batch in _batches(outcome.records):
            if not self._append(batch):
                return
        if self._in_flight:
            self._in_flight[-1].answers.extend(outcome.answers)
        else:
            self._deliver(outcome.answers)
        self._arm()

    def _append(self, records: KeyValues) -> bool:
        """Whether it is on its way."""
        try:
            committed = asyncio.ensure_future(self._log.append(self._partition, records))
        except KafkaError as error:
            self._on_append_failed(error)
            return False
        self._in_flight.append(_Append(committed))
        committed.add_done_callback(self._on_append_done)
        return True

    def _on_append_done(self, committed: asyncio.Future[None]) -> None:
        """Deliver what is committed now, in order, up to an append that is not done or has failed."""
        _failure(committed)  # So that asyncio does not complain of one nobody looked at.
        while self._in_flight and self._in_flight[0].committed.done():
            failure = _failure(self._in_flight[0].committed)
            if failure is not None:
                self._on_append_failed(failure)
                return
            self._deliver(self._in_flight.popleft().answers)

    def _on_append_failed(self, error: BaseException) -> None:
        code = error.code if isinstance(error, KafkaError) else ErrorCode.UNKNOWN_SERVER_ERROR
        _log.error(
            "could not write group records; they are loaded again from the log",
            extra={"partition": self._partition, "error": str(error)},
        )
        self._fail(_APPEND_ERRORS.get(code, ErrorCode.UNKNOWN_SERVER_ERROR))

    def _deliver(self, answers: "list[AnswerTo]") -> None:
        for ticket, answer in answers:
            future = self._waiting.get(ticket)
            if future is not None and not future.done():
                future.set_result(answer)

    def _fail(self, code: ErrorCode) -> None:
        """Start over from the log."""
        if self._shard is None:
            return
        self._drop_state(code)
        self._is_done.clear()
        self._loading = self._start_loading()

    def _drop_state(self, code: ErrorCode) -> None:
        self._shard = None
        self._abandoned += [append.committed for append in self._in_flight]
        self._in_flight.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(KafkaError(code))

    # Time.

    def _now(self) -> Now:
        return Now(self._clock.now_ms(), self._clock.monotonic_ms())

    def _arm(self) -> None:
        """Have `_on_timer` called in time. A timer that is too early is left: it costs one look at
        nothing.
        """
        due_ms = self._shard.next_deadline_ms if self._shard is not None else None
        if due_ms is None or (self._timer is not None and self._timer_due_ms <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        delay_ms = max(due_ms - self._clock.monotonic_ms(), 0)
        self._timer_due_ms = due_ms
        self._timer = self._loop.call_later(delay_ms / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._shard is not None:
            self._perform(self._shard.tick(self._now()))


def _failure(committed: asyncio.Future[None]) -> BaseException | None:
    """Why an append that is done has failed; None when it has not."""
    return asyncio.CancelledError() if committed.cancelled() else committed.exception()


def _batches(records: list[tuple[bytes, bytes | None]]) -> Iterator[KeyValues]:
    """Pieces that each fit in a batch. Only tombstones come in such numbers, and those need not be atomic."""
    batch: list[tuple[bytes, bytes | None]] = []
    size = 0
    for key, value in records:
        record_size = len(key) + len(value or b"") + RECORD_OVERHEAD_BYTES
        if batch and size + record_size > RECORDS_BYTES_MAX:
            yield batch
            batch, size = [], 0
        batch.append((key, value))
        size += record_size
    if batch:
        yield batch
