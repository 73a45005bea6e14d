"""One shard at work: loaded from its partition, given commands, metadata and time, its records appended, its
answers delivered.

A command is run at once on the shard's state, which is ahead of the log; its answer is held until everything
the shard has written so far is committed, whether or not this command wrote any of it. So any number of
commits can be in flight, answers keep the order of the log, and no client receives an answer that a failed
append would revoke. Reads are answered the same way: OffsetFetch sees every commit that came before it, and
answers once those are durable.

When an append fails, all waiting commands get the error, the state is dropped, and the shard is loaded again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import count
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from chronik.broker.coordinator.appends import AppendQueue
from chronik.broker.coordinator.loading import replay
from chronik.broker.coordinator.log import CoordinatorLog
from chronik.broker.coordinator.shard import (
    NO_TICKET,
    Command,
    CoordinatorShard,
    MetadataChange,
    Now,
    Outcome,
    Ticket,
    UnknownRecordKind,
)
from chronik.cluster.image import ClusterImage
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.vocab.ids import LeaderEpoch, Offset, TopicPartition
from chronik.vocab.invariant import invariant
from chronik.vocab.seams import Clock

_log = logging.getLogger(__name__)

A = TypeVar("A")
S = TypeVar("S", bound=CoordinatorShard[Any])

# A client that comes while its shard is loaded is better served late than sent away, for it would come back
# after its backoff; but its own request timeout (30 s in most clients) must be far away.
LOAD_WAIT_SECONDS: Final = 2.0

# Between tries to load a partition that cannot be read.
LOAD_RETRY_SECONDS: Final = 5.0

# Delay of the log line that this node's metadata is behind the metadata an earlier coordinator knew.
METADATA_WAIT_SECONDS: Final = 5.0

# Commands that wait in one shard. Each holds a request, and connections bound those already; this is for a
# log that has stopped committing while clients give up and come again.
WAITING_MAX: Final = 50_000

# The answer after a failed append: look for the coordinator elsewhere, or try again (Kafka's mapping).
_APPEND_ERRORS: Final = {
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
}


class AppliedMetadata(Protocol):
    """The progress of this node in applying `__meta`."""

    @property
    def metadata_offset(self) -> Offset:
        """Everything below it is applied. Never decreases."""
        ...

    async def wait_applied(self, metadata_offset: Offset, seconds: float) -> bool:
        """True if everything below `metadata_offset` is applied within `seconds`."""
        ...


def _no_effects(partition: int, effect: object) -> None:
    invariant(False, "partition {}: nobody carries out {}", partition, effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorSetting(Generic[S]):
    """Parameters and services for the shards of one topic."""

    topic: str
    # Creates the topic unless it exists, waits for its leaders, and returns its number of partitions; raises
    # KafkaError.
    ensure_topic: Callable[[], Awaitable[int]]
    # Makes the empty shard of a partition, for the epoch in which this node leads it.
    make: Callable[[int, LeaderEpoch], S]
    log: CoordinatorLog
    clock: Clock
    metadata: AppliedMetadata
    # Carries out an effect (`Outcome.effects`) of a partition's shard, without waiting.
    on_effect: Callable[[int, Any], None] = _no_effects


class CoordinatorState(Enum):
    """Kafka's names, as its metric has them."""

    LOADING = "loading"
    ACTIVE = "active"
    FAILED = "failed"
    CLOSED = "closed"


class ShardHost(Generic[S]):
    """Created by the runtime when this node becomes leader of a partition; closed when it leads no more."""

    def __init__(
        self, setting: CoordinatorSetting[S], partition: int, epoch: LeaderEpoch, image: ClusterImage
    ) -> None:
        self._setting = setting
        self._name = TopicPartition(setting.topic, partition)
        self._epoch = epoch
        self._clock = setting.clock
        self._image = image
        self._loop = asyncio.get_running_loop()
        # True while the records that a load has to write are appended.
        self._is_taking_over = False
        # Invariant: not None exactly in ACTIVE.
        self._shard: S | None = None
        self.state = CoordinatorState.LOADING
        # Why loading has stopped, or is to be tried again. Invariant: not None exactly in FAILED.
        self._failure: KafkaError | None = None
        self._waiting: dict[Ticket, asyncio.Future[Any]] = {}
        self._tickets = cast(Iterator[Ticket], count(NO_TICKET + 1))
        self._appends = AppendQueue(setting.log, partition, self._deliver, self._on_append_failed)
        self._timer: asyncio.TimerHandle | None = None
        # Invariant: when there is a timer, the monotonic time at which it fires.
        self._timer_due_ms = 0
        # Set in every state but LOADING.
        self._has_loaded = asyncio.Event()
        self._loading = self._start_loading(0.0)

    @property
    def shard(self) -> S | None:
        """For statistics; None unless it is active."""
        return self._shard

    # Commands.

    async def run(self, command: Command[A]) -> A:
        """Returns the command's answer. Raises KafkaError when this node does not coordinate, or not yet."""
        shard = self._shard or await self._loaded()
        if len(self._waiting) >= WAITING_MAX:
            raise KafkaError(
                ErrorCode.COORDINATOR_NOT_AVAILABLE, "too many requests wait for the coordinator"
            )
        ticket = next(self._tickets)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting[ticket] = future
        try:
            self._perform(shard.handle(command, ticket, self._now()))
            answer: A = await future
        except asyncio.CancelledError:
            self._abandon(command, ticket)
            raise
        except KafkaError:
            raise
        except Exception:
            self._start_over(ErrorCode.UNKNOWN_SERVER_ERROR)
            raise
        finally:
            self._waiting.pop(ticket, None)
        return answer

    async def _loaded(self) -> S:
        try:
            async with asyncio.timeout(LOAD_WAIT_SECONDS):
                await self._has_loaded.wait()
        except TimeoutError:
            raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS) from None
        if self._failure is not None:
            raise KafkaError(self._failure.code, self._failure.message)
        if self._shard is None:
            raise KafkaError(ErrorCode.NOT_COORDINATOR)
        return self._shard

    def _abandon(self, command: Command[Any], ticket: Ticket) -> None:
        """The client's connection closed while it waited."""
        if (shard := self._shard) is not None:
            self._take_turn(partial(shard.abandon, command, ticket, self._now()))

    def on_metadata(self, change: MetadataChange) -> None:
        """The metadata has changed. A shard that is being loaded is not notified; it gets all of it
        afterwards.
        """
        self._image = change.image
        if (shard := self._shard) is not None:
            self._take_turn(partial(shard.on_metadata, change, self._now()))

    async def close(self, code: ErrorCode = ErrorCode.NOT_COORDINATOR) -> None:
        """Answers all waiting commands with `code`. Appends in progress may still be committed."""
        self._loading.cancel()
        self._drop_state(CoordinatorState.CLOSED, code)
        await asyncio.wait([self._loading])

    # Loading.

    def _start_loading(self, delay_seconds: float) -> asyncio.Task[None]:
        name = f"load-coordinator-{self._name}"
        return self._loop.create_task(self._load(delay_seconds), name=name)

    async def _load(self, delay_seconds: float) -> None:
        await self._appends.wait_abandoned()
        if delay_seconds:
            await asyncio.sleep(delay_seconds)
        try:
            self._activate(await self._replayed())
        except UnknownRecordKind as error:
            self._stop(f"a later release wrote records this one does not know ({error})")
        except Exception as error:
            self._stop(f"internal error ({error})")
            self._report(error)

    async def _replayed(self) -> S:
        """Try until it succeeds. Raises UnknownRecordKind."""
        while True:
            started_ms = self._clock.monotonic_ms()
            shard = self._setting.make(self._name.partition, self._epoch)
            try:
                records = await replay(self._setting.log, self._name, shard)
                await self._wait_for_metadata(Offset(shard.metadata_required()))
            except (KafkaError, OSError) as error:
                _log.error(
                    "could not load coordinator; the load is tried again", extra=self._extra(error=str(error))
                )
                # As Kafka: who waits, and who comes, is sent to look for the coordinator elsewhere. From a
                # part of the partition nothing is answered: offsets would be missing.
                self.state = CoordinatorState.FAILED
                self._failure = KafkaError(ErrorCode.NOT_COORDINATOR, "the log cannot be read for now")
                self._has_loaded.set()
                await asyncio.sleep(LOAD_RETRY_SECONDS)
                continue
            if records:
                took_ms = self._clock.monotonic_ms() - started_ms
                _log.info("coordinator loaded", extra=self._extra(records=records, took_ms=took_ms))
            return shard

    async def _wait_for_metadata(self, offset: Offset) -> None:
        """Wait until this node knows as much of the topics as those knew who wrote the log."""
        metadata = self._setting.metadata
        while not await metadata.wait_applied(offset, METADATA_WAIT_SECONDS):
            extra = self._extra(offset=offset, applied=metadata.metadata_offset)
            _log.warning(
                "coordinator loading delayed: the metadata of this node is behind the log", extra=extra
            )
            # Where nothing is applied any more the wait ends at once.
            await asyncio.sleep(LOAD_RETRY_SECONDS)

    def _activate(self, shard: S) -> None:
        self._shard, self._failure = shard, None
        self.state = CoordinatorState.ACTIVE
        self._is_taking_over = True
        now = self._now()
        self._perform(shard.on_metadata(MetadataChange(image=self._image, delta=None), now))
        if self._shard is not None:
            self._perform(shard.on_loaded(now))
        self._is_taking_over = False
        if self._shard is not None:
            self._has_loaded.set()

    def _stop(self, reason: str) -> None:
        """Serves nothing in this epoch: to load only the readable records would be to forget the rest."""
        _log.error(
            "coordinator stopped loading: %s; its clients get COORDINATOR_NOT_AVAILABLE",
            reason,
            extra=self._extra(),
        )
        self._drop_state(CoordinatorState.FAILED, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self._failure = KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"loading has stopped: {reason}")

    def _extra(self, **more: object) -> dict[str, object]:
        return {"topic": self._name.topic, "partition": self._name.partition, **more}

    # Records out, answers back.

    def _perform(self, outcome: Outcome[Any]) -> None:
        for event in outcome.events:
            _log.info("%s: %s", event.subject, event.text)
        if outcome.immediate:
            self._answer(outcome.immediate)
        if outcome.records or outcome.marker is not None:
            try:
                self._appends.append(outcome)
            except KafkaError as error:
                self._on_append_failed(error)
                return
        if self._appends.in_flight:
            self._appends.in_flight[-1].outcomes.append(outcome)
        else:
            self._deliver((outcome,))
        self._arm()

    def _deliver(self, outcomes: Sequence[Outcome[Any]]) -> None:
        """All records of these outcomes and of those before them are committed."""
        for outcome in outcomes:
            for ticket, answer in outcome.answers:
                future = self._waiting.get(ticket)
                if future is not None and not future.done():
                    future.set_result(answer)
        # Afterwards, because these may fail and refuse the commands that still wait.
        for outcome in outcomes:
            if outcome.effects or outcome.follow_ups:
                self._follow_up(outcome)

    def _answer(self, answers: Sequence[tuple[Ticket, Any]]) -> None:
        for ticket, answer in answers:
            future = self._waiting.get(ticket)
            if future is not None and not future.done():
                future.set_result(answer)

    def _follow_up(self, outcome: Outcome[Any]) -> None:
        for effect in outcome.effects:
            self._setting.on_effect(self._name.partition, effect)
        for command in outcome.follow_ups:
            if (shard := self._shard) is not None:
                self._take_turn(partial(shard.handle, command, NO_TICKET, self._now()))

    def _on_append_failed(self, error: BaseException) -> None:
        code = error.code if isinstance(error, KafkaError) else ErrorCode.UNKNOWN_SERVER_ERROR
        _log.error(
            "could not write coordinator records; the coordinator is loaded again from the log",
            extra=self._extra(error=str(error)),
        )
        self._start_over(_APPEND_ERRORS.get(code, ErrorCode.UNKNOWN_SERVER_ERROR))

    # Turns for which no client waits, and failures.

    def _take_turn(self, turn: Callable[[], Outcome[Any]]) -> None:
        try:
            self._perform(turn())
        except Exception as error:
            self._start_over(ErrorCode.UNKNOWN_SERVER_ERROR, LOAD_RETRY_SECONDS)
            self._report(error)

    def _report(self, error: Exception) -> None:
        """Reports a defect to the loop's exception handler."""
        self._loop.call_exception_handler({"message": f"coordinator {self._name} failed", "exception": error})

    def _start_over(self, code: ErrorCode, delay_seconds: float = 0.0) -> None:
        """Drops the state, which may be half changed or hold more than the log does, and loads it again."""
        if self._shard is None:
            return
        if self._is_taking_over:
            # The load's own writes failed at once, and would again: the disk is full, for example.
            delay_seconds = LOAD_RETRY_SECONDS
        self._drop_state(CoordinatorState.LOADING, code)
        self._loading = self._start_loading(delay_seconds)

    def _drop_state(self, state: CoordinatorState, code: ErrorCode) -> None:
        """Go on in `state`; everyone who waits is answered with `code`."""
        self.state = state
        self._shard = None
        self._failure = None
        self._appends.abandon()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(KafkaError(code))
        if state is CoordinatorState.LOADING:
            self._has_loaded.clear()
        else:
            self._has_loaded.set()

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
        if (shard := self._shard) is not None:
            self._take_turn(partial(shard.tick, self._now()))
