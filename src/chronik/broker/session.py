"""The state of a client while its connection lives.

Sans-IO: the connection creates one when it is accepted, passes it to dispatch with every request, and takes
the delay from it; nothing here depends on sockets. Authentication and quotas will keep their state here.
"""

from enum import Enum, auto
from typing import NamedTuple

from chronik.wire.apis import ApiKey


class Principal(NamedTuple):
    """The identity of a client. Prints as Kafka writes it, `User:anna`."""

    name: str
    type: str = "User"

    def __str__(self) -> str:
        return f"{self.type}:{self.name}"


# A client that did not authenticate, because the listener does not require it.
ANONYMOUS = Principal("ANONYMOUS")


class SaslState(Enum):
    """The progress of a connection's authentication."""

    # The mechanism is not agreed on yet.
    HANDSHAKE = auto()
    AUTHENTICATE = auto()
    # Also where the listener does not require authentication.
    COMPLETE = auto()


# Requests answered before the client is authenticated. Kafka closes the connection on any other.
_ADMITTED: dict[SaslState, frozenset[int]] = {
    SaslState.HANDSHAKE: frozenset((ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE)),
    SaslState.AUTHENTICATE: frozenset((ApiKey.SASL_AUTHENTICATE,)),
}


class UnauthenticatedRequest(ValueError):
    """A request that its client may not send before it has authenticated: its connection closes."""


class Session:
    """Owned by a connection. Created when it is accepted, gone when it is closed."""

    __slots__ = (
        "_sasl",
        "_throttle_ms",
        "client_host",
        "client_id",
        "client_port",
        "client_software_name",
        "client_software_version",
        "connection_id",
        "is_authenticated",
        "is_throttled",
        "listener",
        "principal",
    )

    def __init__(
        self,
        *,
        connection_id: int,
        listener: str,
        client_host: str = "",
        client_port: int = 0,
        sasl: SaslState = SaslState.COMPLETE,
    ) -> None:
        self.connection_id = connection_id
        # The listener the client came in by: Metadata answers with the endpoints advertised under its name.
        self.listener = listener
        self.client_host = client_host
        self.client_port = client_port
        # Of the last request: a client may send another one with each.
        self.client_id: str | None = None
        # From ApiVersions (KIP-511); empty before.
        self.client_software_name = ""
        self.client_software_version = ""
        self.principal = ANONYMOUS
        self._sasl = sasl
        # Invariant: `_sasl` is COMPLETE. Looked at with every request.
        self.is_authenticated = sasl is SaslState.COMPLETE
        # Invariant: whether `_throttle_ms` is above 0. Looked at with every answer.
        self.is_throttled = False
        self._throttle_ms = 0

    @property
    def sasl(self) -> SaslState:
        return self._sasl

    def admit(self, api_key: int) -> None:
        """Raises UnauthenticatedRequest for requests that are not answered in this state of
        authentication.
        """
        if not self.is_authenticated and api_key not in _ADMITTED[self._sasl]:
            raise UnauthenticatedRequest(f"API {api_key} before authentication ({self._sasl.name})")

    def agree_on_mechanism(self) -> None:
        """SaslHandshake was answered without error."""
        if self._sasl is SaslState.HANDSHAKE:
            self._sasl = SaslState.AUTHENTICATE

    def authenticate(self, principal: Principal) -> None:
        """The client has shown who it is."""
        self.principal = principal
        self._sasl = SaslState.COMPLETE
        self.is_authenticated = True

    # Quotas.

    def throttle(self, delay_ms: int) -> None:
        """Delays the next request of the connection by `delay_ms`, after the answer that carries the delay
        (KIP-219).
        """
        self._throttle_ms = max(self._throttle_ms, delay_ms)
        self.is_throttled = self._throttle_ms > 0

    def take_throttle_ms(self) -> int:
        """Returns the delay from now on, once; called by the connection."""
        throttle_ms, self._throttle_ms = self._throttle_ms, 0
        self.is_throttled = False
        return throttle_ms
