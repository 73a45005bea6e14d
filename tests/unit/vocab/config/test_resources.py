"""Settings of groups and of client metrics: what Kafka 4.4 answered to each."""

import pytest

from chronik.vocab.config.resources import validate_client_metrics_config, validate_group_config
from chronik.vocab.errors import ErrorCode, KafkaError

INVALID_CONFIG, INVALID_REQUEST = ErrorCode.INVALID_CONFIG, ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("consumer.session.timeout.ms", "45000"),
        ("consumer.session.timeout.ms", "60000"),
        ("consumer.heartbeat.interval.ms", "15000"),
        ("consumer.assignor.offload.enable", "false"),
        ("share.record.lock.duration.ms", "15000"),
        ("share.auto.offset.reset", "by_duration:P1D"),
        ("share.auto.offset.reset", "by_duration:PT1.5S"),
        ("share.delivery.count.limit", "3"),
        ("streams.num.standby.replicas", "2"),
        ("streams.assignor.name", "sticky"),
        ("errors.deadletterqueue.topic.name", "a b"),
    ],
)
def test_settings_that_a_group_may_have(name: str, text: str) -> None:
    validate_group_config({name: text})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nope", "1", "Unknown group config name: nope"),
        (
            "consumer.session.timeout.ms",
            "1000",
            "consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive.",
        ),
        (
            "consumer.session.timeout.ms",
            "-1",
            "Invalid value -1 for configuration consumer.session.timeout.ms: Value must be at least 1",
        ),
        (
            "consumer.session.timeout.ms",
            "x",
            "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT",
        ),
        (
            "share.heartbeat.interval.ms",
            "1",
            "share.heartbeat.interval.ms must be in the range 5000 to 15000 inclusive.",
        ),
        (
            "share.record.lock.duration.ms",
            "70000",
            "share.record.lock.duration.ms must be in the range 15000 to 60000 inclusive.",
        ),
        (
            "share.auto.offset.reset",
            "by_duration:-P1D",
            "Invalid value by_duration:-P1D for configuration share.auto.offset.reset: Invalid value "
            "`by_duration:-P1D` for configuration share.auto.offset.reset. The value must be either "
            "'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
        ),
        (
            "share.delivery.count.limit",
            "100",
            "share.delivery.count.limit must be in the range 2 to 10 inclusive.",
        ),
        (
            "share.renew.acknowledge.enable",
            "maybe",
            "Invalid value maybe for configuration share.renew.acknowledge.enable: Expected value to be "
            "either true or false",
        ),
        (
            "consumer.assignment.interval.ms",
            "999999",
            "consumer.assignment.interval.ms must be in the range 0 to 15000 inclusive.",
        ),
        (
            "streams.num.standby.replicas",
            "5",
            "streams.num.standby.replicas must be less than or equal to 2",
        ),
        (
            "streams.assignor.name",
            "x",
            "streams.assignor.name 'x' is not a registered task assignor. "
            "Registered assignors are: [sticky].",
        ),
    ],
)
def test_settings_that_a_group_may_not_have(name: str, text: str, message: str) -> None:
    with pytest.raises(KafkaError) as caught:
        validate_group_config({"share.isolation.level": "read_committed", name: text})
    assert (caught.value.code, caught.value.message) == (INVALID_CONFIG, message)


def test_values_have_a_length() -> None:
    with pytest.raises(KafkaError, match="exceeds the maximum value size"):
        validate_group_config({"errors.deadletterqueue.topic.name": "x" * 32_768})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("interval.ms", "100"),
        ("interval.ms", "3600000"),
        ("metrics", "org.apache.kafka."),
        ("metrics", "*"),
        ("metrics", ""),
        ("match", "client_id=a.*"),
        ("match", "client_id=a,client_software_name=b"),
    ],
)
def test_settings_that_a_subscription_may_have(name: str, text: str) -> None:
    validate_client_metrics_config({name: text})


@pytest.mark.parametrize(
    ("name", "text", "code", "message"),
    [
        (
            "interval.ms",
            "99",
            INVALID_REQUEST,
            "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        ),
        (
            "interval.ms",
            "x",
            INVALID_CONFIG,
            "Invalid value x for configuration interval.ms: Not a number of type INT",
        ),
        ("metrics", "a,,b", INVALID_CONFIG, "Configuration 'metrics' values must not be empty."),
        ("match", "client_id=[a", INVALID_CONFIG, "Illegal client matching pattern: client_id=[a"),
        ("match", "foo=a", INVALID_CONFIG, "Illegal client matching pattern: foo=a"),
        ("match", "client_id", INVALID_CONFIG, "Illegal client matching pattern: client_id"),
        ("nope", "1", INVALID_REQUEST, "Unknown client metrics configuration: nope"),
    ],
)
def test_settings_that_a_subscription_may_not_have(
    name: str, text: str, code: ErrorCode, message: str
) -> None:
    with pytest.raises(KafkaError) as caught:
        validate_client_metrics_config({name: text})
    assert (caught.value.code, caught.value.message) == (code, message)
