"""What a connection is known by, what it may ask before it has authenticated, and how long it has to wait."""

import pytest

from chronik.broker.session import ANONYMOUS, Principal, SaslState, Session, UnauthenticatedRequest
from chronik.wire.apis import ApiKey


def session(sasl: SaslState) -> Session:
    return Session(connection_id=1, listener="SASL_PLAINTEXT", sasl=sasl)


def admitted(it: Session) -> set[ApiKey]:
    return {api_key for api_key in ApiKey if not _is_refused(it, api_key)}


def _is_refused(it: Session, api_key: ApiKey) -> bool:
    try:
        it.admit(api_key)
    except UnauthenticatedRequest:
        return True
    return False


def test_a_listener_that_does_not_ask_has_anonymous_clients() -> None:
    it = Session(connection_id=1, listener="PLAINTEXT")
    assert (it.principal, str(it.principal), it.is_authenticated) == (ANONYMOUS, "User:ANONYMOUS", True)
    assert admitted(it) == set(ApiKey)


def test_authentication_goes_step_by_step() -> None:
    it = session(SaslState.HANDSHAKE)
    assert admitted(it) == {ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE}
    it.agree_on_mechanism()
    assert (it.sasl, admitted(it)) == (SaslState.AUTHENTICATE, {ApiKey.SASL_AUTHENTICATE})
    it.authenticate(Principal("anna"))
    assert (it.sasl, str(it.principal), admitted(it)) == (SaslState.COMPLETE, "User:anna", set(ApiKey))


def test_agreeing_again_does_not_undo_an_authentication() -> None:
    it = session(SaslState.HANDSHAKE)
    it.authenticate(Principal("anna"))
    it.agree_on_mechanism()
    assert it.is_authenticated
    assert it.sasl is SaslState.COMPLETE


@pytest.mark.parametrize(("delays", "expected"), [((), 0), ((5,), 5), ((5, 30, 10), 30), ((0,), 0)])
def test_the_longest_wait_is_taken_once(delays: tuple[int, ...], expected: int) -> None:
    it = session(SaslState.COMPLETE)
    for delay_ms in delays:
        it.throttle(delay_ms)
    assert it.is_throttled is (expected > 0)
    assert [it.take_throttle_ms(), it.take_throttle_ms()] == [expected, 0]
    assert not it.is_throttled
