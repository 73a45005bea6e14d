"""Other brokers, leadership and threads: here so that configurations written for Kafka work."""

from chronik.vocab.config.definition import ConfigType
from chronik.vocab.config.tables.broker import DYNAMIC, HIGH, LOW, define
from chronik.vocab.config.tables.topic import MIB
from chronik.vocab.config.validators import at_least, one_of

REPLICATION_DEFINITIONS = (
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
        has_effect=False,
    ),
    define(
        "auto.leader.rebalance.enable",
        ConfigType.BOOLEAN,
        True,
        "Whether leadership returns to preferred replicas by itself.",
        importance=HIGH,
        has_effect=False,
    ),
    define(
        "replica.lag.time.max.ms",
        ConfigType.LONG,
        30_000,
        "How long a follower may lag before it counts as out of sync.",
        importance=HIGH,
        has_effect=False,
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
