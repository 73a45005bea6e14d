"""Answers requests that are too large for one turn of the loop: decoded, handled and encoded in slices.

One per node, owned by the dispatcher. Large requests take turns, because their objects are many times their
bytes; waiting ones keep their frames, which count as received.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from chronik.broker.context import Broker, NoAnswer, RequestContext
from chronik.broker.creation_limits import check_additions
from chronik.broker.endpoint import Endpoint, Parts
from chronik.broker.portions import Creations, check_uncut, cut, is_cut, join, release
from chronik.broker.quotas import throttle
from chronik.broker.slices import Sliced
from chronik.vocab.errors import KafkaError
from chronik.wire.apis import ApiKey, response_class
from chronik.wire.codec import sliced_encoder
from chronik.wire.header import response_frame
from chronik.wire.messages.metadata import MetadataRequest
from chronik.wire.schema import Message

# Each may be half a million objects, some 100 MB, and an answer as large. One that waits, for a commit or for
# leaders, shall not keep all others.
LARGE_AT_ONCE = 2

# From a decoder: the message, the position behind it, its elements.
Decoding = Sliced[tuple[Message, int, int]]


class LargeReply(asyncio.Future[Parts | None]):
    """The answer to a large request. No other request of its connection starts before it is complete, not
    even where both are Produce: the records of a large one are appended over many turns of the loop,
    and those of the next must come after them.
    """


class Job(NamedTuple):
    """One large request."""

    endpoint: Endpoint
    context: RequestContext
    decoding: Decoding
    frame_bytes: int


class LargeRequests:
    """See the module."""

    def __init__(self, broker: Broker, timer: Callable[[], float]) -> None:
        self._broker = broker
        self._timer = timer
        self._turns = asyncio.Semaphore(LARGE_AT_ONCE)

    async def answer(self, job: Job) -> Parts | None:
        """The answer's frame. Raises MalformedMessage, NoAnswer."""
        memory = self._broker.memory
        memory.received_bytes += job.frame_bytes
        try:
            response = await self._response(job)
        finally:
            memory.received_bytes -= job.frame_bytes
        if response is None:
            return None
        frame = await self.encode(job.endpoint, job.context, response)
        await Sliced(release(job.endpoint.api_key, response), self._timer).finish()
        return frame

    async def encode(self, endpoint: Endpoint, context: RequestContext, response: Message) -> Parts:
        """The frame of a response that may be large. Raises NoAnswer when it cannot be written."""
        if not self._broker.quotas.is_unlimited:
            throttle(self._broker.quotas, endpoint.api_key, context.session, response)
        steps = sliced_encoder(response_class(endpoint.api_key), endpoint.version)(response)
        try:
            body = await Sliced(steps, self._timer).finish()
        except Exception as error:
            raise endpoint.cannot_be_encoded(error) from error
        return response_frame(endpoint.api_key, endpoint.version, context.correlation_id, body)

    async def _response(self, job: Job) -> Message | None:
        async with self._turns:
            request, _, elements = await job.decoding.finish()
            refusal = None
            try:
                await Sliced(check_uncut(job.endpoint.api_key, request, elements), self._timer).finish()
                check_additions(self._broker, job.endpoint.api_key, request)
            except KafkaError as error:
                refusal = error
            if is_cut(job.endpoint.api_key, request):
                response = await self._in_portions(job, request, refusal)
                await Sliced(release(job.endpoint.api_key, request), self._timer).finish()
                return response
        # A handler that waits without a limit, such as JoinGroup, waits without a turn.
        return await self._end(job, request, self._begin(job, request, refusal))

    async def _in_portions(self, job: Job, request: Message, refusal: KafkaError | None) -> Message | None:
        """Begin one after the other; the answers, in order, as one."""
        started, timeout_ms = self._timer(), getattr(request, "timeout_ms", None)
        answers = _Answers(job.endpoint.api_key, request)
        # Produce's, which wait for commits: one wait covers them all, so the next portion is appended now.
        pending: deque[tuple[Message, int, asyncio.Future[Message]]] = deque()
        creations = Creations(lambda: self._broker.metadata.image.topics)
        for portion, depth in cut(job.endpoint.api_key, request, is_refused=refusal is not None):
            if timeout_ms is not None:
                waited_ms = int((self._timer() - started) * 1000)
                portion.timeout_ms = max(0, timeout_ms - waited_ms)  # type: ignore[attr-defined]
            if isinstance(portion, MetadataRequest):
                creations.limit(portion)
            response = self._begin(job, portion, refusal)
            if isinstance(response, asyncio.Future):
                pending.append((portion, depth, response))
            elif pending:
                answered = asyncio.get_running_loop().create_future()
                answered.set_result(response)
                pending.append((portion, depth, answered))
            else:
                answers.add(await self._end(job, portion, response), depth)
            await asyncio.sleep(0)
        while pending:
            portion, depth, future = pending.popleft()
            answers.add(await self._end(job, portion, future), depth)
        return answers.joined

    def _begin(self, job: Job, request: Message, refusal: KafkaError | None) -> Any:
        """Returns the handler's result. Raises NoAnswer."""
        if refusal is not None:
            return job.endpoint.failed(request, refusal)
        try:
            return job.endpoint.handle(self._broker, job.context, request)
        except NoAnswer:
            raise
        except Exception as error:
            return job.endpoint.failed(request, error)

    async def _end(self, job: Job, request: Message, response: Any) -> Message | None:
        """The response that a handler's return value stands for. Raises NoAnswer."""
        if response is None or isinstance(response, Message):
            return response
        try:
            if isinstance(response, Generator):
                response = Sliced(response, self._timer).finish()
            ended: Message | None = await response
        except NoAnswer:
            raise
        except Exception as error:
            return job.endpoint.failed(request, error)
        return ended


class _Answers:
    """The answers to portions, put together as they come, in their order."""

    def __init__(self, api_key: ApiKey, request: Message) -> None:
        self._api_key = api_key
        self._request = request
        self.joined: Message | None = None

    def add(self, response: Message | None, depth: int) -> None:
        if self.joined is None or response is None:
            self.joined = response
        else:
            join(self._api_key, self._request, self.joined, response, depth)
