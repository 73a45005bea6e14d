"""Settings of a group (org.apache.kafka.coordinator.group.GroupConfig). They belong to the protocol of
KIP-848 and to share and streams groups, none of which is served yet: they are checked, stored and shown.
"""

from chronik.vocab.config.definition import ConfigDefinition, ConfigType, ConfigValue, Importance, Validator
from chronik.vocab.config.validators import AutoOffsetReset, at_least, one_of


def _group(
    name: str,
    default: ConfigValue,
    validator: Validator | None,
    documentation: str,
    type: ConfigType = ConfigType.INT,
    *,
    is_internal: bool = False,
) -> ConfigDefinition:
    return ConfigDefinition(
        name=name,
        type=type,
        default=default,
        importance=Importance.MEDIUM,
        documentation=documentation,
        validator=validator,
        has_effect=False,
        is_internal=is_internal,
    )


def _of_members(kind: str, group: str) -> tuple[ConfigDefinition, ...]:
    """Returns the settings shared by the three kinds of group. `group` as in "a consumer group"."""
    return (
        _group(
            f"{kind}.assignment.interval.ms",
            1000,
            at_least(0),
            f"The least time between two assignments of {group}.",
        ),
        _group(
            f"{kind}.assignor.offload.enable",
            True,
            None,
            f"Whether the assignment of {group} is made beside the coordinator.",
            ConfigType.BOOLEAN,
            is_internal=True,
        ),
        _group(
            f"{kind}.heartbeat.interval.ms",
            5000,
            at_least(1),
            f"How often members of {group} send heartbeats.",
        ),
        _group(
            f"{kind}.session.timeout.ms",
            45_000,
            at_least(1),
            f"How long {group} waits for a member's heartbeat before it takes the member for gone.",
        ),
    )


_DEFINITIONS = (
    *_of_members("consumer", "a consumer group"),
    _group(
        "errors.deadletterqueue.copy.record.enable",
        False,
        None,
        "Whether a record in the dead letter queue of a share group is the whole one, or its headers alone.",
        ConfigType.BOOLEAN,
    ),
    _group(
        "errors.deadletterqueue.topic.name",
        "",
        None,
        "The topic of a share group's dead letter queue; empty: it has none.",
        ConfigType.STRING,
    ),
    *_of_members("share", "a share group"),
    _group(
        "share.auto.offset.reset",
        "latest",
        AutoOffsetReset(),
        "Where a share group starts to read a partition: `earliest`, `latest` or `by_duration:<ISO 8601 "
        "duration>`.",
        ConfigType.STRING,
    ),
    _group(
        "share.delivery.count.limit",
        5,
        at_least(2),
        "How often a record is given to members of a share group at most.",
    ),
    _group(
        "share.isolation.level",
        "read_uncommitted",
        one_of("read_committed", "read_uncommitted"),
        "Whether a share group delivers records of open and aborted transactions.",
        ConfigType.STRING,
    ),
    _group(
        "share.partition.max.record.locks",
        2000,
        at_least(100),
        "The most records of a partition that are locked for a share group at a time.",
    ),
    _group(
        "share.record.lock.duration.ms",
        30_000,
        at_least(1000),
        "How long a record that was given to a member of a share group is locked for the others.",
    ),
    _group(
        "share.renew.acknowledge.enable",
        True,
        None,
        "Whether members of a share group may renew their locks.",
        ConfigType.BOOLEAN,
    ),
    *_of_members("streams", "a streams group"),
    _group(
        "streams.acceptable.recovery.lag",
        10_000,
        at_least(0),
        "How many offsets a member of a streams group may lack and still take over an active task.",
        ConfigType.LONG,
        is_internal=True,
    ),
    _group(
        "streams.assignor.name",
        "sticky",
        None,
        "The task assignor of a streams group.",
        ConfigType.STRING,
    ),
    _group(
        "streams.initial.rebalance.delay.ms",
        3000,
        at_least(0),
        "How long a new streams group waits for more members before its first rebalance.",
    ),
    _group(
        "streams.num.standby.replicas",
        0,
        at_least(0),
        "How many standby replicas each task of a streams group has.",
    ),
    _group(
        "streams.num.warmup.replicas",
        2,
        at_least(0),
        "The most warm-up replicas of a task of a streams group.",
        is_internal=True,
    ),
    _group(
        "streams.rack.aware.assignment.tags",
        (),
        None,
        "Tags of clients over which standby tasks of a streams group are distributed.",
        ConfigType.LIST,
    ),
    _group(
        "streams.task.offset.interval.ms",
        60_000,
        at_least(1),
        "How often members of a streams group report the offsets of their warm-up tasks.",
        is_internal=True,
    ),
)

GROUP_DEFINITIONS = tuple(sorted(_DEFINITIONS, key=lambda definition: definition.name))

# Settings that no broker setting stands behind; behind all others stands the one with `group.` in front.
OF_GROUPS_ALONE = frozenset(
    {
        "errors.deadletterqueue.copy.record.enable",
        "errors.deadletterqueue.topic.name",
        "share.auto.offset.reset",
        "share.isolation.level",
        "share.renew.acknowledge.enable",
    }
)

_HEARTBEAT_MS = (5000, 15_000)
_SESSION_MS = (45_000, 60_000)
_ASSIGNMENT_MS = (0, 15_000)

# What Kafka's brokers allow by default, where they have settings for it such as
# `group.consumer.min.session.timeout.ms`.
GROUP_RANGES = {
    **{f"{kind}.heartbeat.interval.ms": _HEARTBEAT_MS for kind in ("consumer", "share", "streams")},
    **{f"{kind}.session.timeout.ms": _SESSION_MS for kind in ("consumer", "share", "streams")},
    **{f"{kind}.assignment.interval.ms": _ASSIGNMENT_MS for kind in ("consumer", "share", "streams")},
    "share.delivery.count.limit": (2, 10),
    "share.partition.max.record.locks": (100, 4000),
    "share.record.lock.duration.ms": (15_000, 60_000),
}
GROUP_MAXIMA = {"streams.num.standby.replicas": 2, "streams.num.warmup.replicas": 20}
STREAMS_ASSIGNORS = ("sticky",)
