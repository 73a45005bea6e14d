"""The delay of a client after an answer. There are no quotas; this is the seam for them.

The delay is in the answer (`throttle_time_ms`), which is sent at once; the connection starts no further
request before it has passed (KIP-219).
"""

from typing import Protocol

from chronik.broker.session import Session
from chronik.wire.apis import ApiKey
from chronik.wire.schema import Message


class Quotas(Protocol):
    """Accounts for the use of each client."""

    # True: no quota is checked, at no cost.
    is_unlimited: bool

    def delay_ms(self, session: Session, api_key: ApiKey) -> int:
        """Milliseconds that a client has used more than its share, now that it is answered; 0 within it."""
        ...


class NoQuotas:
    """No limits for any client."""

    is_unlimited = True

    def delay_ms(self, session: Session, api_key: ApiKey) -> int:
        return 0


def throttle(quotas: Quotas, api_key: ApiKey, session: Session, response: Message) -> None:
    """The stage between handling and encoding: puts the delay into the response and delays the connection."""
    delay_ms = quotas.delay_ms(session, api_key)
    if delay_ms <= 0:
        return
    session.throttle(delay_ms)
    if hasattr(response, "throttle_time_ms"):
        response.throttle_time_ms = delay_ms
