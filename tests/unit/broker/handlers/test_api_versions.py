"""ApiVersions: what this broker answers, told to every client that asks."""

from importlib import import_module

import pytest

from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.sim.virtual_time import virtual
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import SUPPORTED, ApiKey
from chronik.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from tests.support.broker_room import BrokerRoom

VERSIONS = SUPPORTED[ApiKey.API_VERSIONS]


async def ask(
    room: BrokerRoom,
    version: int,
    name: str = "c",
    software: str = "1",
    cluster: str | None = None,
    node: int = -1,
) -> ApiVersionsResponse:
    request = ApiVersionsRequest(
        client_software_name=name, client_software_version=software, cluster_id=cluster, node_id=node
    )
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


@virtual
async def test_features_are_what_can_be_used() -> None:
    """KIP-584. Java's Admin takes an epoch of -1 for "no features are known"."""
    room = await BrokerRoom().open()
    before = (await ask(room, VERSIONS.last)).finalized_features_epoch
    await room.create("t")
    response = await ask(room, VERSIONS.last)
    assert [(f.name, f.min_version, f.max_version) for f in response.supported_features] == [
        ("metadata.version", 33, 33),
        ("chronik.metadata.version", 1, SUBJECTS.last_level),
    ]
    assert [(f.name, f.min_version_level, f.max_version_level) for f in response.finalized_features] == [
        ("metadata.version", 33, 33),
        ("chronik.metadata.version", SUBJECTS.last_level, SUBJECTS.last_level),
    ]
    assert 0 <= before < response.finalized_features_epoch
    assert response.zk_migration_ready is False
    await room.close()


@virtual
async def test_a_client_that_takes_this_node_for_another_is_to_begin_anew() -> None:
    """KIP-1242, with Kafka 4.4's answers."""
    room = await BrokerRoom().open()
    cluster, node = room.broker.cluster_id, room.broker.node_id
    answers = {
        (None, -1): ErrorCode.NONE,
        (cluster, node): ErrorCode.NONE,
        (cluster, node + 1): ErrorCode.REBOOTSTRAP_REQUIRED,
        ("another", node): ErrorCode.REBOOTSTRAP_REQUIRED,
        ("", -2): ErrorCode.REBOOTSTRAP_REQUIRED,
        (cluster, -1): ErrorCode.INVALID_REQUEST,
        (None, node): ErrorCode.INVALID_REQUEST,
    }
    for (told_cluster, told_node), code in answers.items():
        response = await ask(room, 5, cluster=told_cluster, node=told_node)
        assert response.error_code == code
        assert bool(response.api_keys) == (code is ErrorCode.NONE)
        # Version 4 does not carry them.
        assert (await ask(room, 4, cluster=told_cluster, node=told_node)).error_code == ErrorCode.NONE
    await room.close()
