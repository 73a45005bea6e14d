import pytest

from chronik.vocab.address import host_and_port


@pytest.mark.parametrize(
    ("host", "written"), [("localhost", "localhost:9"), ("127.0.0.1", "127.0.0.1:9"), ("::1", "[::1]:9")]
)
def test_ipv6_stands_in_brackets(host: str, written: str) -> None:
    assert host_and_port(host, 9) == written
