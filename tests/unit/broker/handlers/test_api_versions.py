"""ApiVersions: what this broker answers, told to every client that asks."""

from importlib import import_module

import pytest

from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from tests.support.broker_room import BrokerRoom

VERSIONS = SUPPORTED[ApiKey.API_VERSIONS]


async def ask(room: BrokerRoom, version: int, name: str = "c", software: str = "1") -> ApiVersionsResponse:
    request = ApiVersionsRequest(client_software_name=name, client_software_version=software)
    return await room.ask(request, version, ApiVersionsResponse)


@pytest.mark.parametrize("version", range(VERSIONS.first, VERSIONS.last + 1))
@virtual
async def test_each_version_tells_all_ranges(version: int) -> None:
    room = await BrokerRoom().open()
    response = await ask(room, version)
    assert response.error_code == ErrorCode.NONE
    told = {api.api_key: (api.min_version, api.max_version) for api in response.api_keys}
    assert told.keys() == set(SUPPORTED)
    for key, versions in SUPPORTED.items():
        # librdkafka does not compress without the first Produce versions.
        first = 0 if key is ApiKey.PRODUCE else versions.first
        assert told[key] == (first, versions.last)
    await room.close()


@pytest.mark.parametrize("api_key", SUPPORTED)
def test_what_is_told_is_served(api_key: ApiKey) -> None:
    module = import_module(f"chronik.broker.handlers.{api_key.name.lower()}")
    assert callable(module.handle)
    assert callable(module.on_error)


@pytest.mark.parametrize(
    ("name", "software", "code"),
    [
        ("apache-kafka-java", "4.1.0", ErrorCode.NONE),
        ("a", "1", ErrorCode.NONE),
        ("", "1", ErrorCode.INVALID_REQUEST),
        ("-a", "1", ErrorCode.INVALID_REQUEST),
        ("a", "1.", ErrorCode.INVALID_REQUEST),
        ("a b", "1", ErrorCode.INVALID_REQUEST),
        ("a\n", "1", ErrorCode.INVALID_REQUEST),
    ],
)
@virtual
async def test_clients_have_proper_names(name: str, software: str, code: ErrorCode) -> None:
    room = await BrokerRoom().open()
    assert (await ask(room, 3, name, software)).error_code == code
    # Older versions do not carry them.
    assert (await ask(room, 2, name, software)).error_code == ErrorCode.NONE
    await room.close()
