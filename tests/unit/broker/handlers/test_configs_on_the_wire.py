"""Requests and responses about configuration in every version that is served, through the codec."""

import asyncio

import pytest

from chronik.broker.handlers import (
    alter_configs,
    describe_configs,
    incremental_alter_configs,
    list_config_resources,
)
from chronik.vocab.config.definition import ConfigSource, ConfigType, ResourceType
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages import alter_configs as alter
from chronik.wire.messages import describe_configs as describe
from chronik.wire.messages import incremental_alter_configs as incremental
from chronik.wire.messages import list_config_resources as listing
from tests.unit.broker.handlers.config_cluster import ConfigCluster, context
from tests.unit.broker.handlers.metadata_stage import over_the_wire


@pytest.mark.parametrize("version", describe.DescribeConfigsRequest.VERSIONS)
def test_describe_configs(version: int) -> None:
    async def play() -> describe.DescribeConfigsResponse:
        cluster = await ConfigCluster().start()
        resources = [
            describe.DescribeConfigsResource(resource_type=type, resource_name=name, configuration_keys=None)
            for type, name in [
                (ResourceType.TOPIC, "orders"),
                (ResourceType.BROKER, "1"),
                (ResourceType.BROKER, ""),
                (ResourceType.BROKER_LOGGER, "1"),
                (ResourceType.GROUP, "g"),
                (ResourceType.CLIENT_METRICS, "c"),
                (ResourceType.TOPIC, "nobody"),
            ]
        ]
        request = describe.DescribeConfigsRequest(resources=resources, include_synonyms=True)
        request.include_documentation = version >= 3
        request = over_the_wire(request, version)
        response = await describe_configs.handle(cluster.broker, context(version), request)
        return over_the_wire(response, version)

    *good, bad = asyncio.run(play()).results
    assert [result.error_code for result in good] == [ErrorCode.NONE] * 6
    assert bad.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    entry = next(entry for entry in good[0].configs if entry.name == "retention.ms")
    assert (entry.value, entry.config_source) == ("5", ConfigSource.TOPIC_CONFIG)
    assert [synonym.name for synonym in entry.synonyms] == ["retention.ms", "log.retention.hours"]
    assert entry.config_type == (ConfigType.LONG if version >= 3 else ConfigType.UNKNOWN)
    assert bool(entry.documentation) == (version >= 3)


@pytest.mark.parametrize("version", alter.AlterConfigsRequest.VERSIONS)
def test_alter_configs(version: int) -> None:
    async def play() -> list[alter.AlterConfigsResourceResponse]:
        cluster = await ConfigCluster().start()
        resources = [
            alter.AlterConfigsResource(
                resource_type=ResourceType.TOPIC,
                resource_name=name,
                configs=[alter.AlterableConfig(name="segment.ms", value="7")],
            )
            for name in ("orders", "nobody")
        ]
        request = over_the_wire(alter.AlterConfigsRequest(resources=resources), version)
        response = await alter_configs.handle(cluster.broker, context(version), request)
        return over_the_wire(response, version).responses

    assert [(each.resource_name, each.error_code) for each in asyncio.run(play())] == [
        ("orders", ErrorCode.NONE),
        ("nobody", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]


@pytest.mark.parametrize("version", incremental.IncrementalAlterConfigsRequest.VERSIONS)
def test_incremental_alter_configs(version: int) -> None:
    async def play() -> list[incremental.AlterConfigsResourceResponse]:
        cluster = await ConfigCluster().start()
        change = incremental.AlterableConfig(name="retention.ms", config_operation=1, value=None)
        resources = [
            incremental.AlterConfigsResource(
                resource_type=ResourceType.TOPIC, resource_name=name, configs=[change]
            )
            for name in ("orders", "nobody")
        ]
        request = over_the_wire(incremental.IncrementalAlterConfigsRequest(resources=resources), version)
        response = await incremental_alter_configs.handle(cluster.broker, context(version), request)
        return over_the_wire(response, version).responses

    assert [(each.resource_name, each.error_code) for each in asyncio.run(play())] == [
        ("orders", ErrorCode.NONE),
        ("nobody", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]


@pytest.mark.parametrize("version", listing.ListConfigResourcesRequest.VERSIONS)
def test_list_config_resources(version: int) -> None:
    async def play() -> listing.ListConfigResourcesResponse:
        cluster = await ConfigCluster().start()
        request = over_the_wire(listing.ListConfigResourcesRequest(), version)
        response = await list_config_resources.handle(cluster.broker, context(version), request)
        return over_the_wire(response, version)

    assert len(asyncio.run(play()).config_resources) == (3 if version else 0)
