"""Replicas and their leaders; and what Kafka configures about them and its threads, so that configurations
written for Kafka work.
"""

from chronik.vocab.config.definition import ConfigType
from chronik.vocab.config.tables.broker import DYNAMIC, HIGH, LOW, define
from chronik.vocab.config.tables.topic import MIB
from chronik.vocab.config.validators import at_least, one_of
from chronik.vocab.config.values import LONG_MAX

# Values of `replica.selector.class` that let consumers fetch from a replica in their own rack (KIP-392).
RACK_AWARE_SELECTORS = ("rack-aware", "org.apache.kafka.common.replica.RackAwareReplicaSelector")
_LEADER_SELECTOR = "org.apache.kafka.common.replica.LeaderSelector"

_THROTTLES = (
    ("leader.replication.throttled.rate", "leaders send to followers"),
    ("follower.replication.throttled.rate", "followers take from leaders"),
    ("replica.alter.log.dirs.io.max.bytes.per.second", "replicas move between log directories"),
)

REPLICATION_DEFINITIONS = (
    *(
        define(
            name,
            ConfigType.LONG,
            LONG_MAX,
            f"How many bytes a second {what} at most, of the replicas that are throttled.",
            validator=at_least(0),
            update_mode=DYNAMIC,
            has_effect=False,
        )
        for name, what in _THROTTLES
    ),
    define(
        "background.threads",
        ConfigType.INT,
        10,
        "The number of threads for tasks in the background.",
        importance=HIGH,
        validator=at_least(1),
        update_mode=DYNAMIC,
        has_effect=False,
    ),
    define(
        "unclean.leader.election.enable",
        ConfigType.BOOLEAN,
        False,
        "Whether a replica that is not in sync may lead when no other is left, which loses records.",
        importance=HIGH,
        update_mode=DYNAMIC,
        has_effect=False,
        note="Consensus never elects a replica that lacks acknowledged records.",
    ),
    define(
        "controlled.shutdown.enable",
        ConfigType.BOOLEAN,
        True,
        "Whether a node that stops hands its leaderships over first.",
    ),
    define(
        "auto.leader.rebalance.enable",
        ConfigType.BOOLEAN,
        True,
        "Whether leadership returns to preferred replicas by itself.",
        importance=HIGH,
    ),
    define(
        "leader.imbalance.check.interval.seconds",
        ConfigType.LONG,
        5,
        "How often leaderships are looked over with `auto.leader.rebalance.enable`.",
        importance=HIGH,
        validator=at_least(1),
        kafka_default=300,
        note="A node that is back leads again soon; a transfer costs clients a few milliseconds.",
    ),
    define(
        "replica.lag.time.max.ms",
        ConfigType.LONG,
        30_000,
        "How long a follower may lag before it counts as out of sync. One that is not connected counts so at "
        "once.",
        importance=HIGH,
        validator=at_least(1),
    ),
    define(
        "replica.selector.class",
        ConfigType.CLASS,
        None,
        "`rack-aware`, or Kafka's RackAwareReplicaSelector, sends consumers that name their rack to a "
        "replica in it (KIP-392). Unset or empty means: everybody reads from the leader.",
        validator=one_of("", _LEADER_SELECTOR, *RACK_AWARE_SELECTORS),
        note="There are no plug-ins: the names of Kafka's own two classes are known.",
    ),
    define(
        "num.replica.fetchers",
        ConfigType.INT,
        1,
        "The number of threads that replicate from each other broker.",
        importance=HIGH,
        validator=at_least(1),
        update_mode=DYNAMIC,
        has_effect=False,
    ),
    define(
        "replica.fetch.max.bytes",
        ConfigType.INT,
        MIB,
        "The bytes that a follower asks for per partition.",
        validator=at_least(0),
        has_effect=False,
    ),
    define(
        "log.dir.failure.timeout.ms",
        ConfigType.LONG,
        30_000,
        "How long Kafka waits for the controller to learn of a failed directory before it stops.",
        importance=LOW,
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "security.inter.broker.protocol",
        ConfigType.STRING,
        "PLAINTEXT",
        "The security protocol between brokers.",
        validator=one_of("PLAINTEXT"),
        has_effect=False,
        note="PLAINTEXT is the only protocol so far.",
    ),
)
