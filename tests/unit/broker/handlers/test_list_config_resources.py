import asyncio

import pytest

from chronik.broker.handlers import list_config_resources
from chronik.cluster.metadata.configs import AlterConfigs, ConfigResource
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.list_config_resources import (
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from tests.unit.broker.handlers.config_cluster import ConfigCluster, context


def ask(types: list[int], version: int = 1) -> ListConfigResourcesResponse:
    async def play() -> ListConfigResourcesResponse:
        cluster = await ConfigCluster().start()
        request = ListConfigResourcesRequest(resource_types=types)
        return await list_config_resources.handle(cluster.broker, context(version), request)

    return asyncio.run(play())


def listed(response: ListConfigResourcesResponse) -> set[tuple[int, str]]:
    assert response.error_code == ErrorCode.NONE
    return {(each.resource_type, each.resource_name) for each in response.config_resources}


@pytest.mark.parametrize(
    ("types", "resources"),
    [
        (
            [],
            {
                (ResourceType.TOPIC, "orders"),
                (ResourceType.BROKER, "1"),
                (ResourceType.BROKER_LOGGER, "1"),
            },
        ),
        ([ResourceType.TOPIC], {(ResourceType.TOPIC, "orders")}),
        ([ResourceType.BROKER, ResourceType.GROUP], {(ResourceType.BROKER, "1")}),
        ([ResourceType.CLIENT_METRICS], set()),
    ],
)
def test_what_has_configuration(types: list[int], resources: set[tuple[int, str]]) -> None:
    assert listed(ask(types)) == resources


GROUP, SUBSCRIPTION = (
    ConfigResource(ResourceType.GROUP, "g"),
    ConfigResource(ResourceType.CLIENT_METRICS, "s"),
)


@pytest.mark.parametrize(
    ("types", "version", "resources"),
    [
        ([ResourceType.GROUP], 1, {GROUP}),
        ([ResourceType.CLIENT_METRICS], 1, {SUBSCRIPTION}),
        ([], 0, {SUBSCRIPTION}),
    ],
)
def test_groups_and_client_metrics_with_settings(
    types: list[int], version: int, resources: set[tuple[int, str]]
) -> None:
    async def play(
        cluster: ConfigCluster, session: dict[str, str], interval: dict[str, str]
    ) -> ListConfigResourcesResponse:
        await cluster.metadata.submit(AlterConfigs(resource=GROUP, entries=session))
        await cluster.metadata.submit(AlterConfigs(resource=SUBSCRIPTION, entries=interval))
        request = ListConfigResourcesRequest(resource_types=types)
        return await list_config_resources.handle(cluster.broker, context(version), request)

    async def scene() -> None:
        cluster = await ConfigCluster().start()
        session, interval = {"consumer.session.timeout.ms": "50000"}, {"interval.ms": "5000"}
        assert listed(await play(cluster, session, interval)) == resources
        # Whose last setting is gone is gone.
        assert listed(await play(cluster, {}, {})) == set()

    asyncio.run(scene())


@pytest.mark.parametrize("type", [0, 3, 99])
def test_a_type_that_does_not_exist(type: int) -> None:
    response = ask([ResourceType.TOPIC, type])
    assert (response.error_code, response.config_resources) == (ErrorCode.UNSUPPORTED_VERSION, [])


def test_an_error_for_the_request() -> None:
    response = list_config_resources.on_error(ListConfigResourcesRequest(), ErrorCode.NOT_CONTROLLER, "x")
    assert response.error_code == ErrorCode.NOT_CONTROLLER
