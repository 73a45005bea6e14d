import pytest

from chronik.client.address import Address, parse_address, parse_addresses
from chronik.client.errors import ClientError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:9093", Address("localhost", 9093)),
        ("localhost", Address("localhost", 9092)),
        ("10.0.0.1:1", Address("10.0.0.1", 1)),
        ("[::1]:9093", Address("::1", 9093)),
        ("[::1]", Address("::1", 9092)),
        ("PLAINTEXT://broker:9093", Address("broker", 9093)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", ":9092", "host:", "host:0", "host:65536", "host:-1", "host:port", "[::1", "[::1]9092", "[]:1"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ClientError, match="is not a broker's address"):
        parse_address(text)


def test_several() -> None:
    assert parse_addresses("a:1, b:2,,c") == [Address("a", 1), Address("b", 2), Address("c", 9092)]


def test_none_at_all() -> None:
    with pytest.raises(ClientError):
        parse_addresses(" , ")


def test_ipv6_is_printed_in_brackets() -> None:
    assert str(Address("::1", 9092)) == "[::1]:9092"
    assert str(Address("localhost", 9092)) == "localhost:9092"


def test_an_ipv6_host_without_brackets_is_told_of_them() -> None:
    with pytest.raises(ClientError) as raised:
        parse_address("::1:9092")
    assert "[::1]:9092" in raised.value.hint
