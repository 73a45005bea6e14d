"""Host and port of a broker, as people write them."""

from typing import NamedTuple

from chronik.client.errors import ClientError
from chronik.vocab.address import host_and_port

KAFKA_PORT = 9092

_HINT = "Write HOST:PORT, such as localhost:9092."


class BadAddress(ClientError):
    """The text is no address; nothing was tried."""


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)


def parse_addresses(text: str) -> list[Address]:
    """`host:port,host:port`; a port may be left out, an IPv6 host stands in brackets. Raises ClientError."""
    addresses = [parse_address(part.strip()) for part in text.split(",") if part.strip()]
    if not addresses:
        raise _bad(text)
    return addresses


def parse_address(text: str, default_port: int = KAFKA_PORT) -> Address:
    """Parses one address. A protocol in front (`PLAINTEXT://`) is taken off. Raises ClientError."""
    rest = text.rpartition("://")[2]
    if rest.startswith("["):
        host, bracket, tail = rest[1:].partition("]")
        port = tail.removeprefix(":")
        is_whole = bool(bracket) and (not tail or tail.startswith(":"))
    else:
        host, colon, port = rest.partition(":")
        is_whole = not colon or bool(port)
    if not host or not is_whole or not (not port or (port.isascii() and port.isdigit())):
        raise _bad(text)
    number = int(port) if port else default_port
    if not 0 < number < 65536:
        raise _bad(text)
    return Address(host, number)


def _bad(text: str) -> BadAddress:
    is_ipv6 = text.count(":") > 1 and "[" not in text
    hint = "Write [HOST]:PORT around an IPv6 host, such as [::1]:9092." if is_ipv6 else _HINT
    return BadAddress(f"{text!r} is not a broker's address", hint=hint)
