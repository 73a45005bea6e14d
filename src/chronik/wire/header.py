"""The headers of messages: request headers to read, response headers to write.

A request header is version 2 (with tagged fields) for flexible requests, else version 1; its client id is an
old style string in both. A response header is version 1 for flexible responses, else 0, and always 0 for
ApiVersions, because a client reads that answer before it knows the broker's versions (KIP-511).
"""

import struct
from typing import NamedTuple

from chronik.wire.apis import SCHEMAS, ApiKey
from chronik.wire.primitives import (
    TAGGED_FIELDS_MAX,
    MalformedMessage,
    read_uvarint,
    skip_tagged_fields,
)
from chronik.wire.schema import Buffer

# Api key, api version, correlation id, length of the client id.
_FIXED = struct.Struct(">hhih")
# Without the client id: the least that can be answered.
_LEAST = struct.Struct(">hhi")
_SIZE_AND_CORRELATION_ID = struct.Struct(">ii")

# Plain dict, looked up with every request; keys that have no schema are missing.
_FLEXIBLE_FROM: dict[int, int] = {
    int(key): schema.flexible_from for key, schema in SCHEMAS.items() if schema.flexible_from is not None
}


class RequestHeader(NamedTuple):
    """Key and version are the client's, known here or not. `body` is the position of the request."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body: int


def parse_request_header(frame: Buffer) -> RequestHeader:
    """Read the header at the start of a frame. MalformedMessage when it is none.

    A key without a schema is taken to have no tagged fields, and a client id that does not fit is None then:
    the correlation id, which is all that an answer needs, is at the same place in every header.
    """
    size = len(frame)
    if size < 10:
        return _parse_least(frame)
    api_key, api_version, correlation_id, length = _FIXED.unpack_from(frame)
    body = 10 + length if length > 0 else 10
    if body > size:
        return _parse_least(frame)
    client_id = None
    if length >= 0:
        try:
            client_id = str(frame[10:body], "utf-8")
        except UnicodeDecodeError:
            return _parse_least(frame)
    if api_version >= _FLEXIBLE_FROM.get(api_key, 32768):
        body = _skip_tags(frame, body)
    return RequestHeader(api_key, api_version, correlation_id, client_id, body)


def response_frame(api_key: int, api_version: int, correlation_id: int, body: list[Buffer]) -> list[Buffer]:
    """Puts size and header before an encoded body, whose first buffer is bytes; returns `body`."""
    size = 4
    for part in body:
        size += len(part)
    is_flexible = api_version >= _FLEXIBLE_FROM.get(api_key, 32768) and api_key != ApiKey.API_VERSIONS
    if is_flexible:
        head = _SIZE_AND_CORRELATION_ID.pack(size + 1, correlation_id) + b"\0"
    else:
        head = _SIZE_AND_CORRELATION_ID.pack(size, correlation_id)
    body[0] = head + body[0]
    return body


def _skip_tags(frame: Buffer, position: int) -> int:
    try:
        count = frame[position]
        position += 1
        if count == 0:
            return position
        if count > 127:
            count, position = read_uvarint(frame, position, count)
        if count <= TAGGED_FIELDS_MAX:
            return skip_tagged_fields(frame, position, count)
    except IndexError:
        pass
    raise MalformedMessage("a request header ends too early, or has too many tagged fields")


def _parse_least(frame: Buffer) -> RequestHeader:
    """Parses the header of a request whose client id is cut off or no text: an answer for unknown keys
    only.
    """
    if len(frame) >= 8:
        api_key, api_version, correlation_id = _LEAST.unpack_from(frame)
        if api_key not in SCHEMAS:
            return RequestHeader(api_key, api_version, correlation_id, None, len(frame))
    raise MalformedMessage("not a request header")
