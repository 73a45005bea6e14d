"""Consumer groups, their offsets, and transactions (GroupCoordinatorConfig, TransactionLogConfig,
TransactionStateManagerConfig).
"""

from chronik.vocab.config.definition import ConfigType
from chronik.vocab.config.tables.broker import DYNAMIC, HIGH, LOW, define
from chronik.vocab.config.tables.topic import DAY_MS, HOUR_MS, MIB
from chronik.vocab.config.validators import at_least, list_of
from chronik.vocab.config.values import INT_MAX

# An event loop gains nothing from more partitions, each costs files, and the commits of groups that share one
# share its sync. It cannot change later, so a cluster to come must be able to spread them: 6 divides evenly
# over 1, 2, 3 and 6 nodes.
INTERNAL_TOPIC_PARTITIONS = 6

_FEW_PARTITIONS = (
    "Partitions of a topic that one event loop writes bring no parallelism; each costs files, and groups "
    "whose commits go to one partition share its syncs. 6 divides evenly over 1, 2, 3 and 6 nodes, should "
    "the node become a cluster."
)
_ONE_NODE = "One node can hold one replica."
_AS_MANY_AS_FIT = f"{_ONE_NODE} In a cluster the default is 3, or the number of nodes where that is less."

GROUP_COORDINATOR_DEFINITIONS = (
    define(
        "group.coordinator.rebalance.protocols",
        ConfigType.LIST,
        ("classic",),
        "The group protocols that are served.",
        validator=list_of("classic"),
        kafka_default=("classic", "consumer"),
        note="The consumer protocol of KIP-848 is not served yet. Kafka deprecates this setting since 4.3.",
    ),
    define(
        "group.initial.rebalance.delay.ms",
        ConfigType.INT,
        0,
        "How long a new group waits for more members before its first rebalance.",
        validator=at_least(0),
        kafka_default=3000,
        note="Consumers of a small installation start at once instead of after three seconds.",
    ),
    define(
        "group.max.session.timeout.ms",
        ConfigType.INT,
        1_800_000,
        "The longest session timeout that a member may ask for.",
    ),
    define(
        "group.max.size",
        ConfigType.INT,
        INT_MAX,
        "The most members in a group.",
        validator=at_least(1),
    ),
    define(
        "group.min.session.timeout.ms",
        ConfigType.INT,
        6000,
        "The shortest session timeout that a member may ask for.",
    ),
    define(
        "offset.metadata.max.bytes",
        ConfigType.INT,
        4096,
        "The longest text that a consumer may commit with an offset.",
        importance=HIGH,
    ),
    define(
        "offsets.commit.timeout.ms",
        ConfigType.INT,
        5000,
        "How long a coordinator waits until what it wrote is durable before it answers with an error.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "offsets.load.buffer.size",
        ConfigType.INT,
        5 * MIB,
        "How many bytes are read at a time when a coordinator loads its groups.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "offsets.retention.check.interval.ms",
        ConfigType.LONG,
        600_000,
        "How often offsets are searched for expired ones.",
        importance=HIGH,
        validator=at_least(1),
    ),
    define(
        "offsets.retention.minutes",
        ConfigType.INT,
        7 * 24 * 60,
        "How long offsets are kept after their group has become empty, or after their last commit when no "
        "group protocol is used.",
        importance=HIGH,
        validator=at_least(1),
    ),
    define(
        "offsets.topic.compression.codec",
        ConfigType.INT,
        0,
        "The number of the codec that compresses the offsets topic.",
        importance=HIGH,
        has_effect=False,
    ),
    define(
        "offsets.topic.num.partitions",
        ConfigType.INT,
        INTERNAL_TOPIC_PARTITIONS,
        "The number of partitions of `__consumer_offsets`. It is used when the topic is created and must "
        "not change later.",
        importance=HIGH,
        validator=at_least(1),
        kafka_default=50,
        note=_FEW_PARTITIONS,
    ),
    define(
        "offsets.topic.replication.factor",
        ConfigType.SHORT,
        1,
        "The replication factor of `__consumer_offsets`.",
        importance=HIGH,
        validator=at_least(1),
        kafka_default=3,
        note=_AS_MANY_AS_FIT,
    ),
    define(
        "offsets.topic.segment.bytes",
        ConfigType.INT,
        100 * MIB,
        "The segment size of `__consumer_offsets`, small so that compaction and loading are fast.",
        importance=HIGH,
        validator=at_least(1),
    ),
    define(
        "group.consumer.heartbeat.interval.ms",
        ConfigType.INT,
        5000,
        "How often members of a group of the consumer protocol send heartbeats.",
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "group.consumer.session.timeout.ms",
        ConfigType.INT,
        45_000,
        "How long a group of the consumer protocol waits for a member's heartbeat.",
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "group.coordinator.append.linger.ms",
        ConfigType.INT,
        -1,
        "How long a coordinator collects writes before it appends them; -1 adapts.",
        validator=at_least(-1),
        has_effect=False,
    ),
    define(
        "group.coordinator.threads",
        ConfigType.INT,
        4,
        "The number of threads of the group coordinator.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
    ),
)

TRANSACTION_DEFINITIONS = (
    define(
        "producer.id.expiration.ms",
        ConfigType.INT,
        DAY_MS,
        "How long the state of an idempotent producer is kept after its last record in a partition.",
        importance=LOW,
        validator=at_least(1),
        update_mode=DYNAMIC,
    ),
    define(
        "producer.id.expiration.check.interval.ms",
        ConfigType.INT,
        600_000,
        "How often partitions are searched for expired producers.",
        importance=LOW,
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        ConfigType.INT,
        10_000,
        "How often transactions are searched for ones that timed out.",
        importance=LOW,
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "transaction.max.timeout.ms",
        ConfigType.INT,
        900_000,
        "The longest transaction timeout that a producer may ask for.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "transaction.partition.verification.enable",
        ConfigType.BOOLEAN,
        True,
        "Whether a partition asks the coordinator before it accepts the first record of a transaction.",
        importance=LOW,
        update_mode=DYNAMIC,
        has_effect=False,
    ),
    define(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        ConfigType.INT,
        HOUR_MS,
        "How often transactional ids are searched for expired ones.",
        importance=LOW,
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "transaction.state.log.load.buffer.size",
        ConfigType.INT,
        5 * MIB,
        "How many bytes are read at a time when a coordinator loads its transactions.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "transaction.state.log.min.isr",
        ConfigType.INT,
        1,
        "`min.insync.replicas` of `__transaction_state`.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
        kafka_default=2,
        note=_ONE_NODE,
    ),
    define(
        "transaction.state.log.num.partitions",
        ConfigType.INT,
        INTERNAL_TOPIC_PARTITIONS,
        "The number of partitions of `__transaction_state`. It is used when the topic is created and must "
        "not change later.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
        kafka_default=50,
        note=_FEW_PARTITIONS,
    ),
    define(
        "transaction.state.log.replication.factor",
        ConfigType.SHORT,
        1,
        "The replication factor of `__transaction_state`.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
        kafka_default=3,
        note=_AS_MANY_AS_FIT,
    ),
    define(
        "transaction.state.log.segment.bytes",
        ConfigType.INT,
        100 * MIB,
        "The segment size of `__transaction_state`.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "transactional.id.expiration.ms",
        ConfigType.INT,
        7 * DAY_MS,
        "How long a transactional id is kept after its last transaction.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
    ),
)
