"""Everything needed to answer one version of one API."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chronik.broker.context import Broker, NoAnswer, RequestContext
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.apis import ApiKey
from chronik.wire.header import response_frame
from chronik.wire.schema import Buffer, Message

_log = logging.getLogger(__name__)

Parts = list[Buffer]

# Message objects of all APIs pass through here; each handler module types its own. A handler returns the
# response, a coroutine, a future or a generator (`broker.slices`) that returns it, or None for no answer.
Handle = Callable[[Broker, RequestContext, Any], Any]
# None: no response can express the error.
OnError = Callable[[Any, ErrorCode, str | None], Message | None]


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
    """Made by the dispatcher for the first request of its version."""

    api_key: ApiKey
    version: int
    decode: Callable[[memoryview, int], tuple[Message, int]]
    handle: Handle
    on_error: OnError
    encode: Callable[[Message], Parts]
    # A frame of no more bytes, or a request of no more elements, is answered in one go.
    small_bytes: int
    small_elements: int
    statistics: ApiStatistics = field(default_factory=ApiStatistics)

    def reply(self, correlation_id: int, response: Message) -> Parts:
        """The buffers of the response's frame."""
        return response_frame(self.api_key, self.version, correlation_id, self.encode(response))

    def failed(self, request: Message, error: BaseException) -> Message:
        """Returns the error response, or raises NoAnswer. An exception other than KafkaError is a bug or a
        broken machine, and is logged with its traceback.
        """
        self.statistics.errors += 1
        if isinstance(error, KafkaError):
            response = self.on_error(request, error.code, error.message)
        else:
            _log.error(
                "request failed: an unexpected error; the client gets UNKNOWN_SERVER_ERROR",
                extra={"api": self.api_key.name},
                exc_info=error,
            )
            response = self.on_error(request, ErrorCode.UNKNOWN_SERVER_ERROR, None)
        if response is None:
            raise NoAnswer(f"the request failed: {error}")
        return response

    def cannot_be_encoded(self, error: Exception) -> NoAnswer:
        """A handler's bug: its client may not wait forever."""
        _log.error(
            "response could not be encoded; the connection is closed",
            extra={"api": self.api_key.name},
            exc_info=error,
        )
        return NoAnswer("the response cannot be encoded")
