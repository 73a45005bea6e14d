"""From a frame to the frames of its answer: admit, decode, authorize, handle, throttle, encode.

One per node, called by all connections on the event loop. The connection admits a frame's size and the memory
for it; here the API and its version are checked, and whether the client may send it in its state of
authentication. Each handler declares its needs (`broker.needs`); the delay after the answer comes from
`broker.quotas`.

Any exception of a handler becomes a well-formed error; a malformed request raises ValueError, and the
connection is closed as Kafka's is. The same holds for an API or a version that is not served: its client has
no layout of an answer, and an error in the layout of another version can read as success (the first bytes of
Fetch 4 are an empty answer of Fetch 0). Handler modules are imported when the node has started, or on the
first request for them. A request too large for one turn of the loop goes to `LargeRequests`.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from importlib import import_module
from types import CoroutineType, GeneratorType
from typing import Any, TypeVar, cast

from chronik.broker.authorization import Authorized, HandlerModule
from chronik.broker.context import Broker, NoAnswer, RequestContext, UnservedRequest
from chronik.broker.endpoint import ApiStatistics, Endpoint, Parts
from chronik.broker.large_requests import Job, LargeReply, LargeRequests
from chronik.broker.portions import small_bytes, small_elements
from chronik.broker.quotas import throttle
from chronik.broker.session import Session
from chronik.broker.slices import Sliced
from chronik.broker.unstarted import Unstarted
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.apis import SUPPORTED, ApiKey, request_class, response_class
from chronik.wire.codec import decoder, encoder, sliced_decoder
from chronik.wire.header import RequestHeader, parse_request_header
from chronik.wire.messages.api_versions import ApiVersionsRequest
from chronik.wire.schema import Message

__all__ = ["ApiStatistics", "Dispatcher", "Parts", "Reply", "UnservedRequest", "import_handlers"]

_log = logging.getLogger(__name__)

R = TypeVar("R")

Reply = Parts | None | asyncio.Future[Parts | None]

# Produce versions that are advertised only to be answered with an error (KAFKA-18659).
_PRODUCE_VERSIONS_REFUSED = range(3)

# A few bytes can request everything from these. A coroutine that they return is encoded in slices.
_MAY_ANSWER_AT_LENGTH = frozenset(
    (ApiKey.FETCH, ApiKey.METADATA, ApiKey.OFFSET_FETCH, ApiKey.DESCRIBE_LOG_DIRS, ApiKey.ELECT_LEADERS)
)

# A frame of no more bytes may be in memory that is reused when `dispatch` has returned.
FRAME_BYTES_BORROWED = 256 * 1024


def handler_module(api_key: ApiKey) -> HandlerModule:
    """Returns the module that answers a served API, importing it at the first call."""
    module: Any = import_module(f"chronik.broker.handlers.{api_key.name.lower()}")
    return cast(HandlerModule, module)


class Dispatcher:
    """See the module."""

    def __init__(self, broker: Broker, timer: Callable[[], float]) -> None:
        """`timer` gives seconds on a clock that never steps, for the statistics."""
        self._broker = broker
        self._timer = timer
        # Neither changes while the node lives.
        self._is_throttling = not broker.quotas.is_unlimited
        self._endpoints: dict[tuple[int, int], Endpoint] = {}
        self._statistics: dict[ApiKey, ApiStatistics] = {}
        self._large = LargeRequests(broker, timer)
        # The loop holds tasks only weakly.
        self._tasks: set[asyncio.Task[Any]] = set()

    def statistics(self) -> dict[ApiKey, ApiStatistics]:
        """Totals by API; not to be changed."""
        return self._statistics

    def dispatch(self, frame: memoryview, session: Session) -> Reply:
        """Answers one request, now or later.

        Raises ValueError for a frame that is no request or is not served (MalformedMessage, UnservedRequest,
        UnauthenticatedRequest), and NoAnswer, also later.
        """
        header = parse_request_header(frame)
        if not session.is_authenticated:
            session.admit(header.api_key)
        endpoint = self._endpoints.get((header.api_key, header.api_version))
        if endpoint is None:
            endpoint = self._load(header)
            if endpoint is None:
                return self._unsupported(header)
        started = self._timer()
        session.client_id = header.client_id
        context = RequestContext(
            api_key=header.api_key,
            api_version=header.api_version,
            correlation_id=header.correlation_id,
            client_id=header.client_id,
            session=session,
        )
        if len(frame) <= endpoint.small_bytes:
            request, _ = endpoint.decode(frame, header.body)
            return self._answer(endpoint, context, request, started)
        return self._dispatch_larger(endpoint, context, frame, header.body, started)

    def _dispatch_larger(
        self, endpoint: Endpoint, context: RequestContext, frame: memoryview, body: int, started: float
    ) -> Reply:
        """Answers a request that is decoded within a slice and names few things like any other; nearly all
        large frames are such: they are bytes of records.
        """
        decode = sliced_decoder(request_class(endpoint.api_key), endpoint.version)
        decoding = Sliced(decode(frame, body), self._timer)
        if decoding.advance():
            request, _, elements = decoding.result
            if elements <= endpoint.small_elements:
                return self._answer(endpoint, context, request, started)
        elif len(frame) <= FRAME_BYTES_BORROWED:
            decoding.replace_buffer(bytes(frame))
        job = Job(endpoint, context, decoding, len(frame))
        return self._reply_in_slices(endpoint, self._start(self._large.answer(job)), started)

    def _answer(self, endpoint: Endpoint, context: RequestContext, request: Message, started: float) -> Reply:
        try:
            response = endpoint.handle(self._broker, context, request)
            if isinstance(response, GeneratorType):
                handling = Sliced(response, self._timer)
                if not handling.advance():
                    work = Unstarted(handling.finish())
                    answer = self._answer_in_slices(endpoint, context, request, work)
                    return self._reply_in_slices(endpoint, self._start(answer), started)
                response = handling.result
        except NoAnswer:
            endpoint.statistics.errors += 1
            raise
        except Exception as error:
            response = endpoint.failed(request, error)
        if response is None:
            endpoint.statistics.count(self._timer() - started)
            return None
        if isinstance(response, Message):
            return self._encode(endpoint, context, response, started)
        if endpoint.api_key in _MAY_ANSWER_AT_LENGTH and isinstance(response, CoroutineType):
            answer = self._answer_in_slices(endpoint, context, request, Unstarted(response))
            return self._reply_in_slices(endpoint, self._start(answer), started)
        return self._reply_later(endpoint, context, request, response, started)

    async def _answer_in_slices(
        self, endpoint: Endpoint, context: RequestContext, request: Message, work: Unstarted[Any]
    ) -> Parts:
        """A small request that is much work, or may have a large answer."""
        try:
            response = await work
            if not isinstance(response, Message):
                response = await response
        except NoAnswer:
            raise
        except Exception as error:
            response = endpoint.failed(request, error)
        return await self._large.encode(endpoint, context, response)

    async def drain(self, seconds_max: float) -> None:
        """Wait until no request is being handled, but no longer than that."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds_max)

    def _reply_in_slices(
        self, endpoint: Endpoint, task: asyncio.Task[Any], started: float
    ) -> asyncio.Future[Parts | None]:
        """Returns a future of a task's answer."""
        reply = LargeReply(loop=asyncio.get_running_loop())

        def on_done(done: asyncio.Task[Parts | None]) -> None:
            endpoint.statistics.count(self._timer() - started)
            if reply.done():
                return
            error = NoAnswer("the node stops") if done.cancelled() else done.exception()
            if error is None:
                reply.set_result(done.result())
            else:
                endpoint.statistics.errors += 1
                reply.set_exception(error)

        task.add_done_callback(on_done)
        if endpoint.api_key is not ApiKey.PRODUCE:
            self._cancel_with(reply, task)
        return reply

    def _reply_later(
        self, endpoint: Endpoint, context: RequestContext, request: Message, response: Any, started: float
    ) -> asyncio.Future[Parts | None]:
        pending: asyncio.Future[Message] = (
            self._start(response) if isinstance(response, CoroutineType) else response
        )
        reply: asyncio.Future[Parts | None] = asyncio.get_running_loop().create_future()

        def on_done(done: asyncio.Future[Message]) -> None:
            error = asyncio.CancelledError() if done.cancelled() else done.exception()
            if reply.done():
                return
            try:
                message = done.result() if error is None else endpoint.failed(request, error)
                reply.set_result(self._encode(endpoint, context, message, started))
            except NoAnswer as no_answer:
                reply.set_exception(no_answer)

        pending.add_done_callback(on_done)
        if endpoint.api_key is not ApiKey.PRODUCE:
            self._cancel_with(reply, pending)
        return reply

    def _start(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _cancel_with(self, reply: asyncio.Future[Parts | None], pending: asyncio.Future[Any]) -> None:
        """Cancels what waits for a client that has disconnected: a parked JoinGroup frees its member, a
        Fetch its partitions. Not for Produce: records already handed to the log are appended all the same.
        """
        reply.add_done_callback(lambda _: pending.cancel() if reply.cancelled() else None)

    def _encode(
        self, endpoint: Endpoint, context: RequestContext, response: Message, started: float
    ) -> Parts:
        endpoint.statistics.count(self._timer() - started)
        if self._is_throttling:
            throttle(self._broker.quotas, endpoint.api_key, context.session, response)
        try:
            return endpoint.reply(context.correlation_id, response)
        except Exception as error:
            raise endpoint.cannot_be_encoded(error) from error

    def _load(self, header: RequestHeader) -> Endpoint | None:
        """The endpoint of a supported version, made on first use."""
        try:
            api_key = ApiKey(header.api_key)
            supported = SUPPORTED[api_key]
        except (ValueError, KeyError):
            return None
        is_refused = api_key is ApiKey.PRODUCE and header.api_version in _PRODUCE_VERSIONS_REFUSED
        if header.api_version not in supported and not is_refused:
            return None
        return self._make(api_key, header.api_version)

    def _make(self, api_key: ApiKey, version: int) -> Endpoint:
        module = handler_module(api_key)
        handle = module.handle if self._broker.access.allows_all else Authorized(api_key, module)
        endpoint = self._endpoints[api_key, version] = Endpoint(
            api_key=api_key,
            version=version,
            decode=decoder(request_class(api_key), version),
            handle=handle,
            on_error=module.on_error,
            encode=encoder(response_class(api_key), version),
            small_bytes=small_bytes(api_key),
            small_elements=small_elements(api_key),
            statistics=self._statistics.setdefault(api_key, ApiStatistics()),
        )
        return endpoint

    def _unsupported(self, header: RequestHeader) -> Parts:
        """The answer to ApiVersions of a version to come (KIP-511). Raises UnservedRequest for all others."""
        if header.api_key != ApiKey.API_VERSIONS:
            raise UnservedRequest(f"version {header.api_version} of API {header.api_key} is not served")
        version = SUPPORTED[ApiKey.API_VERSIONS].first
        endpoint = self._endpoints.get((ApiKey.API_VERSIONS, version))
        if endpoint is None:
            endpoint = self._make(ApiKey.API_VERSIONS, version)
        message = endpoint.failed(ApiVersionsRequest(), KafkaError(ErrorCode.UNSUPPORTED_VERSION))
        return endpoint.reply(header.correlation_id, message)


def import_handlers() -> None:
    """Imports the handlers that no request has needed so far: 80 ms in all, of which the first one of
    groups takes 20. In any thread.
    """
    for api_key in SUPPORTED:
        handler_module(api_key)
