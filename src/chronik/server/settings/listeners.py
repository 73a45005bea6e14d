"""Listeners as text and as values: the addresses to bind, and those advertised to clients."""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from chronik.vocab.address import host_and_port

PLAINTEXT = "PLAINTEXT"
SECURITY_PROTOCOLS = (PLAINTEXT, "SSL", "SASL_PLAINTEXT", "SASL_SSL")

WILDCARD_HOSTS = ("", "0.0.0.0", "::")
# `localhost` is both of the others.
_LOOPBACK_HOSTS = frozenset(("localhost", "127.0.0.1", "::1"))

_HOST_AND_PORT = r"(\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?\]|[^\[\]:/\s]*):([0-9]+)"
_LISTENER = r"([A-Za-z0-9_.-]+)://" + _HOST_AND_PORT
_PORT_MAX = 65535

_Item = TypeVar("_Item", bound=Hashable)


class Address(NamedTuple):
    """A host without brackets, and a port; port 0 is a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)


def is_same_place(one: Address, other: Address) -> bool:
    """True if two addresses to listen at exclude each other, by their texts."""
    if one.port != other.port or not one.port:
        return False
    hosts = {one.host, other.host}
    return len(hosts) == 1 or not hosts.isdisjoint(WILDCARD_HOSTS) or hosts <= _LOOPBACK_HOSTS


class Listener(NamedTuple):
    """One named listener, bound or advertised. Host "" is every interface."""

    name: str
    host: str
    port: int

    @property
    def address(self) -> Address:
        return Address(self.host, self.port)

    @property
    def is_wildcard(self) -> bool:
        return self.host in WILDCARD_HOSTS

    def __str__(self) -> str:
        return f"{self.name}://{self.address}"


def parse_address(text: str) -> Address:
    """Parses `host:port`, with brackets around an IPv6 host. Raises ValueError with the problem."""
    match = re.fullmatch(_HOST_AND_PORT, text)
    if match is None:
        raise ValueError(f"{text!r} is not an address: write host:port, with brackets around an IPv6 host")
    return _address(text, match[1], match[2])


def parse_listener(text: str) -> Listener:
    """Parses `NAME://host:port`. Names become upper case, as Kafka's do. Raises ValueError with the
    problem.
    """
    match = re.fullmatch(_LISTENER, text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a listener: write NAME://host:port, with brackets around an IPv6 host"
        )
    return Listener(match[1].upper(), *_address(text, match[2], match[3]))


def _address(text: str, host: str, digits: str) -> Address:
    if len(digits) > 5 or int(digits) > _PORT_MAX:
        raise ValueError(f"{text!r} has a port above {_PORT_MAX}")
    return Address(host.strip("[]"), int(digits))


def parse_protocol_map(items: Iterable[str]) -> dict[str, str]:
    """Parses `NAME:PROTOCOL` items by name, both upper case. Raises ValueError with the problem."""
    protocols: dict[str, str] = {}
    for item in items:
        name, _, protocol = (part.strip().upper() for part in item.partition(":"))
        if not name or protocol not in SECURITY_PROTOCOLS:
            raise ValueError(
                f"{item!r} is not NAME:PROTOCOL with a protocol out of {', '.join(SECURITY_PROTOCOLS)}"
            )
        if name in protocols:
            raise ValueError(f"{name} has two protocols")
        protocols[name] = protocol
    return protocols


def listener_problems(listeners: Sequence[Listener], protocols: Mapping[str, str]) -> list[str]:
    """Returns problems between listeners that are each well formed."""
    names = [listener.name for listener in listeners]
    problems = [f"two listeners are called {name}" for name in _repeated(names)]
    addresses = [listener.address for listener in listeners if listener.port]
    problems += [f"two listeners want {address}" for address in _repeated(addresses)]
    for name in dict.fromkeys(names):
        protocol = protocols.get(name, name if name in SECURITY_PROTOCOLS else PLAINTEXT)
        if protocol != PLAINTEXT:
            problems.append(f"listener {name} wants {protocol}; TLS and SASL are not available yet")
    return problems


def advertised_problems(advertised: Sequence[Listener], listeners: Sequence[Listener]) -> list[str]:
    """Returns problems of advertised listeners that are each well formed."""
    known = {listener.name for listener in listeners}
    names = [listener.name for listener in advertised]
    problems = [f"{name} is advertised twice" for name in _repeated(names)]
    problems += [
        f"{name} is advertised, but no listener has that name" for name in names if name not in known
    ]
    problems += [
        f"{listener} cannot be advertised: clients connect to a host, not to every interface"
        for listener in advertised
        if listener.is_wildcard
    ]
    return problems


def _repeated(items: Sequence[_Item]) -> list[_Item]:
    """Returns the repeated items, in order, once."""
    return [item for item in dict.fromkeys(items) if items.count(item) > 1]
