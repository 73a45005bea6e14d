"""Every API that is served says what its clients must be allowed."""

import pytest

from chronik.broker.dispatch import handler_module
from chronik.broker.needs import Each, Inside, Needs, Whole
from chronik.broker.portions import is_splittable
from chronik.vocab.acl import AUTHORIZATION_ERRORS, SUPPORTED_OPERATIONS
from chronik.wire.apis import SUPPORTED, ApiKey

# Every client that reaches the broker may send these, as in Kafka.
OF_NOBODY = {ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE}


def needs_of(api_key: ApiKey) -> Needs:
    return handler_module(api_key).NEEDS


@pytest.mark.parametrize("api_key", SUPPORTED)
def test_every_served_api_declares_its_needs(api_key: ApiKey) -> None:
    needs = needs_of(api_key)
    has_any = bool(needs.whole or needs.each or needs.inside)
    assert has_any is (api_key not in OF_NOBODY)
    assert bool(needs.because) is not has_any, "an API without needs says why, and no other"


@pytest.mark.parametrize("api_key", SUPPORTED)
def test_needs_are_operations_that_there_are(api_key: ApiKey) -> None:
    needs = needs_of(api_key)
    declared: list[Whole | Each | Inside] = [*needs.whole, *needs.each, *needs.inside]
    for need in declared:
        assert need.operation in SUPPORTED_OPERATIONS[need.resource_type]
        assert need.resource_type in AUTHORIZATION_ERRORS


@pytest.mark.parametrize("api_key", [each for each in SUPPORTED if needs_of(each).each])
def test_what_is_refused_one_by_one_can_be_taken_apart(api_key: ApiKey) -> None:
    assert is_splittable(api_key)
