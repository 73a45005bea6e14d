"""Checks before a node starts: each value by itself, the addresses, and rules between settings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from chronik.server.settings.listeners import (
    Address,
    Listener,
    advertised_problems,
    is_same_place,
    listener_problems,
    parse_address,
    parse_listener,
    parse_protocol_map,
)
from chronik.server.settings.sources import Findings, Given
from chronik.vocab.config.broker import BrokerConfig
from chronik.vocab.config.names import BROKER_ALIASES, BROKER_CONFIGS
from chronik.vocab.config.values import parse_value
from chronik.vocab.errors import KafkaError

Origins = Mapping[str, str]

_Parsed = TypeVar("_Parsed")


class Addresses(NamedTuple):
    """The addresses among the settings, parsed."""

    listeners: tuple[Listener, ...]
    # As given, so perhaps fewer than the listeners.
    advertised: tuple[Listener, ...]
    http: Address | None
    # Listeners under a name of `controller.listener.names`: not for clients.
    controllers: tuple[Listener, ...]


def check_values(given: Iterable[Given], findings: Findings) -> list[Given]:
    """Returns the settings with valid values; the others become problems, once for all names of a setting."""
    good = []
    said: set[str] = set()
    for setting in given:
        try:
            parse_value(BROKER_CONFIGS[setting.name], setting.text)
        except KafkaError as error:
            if setting.name not in said:
                findings.problems.append(f"{setting.origin}: {error}")
            said.update(*(names for names in BROKER_ALIASES if setting.name in names))
        else:
            good.append(setting)
    return good


def listeners_as_advertised(given: Sequence[Given], findings: Findings) -> list[Given]:
    """`listeners` where only `advertised.listeners` was given: their ports, on every interface.

    Confluent's image does so, and its compose files rely on it. Empty where there is nothing to do, or
    nothing that could be read.
    """
    by_name = {setting.name: setting for setting in given}
    advertised = by_name.get("advertised.listeners")
    if advertised is None or "listeners" in by_name:
        return []
    try:
        listeners = [parse_listener(item) for item in advertised.text.split(",") if item.strip()]
    except ValueError:
        # Reported where `advertised.listeners` is read.
        return []
    text = ",".join(str(listener._replace(host="")) for listener in listeners)
    findings.notes.append(f"listeners is {text}, as advertised.listeners ({advertised.origin})")
    return [Given("listeners", text, advertised.origin)] if text else []


def check_addresses(config: BrokerConfig, origins: Origins, findings: Findings) -> Addresses:
    """Parses every address; errors become problems."""
    report = Reporter(origins, findings)
    controllers = _controller_names(config)
    protocols = report.parsed("listener.security.protocol.map", _parse_protocols, config) or {}
    everyone = report.parsed("listeners", _parse_listeners, config) or ()
    listeners = tuple(listener for listener in everyone if listener.name not in controllers)
    advertised = report.parsed("advertised.listeners", _parse_listeners, config) or ()
    advertised = tuple(listener for listener in advertised if listener.name not in controllers)
    report.problems("listeners", listener_problems(listeners, protocols))
    report.problems("advertised.listeners", advertised_problems(advertised, listeners))
    http = report.parsed("http.address", _parse_http, config)
    if http is not None:
        taken = [listener for listener in listeners if is_same_place(listener.address, http)]
        report.problems(
            "http.address", [f"{http} is what listener {listener.name} wants too" for listener in taken]
        )
    return Addresses(
        listeners,
        advertised,
        http,
        tuple(listener for listener in everyone if listener.name in controllers),
    )


class Reporter:
    """Reports errors with the setting and its source."""

    def __init__(self, origins: Origins, findings: Findings) -> None:
        self._origins = origins
        self._findings = findings

    def problems(self, name: str, problems: Sequence[str]) -> None:
        origin = self._origins.get(name, "default")
        self._findings.problems.extend(f"{origin}: {name}: {problem}" for problem in problems)

    def note(self, name: str, note: str) -> None:
        origin = self._origins.get(name, "default")
        self._findings.notes.append(f"{name} ({origin}): {note}")

    def is_given(self, name: str) -> bool:
        return name in self._origins

    def parsed(
        self, name: str, parse: Callable[[BrokerConfig, str], _Parsed], config: BrokerConfig
    ) -> _Parsed | None:
        try:
            return parse(config, name)
        except ValueError as error:
            self.problems(name, [str(error)])
            return None


def _controller_names(config: BrokerConfig) -> frozenset[str]:
    if config.raw("controller.listener.names") is None:
        return frozenset()
    return frozenset(name.upper() for name in config.list("controller.listener.names"))


def _parse_listeners(config: BrokerConfig, name: str) -> tuple[Listener, ...]:
    if config.raw(name) is None:
        return ()
    return tuple(parse_listener(item) for item in config.list(name))


def _parse_protocols(config: BrokerConfig, name: str) -> dict[str, str]:
    return parse_protocol_map(item for item in config.str(name).split(",") if item.strip())


def _parse_http(config: BrokerConfig, name: str) -> Address | None:
    text = config.str(name)
    return None if text in ("", "off") else parse_address(text)


def check_rules(config: BrokerConfig, origins: Origins, findings: Findings) -> None:
    """Checks rules between settings, and others that the definitions cannot express."""
    report = Reporter(origins, findings)
    if len(config.list("log.dirs")) != 1:
        report.problems("log.dirs", ["one directory is supported; several are not"])
    for name in ("log.retention.ms", "log.retention.minutes", "log.retention.hours"):
        # Kafka's own rule: 0 would delete everything at once.
        if config.raw(name) is not None and config.int(name) != -1 and config.int(name) < 1:
            report.problems(name, ["it must be at least 1, or -1 for no limit"])
    for lower, upper, effect in _CONTRADICTIONS:
        if config.int(lower) > config.int(upper):
            report.note(lower, f"{config.int(lower)} is more than {upper}={config.int(upper)}: {effect}")


# Kafka starts with these, and so does a node: each has less effect than it seems to, which is noted.
_CONTRADICTIONS = (
    ("message.max.bytes", "socket.request.max.bytes", "a batch above that closes its connection"),
    ("group.min.session.timeout.ms", "group.max.session.timeout.ms", "no session timeout is allowed"),
    (
        "log.cleaner.min.compaction.lag.ms",
        "log.cleaner.max.compaction.lag.ms",
        "topics without lags of their own, __consumer_offsets among them, cannot be created",
    ),
)
