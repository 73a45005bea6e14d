"""The list of APIs, against kio's."""

import subprocess
import sys

import pytest
from kio.schema.index import api_key_map

from chronik.wire.apis import SCHEMAS, SUPPORTED, ApiKey, is_flexible, request_class, response_class


def test_keys_are_kafkas() -> None:
    # Kafka 4.4 has two that kio does not know yet.
    later = {93: "streams_group_topology_description_update", 94: "unregister_controller"}
    assert {key.value: key.name.lower() for key in ApiKey} == dict(api_key_map) | later


WITH_CLASSES = [key for key, schema in SCHEMAS.items() if schema.module is not None]


def test_what_is_served_has_message_classes_and_so_has_what_the_client_asks_of_other_brokers() -> None:
    assert set(WITH_CLASSES) == set(SUPPORTED) | {ApiKey.CONSUMER_GROUP_DESCRIBE}


def test_others_have_none() -> None:
    with pytest.raises(KeyError):
        request_class(ApiKey.PUSH_TELEMETRY)


@pytest.mark.parametrize("key", WITH_CLASSES, ids=lambda key: key.name)
def test_schemas_say_what_their_classes_say(key: ApiKey) -> None:
    for message in (request_class(key), response_class(key)):
        assert SCHEMAS[key].versions == message.VERSIONS
        assert SCHEMAS[key].flexible_from == message.FLEXIBLE_FROM


@pytest.mark.parametrize("key", SUPPORTED, ids=lambda key: key.name)
def test_what_is_supported_has_a_schema(key: ApiKey) -> None:
    assert SUPPORTED[key].first in SCHEMAS[key].versions
    assert SUPPORTED[key].last in SCHEMAS[key].versions


def test_flexible_versions() -> None:
    assert not is_flexible(ApiKey.FETCH, 11)
    assert is_flexible(ApiKey.FETCH, 12)
    assert not is_flexible(ApiKey.SASL_HANDSHAKE, 1)


def test_message_modules_are_loaded_when_asked_for() -> None:
    code = """
import sys
from chronik.wire.apis import ApiKey, request_class

def loaded():
    return sorted(name for name in sys.modules if name.startswith("chronik.wire.messages."))

print(loaded())
request_class(ApiKey.FETCH)
print(loaded())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    index, fetch = "chronik.wire.messages.index", "chronik.wire.messages.fetch"
    assert result.stdout.splitlines() == [f"{[index]}", f"{[fetch, index]}"]
