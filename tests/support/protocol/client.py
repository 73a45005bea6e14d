"""A client of one socket that sends whatever a test wants."""

import socket
import struct
from itertools import count
from types import TracebackType
from typing import Self, TypeVar

from chronik.sim.frames import Request, decode_response, request
from chronik.wire.apis import ApiKey
from chronik.wire.schema import Message

M = TypeVar("M", bound=Message)

_SECONDS_MAX = 20.0


class RawClient:
    """Connected when made. `ask` for what has an answer, `send` and `receive_frame` for what may not."""

    def __init__(self, port: int, seconds_max: float = _SECONDS_MAX) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds_max)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._correlation_ids = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def ask(self, api_key: ApiKey, version: int, message: Message, response: type[M]) -> M:
        """The answer. Raises TimeoutError, ConnectionError."""
        asked = self.send_request(api_key, version, message)
        return self.receive(asked, response)

    def send_request(self, api_key: ApiKey, version: int, message: Message) -> Request:
        asked = request(api_key, version, message, next(self._correlation_ids))
        self.send(asked.frame)
        return asked

    def receive(self, asked: Request, response: type[M]) -> M:
        answered = decode_response(asked, self.receive_frame())
        assert isinstance(answered, response)
        return answered

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive_frame(self) -> bytes:
        """The next frame without its length. Raises ConnectionError when the broker hangs up."""
        (length,) = struct.unpack(">i", self._receive(4))
        return self._receive(length)

    def is_closed_by_broker(self) -> bool:
        """Wait for the end of the stream, whatever comes before it."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self.socket.recv(min(size - len(data), 1 << 20))
            if not chunk:
                raise ConnectionError("the broker has closed the connection")
            data += chunk
        return bytes(data)
