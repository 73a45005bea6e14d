"""The stage between decoding and handling: checks, by `broker.needs`, that a client may do what it requests.

Created by the dispatcher for each API of a node whose authorizer does not allow everything; otherwise
handlers are called directly, and authorization costs nothing. A request that lacks a need of the whole is
refused whole. Of a request that names several things, the allowed ones are handled, and the refusals of the
others are put into the answer in their places.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any, Protocol

from chronik.broker.context import Broker, NoAnswer, RequestContext
from chronik.broker.needs import Each, Needs, Whole
from chronik.broker.portions import answered, asked, identity, with_asked
from chronik.broker.slices import Sliced
from chronik.broker.unstarted import Unstarted
from chronik.vocab.acl import AUTHORIZATION_ERRORS, AUTHORIZATION_TEXTS, AclResourceType
from chronik.vocab.errors import ErrorCode, KafkaError
from chronik.wire.apis import ApiKey
from chronik.wire.schema import Message

# Returns the response in which everything the request names is refused; None: no response can express it.
OnDenied = Callable[[Broker, RequestContext, Any, ErrorCode], Message | None]
OnError = Callable[[Any, ErrorCode, str | None], Message | None]

# By element of the request; None where it is allowed.
_Verdicts = Sequence[ErrorCode | None]


class HandlerModule(Protocol):
    """The attributes of a module of `broker.handlers` used here. A module whose refusals have another form
    than its errors has `on_denied` as well (see `OnDenied`).
    """

    NEEDS: Needs

    @property
    def handle(self) -> Callable[[Broker, RequestContext, Any], Any]: ...

    @property
    def on_error(self) -> OnError: ...


class Authorized:
    """A handler behind its needs; called as the handler is."""

    def __init__(self, api_key: ApiKey, module: HandlerModule) -> None:
        self._api_key = api_key
        self._needs = module.NEEDS
        self._handle = module.handle
        self._on_error = module.on_error
        self._on_denied: OnDenied = getattr(module, "on_denied", self._as_error)

    def _as_error(
        self, broker: Broker, context: RequestContext, request: Message, code: ErrorCode
    ) -> Message | None:
        return self._on_error(request, code, self._text(code))

    def _text(self, code: ErrorCode) -> str | None:
        return AUTHORIZATION_TEXTS[code] if self._needs.is_explained else None

    def __call__(self, broker: Broker, context: RequestContext, request: Message) -> Any:
        for need in self._needs.whole:
            self._check(broker, context, request, need)
        verdicts = self._verdicts(broker, context, request) if self._needs.each else ()
        if not any(verdicts):
            return self._handle(broker, context, request)
        return self._handle_allowed(broker, context, request, verdicts)

    def _check(self, broker: Broker, context: RequestContext, request: Message, need: Whole) -> None:
        """Raises KafkaError."""
        name = need.name(request)
        access, session = broker.access, context.session
        if name is None or access.is_allowed(session, need.operation, need.resource_type, name):
            return
        if need.or_any is None or not access.is_allowed_by_type(session, *need.or_any):
            code = AUTHORIZATION_ERRORS[need.resource_type]
            raise KafkaError(code, self._text(code))

    def _verdicts(self, broker: Broker, context: RequestContext, request: Message) -> _Verdicts:
        elements = asked(self._api_key, request)
        verdicts: list[ErrorCode | None] = [None] * len(elements)
        for need in self._needs.each:
            names = _names(broker, request, elements, need)
            denied = _denied(broker, context, need, [name for name in names if name is not None])
            for number, name in enumerate(names):
                if name in denied:
                    verdicts[number] = AUTHORIZATION_ERRORS[need.resource_type]
        return verdicts

    def _handle_allowed(
        self, broker: Broker, context: RequestContext, request: Message, verdicts: _Verdicts
    ) -> Any:
        elements = asked(self._api_key, request)
        refusals: dict[ErrorCode, Message | None] = {}
        for code in dict.fromkeys(verdict for verdict in verdicts if verdict is not None):
            refused = [one for one, verdict in zip(elements, verdicts, strict=True) if verdict is code]
            part = with_asked(self._api_key, request, refused)
            refusals[code] = self._on_denied(broker, context, part, code)
        allowed = [one for one, verdict in zip(elements, verdicts, strict=True) if verdict is None]
        merge = _Merge(self._api_key, request, verdicts, refusals)
        if not allowed:
            return merge.answer(None)
        response = self._handle(broker, context, with_asked(self._api_key, request, allowed))
        if response is None or isinstance(response, Message):
            return merge.answer(response)
        if isinstance(response, Generator):
            response = Sliced(response, asyncio.get_running_loop().time).finish()
        return merge.later(Unstarted(response) if isinstance(response, Coroutine) else response)


def _names(broker: Broker, request: Message, elements: Sequence[Any], need: Each) -> list[str | None]:
    """Returns the resource names, by element."""
    if not need.is_once:
        return [need.name(broker, request, element) for element in elements]
    times: dict[object, int] = {}
    for element in elements:
        times[identity(element)] = times.get(identity(element), 0) + 1
    return [
        need.name(broker, request, element) if times[identity(element)] == 1 else None for element in elements
    ]


def _denied(broker: Broker, context: RequestContext, need: Each, names: list[str]) -> frozenset[str]:
    access, session = broker.access, context.session
    if need.or_on_cluster is not None and access.is_allowed(
        session, need.or_on_cluster, AclResourceType.CLUSTER
    ):
        return frozenset()
    return access.denied(session, need.operation, need.resource_type, names)


class _Merge:
    """Merges one answer of a handler with refusals."""

    def __init__(
        self,
        api_key: ApiKey,
        request: Message,
        verdicts: _Verdicts,
        refusals: Mapping[ErrorCode, Message | None],
    ) -> None:
        self._api_key = api_key
        self._request = request
        self._verdicts = verdicts
        self._refusals = refusals

    def answer(self, handled: Message | None) -> Message:
        """Raises NoAnswer where a refusal has no form (Produce with acks=0)."""
        answers: dict[ErrorCode | None, Message] = {} if handled is None else {None: handled}
        for code, refusal in self._refusals.items():
            if refusal is None:
                raise NoAnswer(f"the request was refused: {code.name}")
            answers[code] = refusal
        whole = next(iter(answers.values()))
        elements = {code: answered(self._api_key, self._request, each) for code, each in answers.items()}
        answered(self._api_key, self._request, whole)[:] = self._in_order(elements)
        return whole

    def _in_order(self, elements: Mapping[ErrorCode | None, Sequence[Any]]) -> list[Any]:
        """Puts elements in the order of the request, if the answer has as many as were requested."""
        left = {code: iter(each) for code, each in elements.items()}
        ordered = [
            next(left[verdict])
            for verdict in self._verdicts
            if verdict in left and len(elements[verdict]) == self._verdicts.count(verdict)
        ]
        for rest in left.values():
            ordered += rest
        return ordered

    async def later(self, response: Awaitable[Message | None]) -> Message:
        """Merges a response that the handler completes later."""
        return self.answer(await response)
