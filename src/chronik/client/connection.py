"""One connection to one broker: requests out, answers in, one at a time, in versions both sides know."""

import socket
import struct
import time
from typing import TypeVar

from chronik.client.address import Address
from chronik.client.errors import ClientError, Unreachable, check
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import SCHEMAS, ApiKey, is_flexible
from chronik.wire.codec import MalformedMessage, decode, encode
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from chronik.wire.primitives import skip_tagged_fields
from chronik.wire.schema import Message, VersionRange

CLIENT_ID = "chronik"

# An answer larger than this is none: brokers send at most fetch.max.bytes (55 MiB) and one large batch.
RESPONSE_BYTES_MAX = 256 * 1024 * 1024

# The newest versions this client is written for. Later ones name topics by id (KIP-516) or request in bulk
# (KIP-699, KIP-709), and every broker still serves these.
VERSIONS_MAX = {
    ApiKey.PRODUCE: 12,
    ApiKey.FETCH: 12,
    ApiKey.OFFSET_COMMIT: 9,
    ApiKey.OFFSET_FETCH: 7,
    ApiKey.FIND_COORDINATOR: 3,
}

# The version in which a broker without ApiVersions 3 answers (KIP-511).
_FALLBACK_VERSION = 0

_NOT_KAFKA = "Is that port a Kafka broker's? TLS listeners cannot be used yet."

M = TypeVar("M", bound=Message)


class Connection:
    """Made connected and negotiated, or not at all; closed by its maker. Of no use after Unreachable."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        """Raises Unreachable, or ClientError for a peer that is no Kafka broker."""
        self.address = address
        self._timeout_s = timeout_s
        self.is_closed = False
        self._correlation_id = 0
        self._versions: dict[int, VersionRange] = {}
        try:
            self._socket = socket.create_connection(address, timeout=timeout_s)
        except OSError as error:
            raise Unreachable(
                f"no broker answers at {address}: {error.strerror or error}",
                hint="Start one with `chronik start`, or name another with --bootstrap-server.",
            ) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._negotiate()
        except ClientError:
            self.close()
            raise

    def close(self) -> None:
        self.is_closed = True
        self._socket.close()

    def serves(self, api_key: ApiKey) -> bool:
        """True if both sides know a version of an API."""
        return self._version(api_key) is not None

    def version(self, api_key: ApiKey) -> int:
        """The version that requests go out in. Raises ClientError when there is none."""
        version = self._version(api_key)
        if version is None:
            raise ClientError(
                f"the broker at {self.address} does not serve {api_key.name} in a version known here",
                name=ErrorCode.UNSUPPORTED_VERSION.name,
                code=ErrorCode.UNSUPPORTED_VERSION,
            )
        return version

    def ask(self, api_key: ApiKey, request: Message, response: type[M], timeout_s: float | None = None) -> M:
        """Send a request and wait for its answer. Raises ClientError."""
        return self._ask(api_key, self.version(api_key), request, response, timeout_s or self._timeout_s)

    def tell(self, api_key: ApiKey, request: Message) -> None:
        """Send a request that has no answer (Produce with acks=0). Raises ClientError."""
        try:
            self._send(api_key, self.version(api_key), request)
        except OSError as error:
            raise self._lost(error) from error

    def _version(self, api_key: ApiKey) -> int | None:
        theirs = self._versions.get(api_key)
        if theirs is None:
            return None
        ours = SCHEMAS[api_key].versions
        version = min(theirs.last, ours.last, VERSIONS_MAX.get(api_key, ours.last))
        return version if version >= max(theirs.first, ours.first) else None

    def _negotiate(self) -> None:
        """Requests the broker's versions, in the newest version it may understand, else in the oldest."""
        request = ApiVersionsRequest(client_software_name="chronik", client_software_version="cli")
        newest = SCHEMAS[ApiKey.API_VERSIONS].versions.last
        answer = self._ask(ApiKey.API_VERSIONS, newest, request, ApiVersionsResponse, self._timeout_s)
        if answer.error_code == ErrorCode.UNSUPPORTED_VERSION:
            version = next(
                (api.max_version for api in answer.api_keys if api.api_key == ApiKey.API_VERSIONS),
                _FALLBACK_VERSION,
            )
            version = min(version, newest)
            answer = self._ask(ApiKey.API_VERSIONS, version, request, ApiVersionsResponse, self._timeout_s)
        check(answer.error_code, f"agree with {self.address} on versions")
        self._versions = {
            api.api_key: VersionRange(api.min_version, api.max_version) for api in answer.api_keys
        }

    def _ask(self, api_key: ApiKey, version: int, request: Message, response: type[M], timeout_s: float) -> M:
        deadline = time.monotonic() + timeout_s
        try:
            correlation_id = self._send(api_key, version, request)
            frame = self._receive_frame(deadline)
        except OSError as error:
            raise self._lost(error) from error
        except BaseException:
            # Ctrl-C, or no frame: the rest of the answer would be taken for the next request's answer.
            self.close()
            raise
        try:
            return _decode(api_key, version, correlation_id, frame, response)
        except MalformedMessage as error:
            raise ClientError(
                f"{self.address} answered {api_key.name} with something else: {error}",
                hint=_NOT_KAFKA if api_key is ApiKey.API_VERSIONS else "The broker breaks the protocol here.",
            ) from error

    def _send(self, api_key: ApiKey, version: int, request: Message) -> int:
        self._correlation_id += 1
        body = encode(request, version)
        header = (
            struct.pack(">hhih", api_key, version, self._correlation_id, len(CLIENT_ID)) + CLIENT_ID.encode()
        )
        if is_flexible(api_key, version):
            header += b"\0"
        self._socket.settimeout(self._timeout_s)
        self._socket.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        return self._correlation_id

    def _receive_frame(self, deadline: float) -> memoryview:
        (size,) = struct.unpack(">i", self._receive(4, deadline))
        if not 4 <= size <= RESPONSE_BYTES_MAX:
            raise ClientError(f"{self.address} does not speak Kafka's protocol", hint=_NOT_KAFKA)
        return memoryview(self._receive(size, deadline))

    def _receive(self, count: int, deadline: float) -> bytearray:
        data = bytearray(count)
        view = memoryview(data)
        while view:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            received = self._socket.recv_into(view)
            if not received:
                raise ConnectionResetError("it hung up")
            view = view[received:]
        return data

    def _lost(self, error: OSError) -> Unreachable:
        self.close()
        reason = (
            "it did not answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
        )
        return Unreachable(
            f"lost the broker at {self.address}: {reason}",
            hint="Is it still running? `chronik health` tells.",
        )


def _decode(api_key: ApiKey, version: int, correlation_id: int, frame: memoryview, response: type[M]) -> M:
    """The answer in a frame. Raises MalformedMessage."""
    answered = int.from_bytes(frame[:4], signed=True)
    if answered != correlation_id:
        raise MalformedMessage(f"answer to request {answered}, not {correlation_id}")
    if api_key is ApiKey.API_VERSIONS:
        return _decode_api_versions(version, frame, response)
    position = 4
    if is_flexible(api_key, version):
        try:
            position = skip_tagged_fields(frame, 5, frame[4])
        except IndexError as error:
            raise MalformedMessage("the header is cut off") from error
    return decode(response, version, frame[position:])


def _decode_api_versions(version: int, frame: memoryview, response: type[M]) -> M:
    """An error comes in version 0, whatever was requested (KIP-511)."""
    body = frame[4:]
    is_error = int.from_bytes(body[:2], signed=True) == ErrorCode.UNSUPPORTED_VERSION
    return decode(response, 0 if is_error else version, body)
