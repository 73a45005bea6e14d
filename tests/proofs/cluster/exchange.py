"""One request and its answer, as they went over the wire, and what can be read from them."""

from collections.abc import Iterator
from dataclasses import dataclass

from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey, is_flexible, request_class, response_class
from chronik.wire.codec import decode
from chronik.wire.header import parse_request_header
from chronik.wire.messages.metadata import MetadataRequest
from chronik.wire.messages.produce import ProduceRequest
from chronik.wire.primitives import skip_tagged_fields
from chronik.wire.schema import Message, Struct, field_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Frames without their lengths. Times in seconds on the monotonic clock of the listener."""

    node: int
    connection: int
    asked_at: float
    answered_at: float
    request: bytes
    response: bytes

    @property
    def api(self) -> ApiKey:
        return ApiKey(parse_request_header(self.request).api_key)

    @property
    def seconds(self) -> float:
        return self.answered_at - self.asked_at

    def asked(self) -> Message:
        header = parse_request_header(self.request)
        return decode(request_class(self.api), header.api_version, self.request[header.body :])

    def answer(self) -> Message:
        version = parse_request_header(self.request).api_version
        position = 4
        # ApiVersions is answered before the client knows what the broker speaks (KIP-511).
        if is_flexible(self.api, version) and self.api is not ApiKey.API_VERSIONS:
            position = skip_tagged_fields(self.response, 5, self.response[4])
        return decode(response_class(self.api), version, self.response[position:])

    def topics(self) -> set[str]:
        """Names of the topics that a Metadata or Produce request is about; empty for other requests."""
        match self.asked():
            case MetadataRequest(topics=topics) if topics is not None:
                return {topic.name for topic in topics if topic.name is not None}
            case ProduceRequest(topic_data=topics):
                return {topic.name for topic in topics}
            case _:
                return set()

    def errors(self) -> list[str]:
        """Every error code in the answer, at whatever depth, with the part of the answer that has it."""
        return [
            f"node {self.node} answered {self.api.name}: {_name(code)} in {where!r}"
            for code, where in _error_codes(self.answer())
        ]


def _error_codes(part: Struct) -> Iterator[tuple[int, Struct]]:
    for name in field_names(type(part)):
        value = getattr(part, name)
        if name == "error_code" and value != ErrorCode.NONE:
            yield value, part
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Struct):
                yield from _error_codes(inner)


def _name(code: int) -> str:
    return ErrorCode(code).name if code in set(ErrorCode) else f"error {code}"
