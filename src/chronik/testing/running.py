"""Shared by both ways to run a broker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Addresses of a started broker; `http` is None where that is off. Both are `host:port`."""

    bootstrap_servers: str
    http: str | None


class RunningBroker(Protocol):
    """One run of a broker, from its start to its stop."""

    addresses: Addresses

    def stop(self) -> None:
        """End it cleanly. Raises BrokerError when it had ended by itself, or does not end."""
        ...

    def kill(self) -> None:
        """End it as `kill -9` does. Raises BrokerError where that is impossible."""
        ...


SettingTexts = Mapping[str, str]
