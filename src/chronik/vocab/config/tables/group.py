"""Settings of a consumer group (org.apache.kafka.coordinator.group.GroupConfig). They belong to the protocol
of KIP-848 and to share and streams groups, none of which is served yet: they can be read, not changed.
"""

from chronik.vocab.config.definition import ConfigDefinition, ConfigType, ConfigValue, Importance, Validator
from chronik.vocab.config.validators import at_least, one_of


def _group(
    name: str,
    default: ConfigValue,
    validator: Validator | None,
    documentation: str,
    type: ConfigType = ConfigType.INT,
) -> ConfigDefinition:
    return ConfigDefinition(
        name=name,
        type=type,
        default=default,
        importance=Importance.MEDIUM,
        documentation=documentation,
        validator=validator,
        has_effect=False,
    )


GROUP_DEFINITIONS = (
    _group(
        "consumer.heartbeat.interval.ms",
        5000,
        at_least(1),
        "How often members of a consumer group send heartbeats.",
    ),
    _group(
        "consumer.session.timeout.ms",
        45_000,
        at_least(1),
        "How long a consumer group waits for a member's heartbeat before it takes the member for gone.",
    ),
    _group(
        "share.auto.offset.reset",
        "latest",
        None,
        "Where a share group starts to read a partition: `earliest`, `latest` or `by_duration:<ISO 8601 "
        "duration>`.",
        ConfigType.STRING,
    ),
    _group(
        "share.heartbeat.interval.ms",
        5000,
        at_least(1),
        "How often members of a share group send heartbeats.",
    ),
    _group(
        "share.isolation.level",
        "read_uncommitted",
        one_of("read_committed", "read_uncommitted"),
        "Whether a share group delivers records of open and aborted transactions.",
        ConfigType.STRING,
    ),
    _group(
        "share.record.lock.duration.ms",
        30_000,
        at_least(1000),
        "How long a record that was given to a member of a share group is locked for the others.",
    ),
    _group(
        "share.session.timeout.ms",
        45_000,
        at_least(1),
        "How long a share group waits for a member's heartbeat before it takes the member for gone.",
    ),
    _group(
        "streams.heartbeat.interval.ms",
        5000,
        at_least(1),
        "How often members of a streams group send heartbeats.",
    ),
    _group(
        "streams.num.standby.replicas",
        0,
        at_least(0),
        "How many standby replicas each task of a streams group has.",
    ),
    _group(
        "streams.session.timeout.ms",
        45_000,
        at_least(1),
        "How long a streams group waits for a member's heartbeat before it takes the member for gone.",
    ),
)
