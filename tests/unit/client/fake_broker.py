"""A broker that answers what it is told, over a real socket, in the versions it is told."""

import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import SCHEMAS, ApiKey, request_class, response_class
from chronik.wire.codec import decode, encode
from chronik.wire.header import parse_request_header, response_frame
from chronik.wire.messages.api_versions import ApiVersion, ApiVersionsResponse
from chronik.wire.messages.find_coordinator import FindCoordinatorResponse
from chronik.wire.messages.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from chronik.wire.schema import Message, VersionRange

# Given a request, an answer; None says nothing (acks=0), an exception hangs up.
Answer = Callable[[Any], Message | None]


class FakeBroker:
    """Node 1 of a cluster of one. `topics` are what Metadata knows, with their partitions' leaders.

    `requests` has everything that was asked, ApiVersions aside, with its version.
    """

    def __init__(
        self,
        answers: Mapping[ApiKey, Answer] | None = None,
        *,
        topics: Mapping[str, list[int]] | None = None,
        versions: Mapping[ApiKey, VersionRange] | None = None,
        knows_api_versions_3: bool = True,
    ) -> None:
        self.topics = dict(topics or {})
        self.requests: list[tuple[ApiKey, int, Message]] = []
        self.connections = 0
        self._is_closing = False
        self._answers: dict[ApiKey, Answer] = {
            ApiKey.METADATA: self._metadata,
            ApiKey.FIND_COORDINATOR: self._coordinator,
            **(answers or {}),
        }
        self._versions = dict(versions or {})
        self._knows_api_versions_3 = knows_api_versions_3
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        # What Metadata says; another than `port` is a mistake in advertised.listeners.
        self.advertised_port = self.port
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        # A closed listener does not wake a thread that waits in accept; a connection does.
        with socket.create_connection(("127.0.0.1", self.port)):
            self._thread.join(5)
        self._listening.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close all connections, as a broker that restarts."""
        for connection in self._open:
            with suppress(OSError):  # gone already
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def asked(self, api_key: ApiKey) -> list[Any]:
        return [request for key, _, request in self.requests if key is api_key]

    def version_of(self, api_key: ApiKey) -> int:
        """The version of the last request of an API."""
        return next(version for key, version, _ in reversed(self.requests) if key is api_key)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            if self._is_closing:
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while len(size := stream.read(4)) == 4:
                    for part in self._answer(stream.read(struct.unpack(">i", size)[0])):
                        connection.sendall(part)
        except OSError:
            return

    def _answer(self, frame: bytes) -> list[bytes | memoryview]:
        header = parse_request_header(frame)
        api_key = ApiKey(header.api_key)
        if api_key is ApiKey.API_VERSIONS:
            return self._api_versions(header.api_version, header.correlation_id)
        request = decode(request_class(api_key), header.api_version, memoryview(frame)[header.body :])
        self.requests.append((api_key, header.api_version, request))
        answer = self._answers[api_key](request)
        if answer is None:
            return []
        assert isinstance(answer, response_class(api_key))
        body = encode(answer, header.api_version)
        return response_frame(api_key, header.api_version, header.correlation_id, [body])

    def _api_versions(self, version: int, correlation_id: int) -> list[bytes | memoryview]:
        served = {key: self._versions.get(key, SCHEMAS[key].versions) for key in self._answers}
        answer = ApiVersionsResponse(
            api_keys=[
                ApiVersion(api_key=key, min_version=versions.first, max_version=versions.last)
                for key, versions in served.items()
            ]
        )
        if version >= 3 and not self._knows_api_versions_3:
            answer.error_code = ErrorCode.UNSUPPORTED_VERSION
            version = 0
        body = encode(answer, version)
        return response_frame(ApiKey.API_VERSIONS, version, correlation_id, [body])

    def _metadata(self, request: Any) -> MetadataResponse:
        names = list(self.topics) if request.topics is None else [topic.name for topic in request.topics]
        return MetadataResponse(
            brokers=[MetadataResponseBroker(node_id=1, host="127.0.0.1", port=self.advertised_port)],
            cluster_id="fake",
            controller_id=1,
            topics=[self._topic(name) for name in names],
        )

    def _topic(self, name: str) -> MetadataResponseTopic:
        if name not in self.topics:
            return MetadataResponseTopic(name=name, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        partitions = [
            MetadataResponsePartition(
                partition_index=index, leader_id=leader, replica_nodes=[1], isr_nodes=[1]
            )
            for index, leader in enumerate(self.topics[name])
        ]
        return MetadataResponseTopic(name=name, partitions=partitions)

    def _coordinator(self, request: Any) -> FindCoordinatorResponse:
        return FindCoordinatorResponse(node_id=1, host="127.0.0.1", port=self.port)
