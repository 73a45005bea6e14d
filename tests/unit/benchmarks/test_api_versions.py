"""The first question, against a listener that answers as it is told."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from chronik.cli.perf.api_versions import first_address, supported_apis


@contextlib.contextmanager
def _answering(answer: bytes) -> Iterator[tuple[str, int]]:
    """A listener that takes one connection, reads a request, answers and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        thread.join()


def test_keys_are_read_from_the_answer() -> None:
    keys = struct.pack(">hhhhhh", 0, 0, 13, 19, 2, 7)
    body = struct.pack(">ihi", 1, 0, 2) + keys
    with _answering(struct.pack(">i", len(body)) + body) as address:
        assert supported_apis(address, timeout_s=5) == {0, 19}


def test_hanging_up_before_the_answer_is_an_operating_error() -> None:
    with _answering(b"\0\0\0") as address, pytest.raises(ConnectionResetError):
        supported_apis(address, timeout_s=5)


@pytest.mark.parametrize(
    ("servers", "expected"),
    [("a:1,b:2", ("a", 1)), ("[::1]:9092", ("::1", 9092)), (" localhost:9092 ", ("localhost", 9092))],
)
def test_first_address(servers: str, expected: tuple[str, int]) -> None:
    assert first_address(servers) == expected
