"""Requests and responses as frames."""

import struct
from dataclasses import dataclass

from chronik.wire.apis import ApiKey, is_flexible, response_class
from chronik.wire.codec import decode, encode
from chronik.wire.primitives import skip_tagged_fields
from chronik.wire.schema import Message

CLIENT_ID = b"test"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it is sent."""

    api_key: ApiKey
    version: int
    correlation_id: int
    body: bytes

    @property
    def frame(self) -> bytes:
        """With its length."""
        head = struct.pack(">hhih", self.api_key, self.version, self.correlation_id, len(CLIENT_ID))
        head += CLIENT_ID
        if is_flexible(self.api_key, self.version):
            head += b"\0"
        return framed(head + self.body)


def request(api_key: ApiKey, version: int, message: Message, correlation_id: int = 1) -> Request:
    return Request(api_key, version, correlation_id, encode(message, version))


def framed(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data


def cut_frames(data: bytes) -> list[bytes]:
    """The whole frames at the start of a stream, without their lengths."""
    frames = []
    position = 0
    while position + 4 <= len(data):
        (length,) = struct.unpack_from(">i", data, position)
        if length < 0 or position + 4 + length > len(data):
            break
        frames.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    return frames


def decode_response(asked: Request, frame: bytes) -> Message:
    """The response in a frame. Raises AssertionError when it answers something else, MalformedMessage."""
    (correlation_id,) = struct.unpack_from(">i", frame)
    assert correlation_id == asked.correlation_id, f"{correlation_id} answers {asked.correlation_id}"
    position = 4
    # ApiVersions is answered before the client knows the broker's versions (KIP-511).
    if is_flexible(asked.api_key, asked.version) and asked.api_key is not ApiKey.API_VERSIONS:
        position = skip_tagged_fields(frame, 5, frame[4])
    return decode(response_class(asked.api_key), asked.version, frame[position:])
