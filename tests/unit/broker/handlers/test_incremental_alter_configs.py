import asyncio
import logging
from collections.abc import Iterator

import pytest

from chronik.broker.handlers import incremental_alter_configs
from chronik.cluster.metadata.configs import AlterOp, topic_resource
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode
from chronik.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from tests.unit.broker.handlers.config_cluster import ConfigCluster, context

Outcome = tuple[ErrorCode, str | None]
Change = tuple[str, int, str | None]

OK: Outcome = (ErrorCode.NONE, None)
LOGGER = "chronik.test_incremental_alter_configs"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger(LOGGER)
    yield logger
    logger.setLevel(logging.NOTSET)


def resource(type: int, name: str, *changes: Change) -> AlterConfigsResource:
    return AlterConfigsResource(
        resource_type=type,
        resource_name=name,
        configs=[AlterableConfig(name=key, config_operation=op, value=value) for key, op, value in changes],
    )


def outcomes(response: IncrementalAlterConfigsResponse) -> list[Outcome]:
    return [(ErrorCode(each.error_code), each.error_message) for each in response.responses]


def alter(
    cluster: ConfigCluster, *resources: AlterConfigsResource, validate_only: bool = False
) -> list[Outcome]:
    async def play() -> IncrementalAlterConfigsResponse:
        await cluster.start()
        request = IncrementalAlterConfigsRequest(resources=list(resources), validate_only=validate_only)
        return await incremental_alter_configs.handle(cluster.broker, context(), request)

    return outcomes(asyncio.run(play()))


def topic(*changes: Change) -> AlterConfigsResource:
    return resource(ResourceType.TOPIC, "orders", *changes)


def settings(cluster: ConfigCluster) -> dict[str, str]:
    return dict(cluster.metadata.image.config(topic_resource("orders")))


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ([("segment.ms", AlterOp.SET, "7")], {"retention.ms": "5", "segment.ms": "7"}),
        ([("retention.ms", AlterOp.SET, "7")], {"retention.ms": "7"}),
        ([("retention.ms", AlterOp.DELETE, None)], {}),
        ([("segment.ms", AlterOp.DELETE, None)], {"retention.ms": "5"}),
        (
            [("cleanup.policy", AlterOp.APPEND, "compact")],
            {"retention.ms": "5", "cleanup.policy": "delete,compact"},
        ),
        (
            [("cleanup.policy", AlterOp.SUBTRACT, "delete")],
            {"retention.ms": "5", "cleanup.policy": ""},
        ),
    ],
)
def test_single_settings_change(changes: list[Change], after: dict[str, str]) -> None:
    cluster = ConfigCluster()
    assert alter(cluster, topic(*changes)) == [OK]
    assert settings(cluster) == after


def test_a_trial_changes_nothing() -> None:
    cluster = ConfigCluster()
    assert alter(cluster, topic(("segment.ms", AlterOp.SET, "7")), validate_only=True) == [OK]
    assert settings(cluster) == {"retention.ms": "5"}
    [(code, _)] = alter(ConfigCluster(), topic(("segment.ms", AlterOp.SET, "x")), validate_only=True)
    assert code is ErrorCode.INVALID_CONFIG


def test_a_brokers_setting() -> None:
    cluster = ConfigCluster()
    change = ("message.max.bytes", AlterOp.SET, "7")
    assert alter(cluster, resource(ResourceType.BROKER, "", change)) == [OK]
    assert cluster.config.int("message.max.bytes") == 7


@pytest.mark.parametrize(
    ("type", "name", "change", "code", "message"),
    [
        (
            ResourceType.TOPIC,
            "orders",
            ("segment.ms", 9, "7"),
            ErrorCode.INVALID_REQUEST,
            "Unknown operations type 9",
        ),
        (
            ResourceType.TOPIC,
            "orders",
            ("segment.ms", AlterOp.SET, None),
            ErrorCode.INVALID_REQUEST,
            "Null value not supported for : segment.ms",
        ),
        (
            ResourceType.BROKER,
            "2",
            ("message.max.bytes", AlterOp.SET, "7"),
            ErrorCode.INVALID_REQUEST,
            "Unexpected broker id, expected 1, but received 2",
        ),
        (
            ResourceType.BROKER_LOGGER,
            "2",
            ("chronik", AlterOp.SET, "INFO"),
            ErrorCode.INVALID_REQUEST,
            "Unexpected broker id, expected 1, but received 2",
        ),
        (
            ResourceType.BROKER_LOGGER,
            "1",
            ("chronik.nothing.of.that.name", AlterOp.SET, "INFO"),
            ErrorCode.INVALID_CONFIG,
            "Logger chronik.nothing.of.that.name does not exist!",
        ),
        (
            ResourceType.BROKER_LOGGER,
            "1",
            ("chronik", AlterOp.SET, "LOUD"),
            ErrorCode.INVALID_CONFIG,
            "Cannot set the log level of chronik to LOUD as it is not a supported log level. "
            "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
        ),
        (
            ResourceType.BROKER_LOGGER,
            "1",
            ("chronik", AlterOp.APPEND, "INFO"),
            ErrorCode.INVALID_REQUEST,
            "APPEND operation is not allowed for the BROKER_LOGGER resource",
        ),
        (
            ResourceType.BROKER_LOGGER,
            "1",
            ("chronik", AlterOp.DELETE, None),
            ErrorCode.INVALID_REQUEST,
            "Removing the log level of the chronik logger is not allowed",
        ),
        (55, "x", ("a", AlterOp.SET, "b"), ErrorCode.INVALID_REQUEST, "Unknown resource type 55"),
    ],
)
def test_bad_changes(type: int, name: str, change: Change, code: ErrorCode, message: str) -> None:
    assert alter(ConfigCluster(), resource(type, name, change)) == [(code, message)]


def test_resources_and_settings_are_named_once() -> None:
    change = ("segment.ms", AlterOp.SET, "7")
    refused = (ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
    assert alter(ConfigCluster(), topic(change), topic(change)) == [refused, refused]
    assert alter(ConfigCluster(), topic(change, change)) == [
        (ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    ]


def test_a_log_level_lasts_until_it_is_taken_back(logger: logging.Logger) -> None:
    def change(op: AlterOp, level: str | None, validate_only: bool = False) -> int:
        request = resource(ResourceType.BROKER_LOGGER, "1", (LOGGER, op, level))
        assert alter(ConfigCluster(), request, validate_only=validate_only) == [OK]
        return logger.level

    assert change(AlterOp.SET, "ERROR", validate_only=True) == logging.NOTSET
    assert change(AlterOp.SET, "ERROR") == logging.ERROR
    assert change(AlterOp.DELETE, None, validate_only=True) == logging.ERROR
    assert change(AlterOp.DELETE, None) == logging.NOTSET


def test_log_levels_change_together_or_not_at_all(logger: logging.Logger) -> None:
    changes = [(LOGGER, AlterOp.SET, "ERROR"), ("chronik", AlterOp.SET, "LOUD")]
    [(code, _)] = alter(ConfigCluster(), resource(ResourceType.BROKER_LOGGER, "1", *changes))
    assert code is ErrorCode.INVALID_CONFIG
    assert logger.level == logging.NOTSET


def test_an_error_for_the_request_is_one_for_each_resource() -> None:
    request = IncrementalAlterConfigsRequest(resources=[topic(), resource(4, "1")])
    response = incremental_alter_configs.on_error(request, ErrorCode.NOT_CONTROLLER, "closing")
    assert outcomes(response) == [(ErrorCode.NOT_CONTROLLER, "closing")] * 2
    assert [each.resource_name for each in response.responses] == ["orders", "1"]
