"""From a frame to the frames of its answer: header, version, decoding, handler, encoding.

One per node, called by all connections on the event loop. Whatever a handler raises becomes a well-formed
error; what is not a request raises ValueError, and the connection closes as Kafka's does. So it does for an
API or a version that is not served: no layout of an answer is known to its client, and an error in the layout
of another version can read as success (the first bytes of Fetch 4 are an empty answer of Fetch 0). Handler
modules are imported on the first request for them.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from chronik.broker.context import Broker, NoAnswer, RequestContext
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.apis import SUPPORTED, ApiKey, request_class, response_class
from chronik.wire.codec import decoder, encoder
from chronik.wire.header import RequestHeader, parse_request_header, response_frame
from chronik.wire.messages.api_versions import ApiVersionsRequest
from chronik.wire.schema import Buffer, Message

_log = logging.getLogger(__name__)

Parts = list[Buffer]
Reply = Parts | None | asyncio.Future[Parts | None]

# Message objects of all APIs pass through here; each handler module types its own.
_Handle = Callable[[Broker, RequestContext, Any], Any]
# None: no response can tell this client.
_OnError = Callable[[Any, ErrorCode, str | None], Message | None]

# Produce versions that are advertised only to be answered with an error (KAFKA-18659).
_PRODUCE_VERSIONS_REFUSED = range(3)


class UnservedRequest(ValueError):
    """A request for an API, or a version of one, that is not advertised: its connection closes."""


class Peer(Protocol):
    """What a request's context takes from its connection."""

    connection_id: int
    listener: str
    client_host: str


@dataclass(slots=True)
class ApiStatistics:
    """Totals of one API since start."""

    requests: int = 0
    errors: int = 0
    seconds: float = 0.0

    def count(self, seconds: float) -> None:
        self.requests += 1
        self.seconds += seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """All that one version of one API needs."""

    api_key: ApiKey
    version: int
    decode: Callable[[memoryview, int], tuple[Message, int]]
    handle: _Handle
    on_error: _OnError
    encode: Callable[[Message], Parts]
    statistics: ApiStatistics = field(default_factory=ApiStatistics)

    def reply(self, correlation_id: int, response: Message) -> Parts:
        """The buffers of the response's frame."""
        return response_frame(self.api_key, self.version, correlation_id, self.encode(response))


class Dispatcher:
    """See the module."""

    def __init__(self, broker: Broker, timer: Callable[[], float]) -> None:
        """`timer` gives seconds on a clock that never steps, for the statistics."""
        self._broker = broker
        self._timer = timer
        self._endpoints: dict[tuple[int, int], Endpoint] = {}
        self._statistics: dict[ApiKey, ApiStatistics] = {}
        # The loop holds tasks only weakly.
        self._tasks: set[asyncio.Task[Message]] = set()

    def statistics(self) -> dict[ApiKey, ApiStatistics]:
        """Totals by API; not to be changed."""
        return self._statistics

    def dispatch(self, frame: memoryview, connection: Peer) -> Reply:
        """Answer one request, now or later.

        Raises ValueError for what is none or is not served (MalformedMessage, UnservedRequest), and NoAnswer,
        also later.
        """
        header = parse_request_header(frame)
        endpoint = self._endpoints.get((header.api_key, header.api_version))
        if endpoint is None:
            endpoint = self._load(header)
            if endpoint is None:
                return self._unsupported(header)
        started = self._timer()
        request, _ = endpoint.decode(frame, header.body)
        context = RequestContext(
            api_key=header.api_key,
            api_version=header.api_version,
            correlation_id=header.correlation_id,
            client_id=header.client_id,
            client_host=connection.client_host,
            listener=connection.listener,
            connection_id=connection.connection_id,
        )
        try:
            response = endpoint.handle(self._broker, context, request)
        except NoAnswer:
            endpoint.statistics.errors += 1
            raise
        except Exception as error:
            response = _failed(endpoint, request, error)
        if response is None:
            endpoint.statistics.count(self._timer() - started)
            return None
        if isinstance(response, Message):
            return self._encode(endpoint, header.correlation_id, response, started)
        return self._reply_later(endpoint, header.correlation_id, request, response, started)

    async def drain(self, seconds_max: float) -> None:
        """Wait until no request is being handled, but no longer than that."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds_max)

    def _reply_later(
        self, endpoint: Endpoint, correlation_id: int, request: Message, response: Any, started: float
    ) -> asyncio.Future[Parts | None]:
        pending: asyncio.Future[Message]
        if inspect.iscoroutine(response):
            task: asyncio.Task[Message] = asyncio.create_task(response)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            pending = task
        else:
            pending = response
        reply: asyncio.Future[Parts | None] = asyncio.get_running_loop().create_future()

        def on_done(done: asyncio.Future[Message]) -> None:
            error = asyncio.CancelledError() if done.cancelled() else done.exception()
            if reply.done():
                return
            try:
                message = done.result() if error is None else _failed(endpoint, request, error)
                reply.set_result(self._encode(endpoint, correlation_id, message, started))
            except NoAnswer as no_answer:
                reply.set_exception(no_answer)

        pending.add_done_callback(on_done)
        if endpoint.api_key is not ApiKey.PRODUCE:
            # A client that is gone waits for nothing: a parked JoinGroup frees its member, a Fetch its
            # partitions.
            reply.add_done_callback(lambda _: pending.cancel() if reply.cancelled() else None)
        return reply

    def _encode(self, endpoint: Endpoint, correlation_id: int, response: Message, started: float) -> Parts:
        endpoint.statistics.count(self._timer() - started)
        try:
            return endpoint.reply(correlation_id, response)
        except Exception as error:  # a handler's bug: its client may not wait for ever
            _log.error("response cannot be encoded", extra={"api": endpoint.api_key.name}, exc_info=error)
            raise NoAnswer("the response cannot be encoded") from error

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
        module = import_module(f"chronik.broker.handlers.{api_key.name.lower()}")
        endpoint = self._endpoints[api_key, version] = Endpoint(
            api_key=api_key,
            version=version,
            decode=decoder(request_class(api_key), version),
            handle=module.handle,
            on_error=module.on_error,
            encode=encoder(response_class(api_key), version),
            statistics=self._statistics.setdefault(api_key, ApiStatistics()),
        )
        return endpoint

    def _unsupported(self, header: RequestHeader) -> Parts:
        """The answer to ApiVersions of a version to come (KIP-511). Raises UnservedRequest for all others."""
        _log.info(
            "request not served: unknown API or version; its connection closes",
            extra={
                "api_key": header.api_key,
                "api_version": header.api_version,
                "client_id": header.client_id,
            },
        )
        if header.api_key != ApiKey.API_VERSIONS:
            raise UnservedRequest(f"version {header.api_version} of API {header.api_key} is not served")
        version = SUPPORTED[ApiKey.API_VERSIONS].first
        endpoint = self._endpoints.get((ApiKey.API_VERSIONS, version))
        if endpoint is None:
            endpoint = self._make(ApiKey.API_VERSIONS, version)
        message = _failed(endpoint, ApiVersionsRequest(), KafkaError(ErrorCode.UNSUPPORTED_VERSION))
        return endpoint.reply(header.correlation_id, message)


def _failed(endpoint: Endpoint, request: Message, error: BaseException) -> Message:
    """The response that says so, or NoAnswer. What is not a KafkaError is a bug or a broken machine, and is
    logged whole.
    """
    endpoint.statistics.errors += 1
    if isinstance(error, KafkaError):
        response = endpoint.on_error(request, error.code, error.message)
    else:
        _log.error("request failed", extra={"api": endpoint.api_key.name}, exc_info=error)
        response = endpoint.on_error(request, ErrorCode.UNKNOWN_SERVER_ERROR, None)
    if response is None:
        raise NoAnswer(f"the request failed: {error}")
    return response
