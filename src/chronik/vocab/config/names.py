"""The tables by name, and which setting stands in for which.

Topic settings fall back to broker settings that often have another name or unit, and some broker settings
fall back to others (org.apache.kafka.server.config.ServerTopicConfigSynonyms,
DynamicBrokerConfig.brokerConfigSynonyms).
"""

from typing import NamedTuple

from chronik.vocab.config.definition import ConfigTable, ConfigValue, make_table
from chronik.vocab.config.tables.client_metrics import CLIENT_METRICS_DEFINITIONS
from chronik.vocab.config.tables.coordinator import GROUP_COORDINATOR_DEFINITIONS, TRANSACTION_DEFINITIONS
from chronik.vocab.config.tables.group import GROUP_DEFINITIONS, OF_GROUPS_ALONE
from chronik.vocab.config.tables.log import CLEANER_DEFINITIONS, LOG_DEFINITIONS
from chronik.vocab.config.tables.network import NETWORK_DEFINITIONS
from chronik.vocab.config.tables.node import NODE_DEFINITIONS
from chronik.vocab.config.tables.quorum import QUORUM_DEFINITIONS
from chronik.vocab.config.tables.replication import REPLICATION_DEFINITIONS
from chronik.vocab.config.tables.topic import HOUR_MS, TOPIC_DEFINITIONS

TOPIC_CONFIGS: ConfigTable = make_table(TOPIC_DEFINITIONS)

GROUP_CONFIGS: ConfigTable = make_table(GROUP_DEFINITIONS)

CLIENT_METRICS_CONFIGS: ConfigTable = make_table(CLIENT_METRICS_DEFINITIONS)

BROKER_CONFIGS: ConfigTable = make_table(
    NODE_DEFINITIONS,
    QUORUM_DEFINITIONS,
    NETWORK_DEFINITIONS,
    LOG_DEFINITIONS,
    CLEANER_DEFINITIONS,
    REPLICATION_DEFINITIONS,
    GROUP_COORDINATOR_DEFINITIONS,
    TRANSACTION_DEFINITIONS,
)

# Settings with one value under several names.
BROKER_ALIASES: tuple[tuple[str, ...], ...] = (("node.id", "broker.id"), ("data.dir", "log.dirs", "log.dir"))

# Settings that stand in for each other, within one source in order of precedence. Across sources the higher
# source wins, whichever of the names it uses.
BROKER_FALLBACKS: tuple[tuple[str, ...], ...] = (
    ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
    ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    ("log.roll.jitter.ms", "log.roll.jitter.hours"),
    ("log.roll.ms", "log.roll.hours"),
)

_GROUP_OF = {name: group for group in BROKER_FALLBACKS for name in group}


def broker_synonyms(name: str) -> tuple[str, ...]:
    """Returns all names that set the same value as `name`, in their order, `name` included."""
    return _GROUP_OF.get(name, (name,))


def group_synonym(name: str) -> str:
    """Returns the broker setting behind a group's, which Kafka shows with it; its own name where there is
    none.
    """
    if name == "streams.assignor.name":
        return "group.streams.assignors"
    return name if name in OF_GROUPS_ALONE else f"group.{name}"


class Synonym(NamedTuple):
    """A broker setting that stands in for a topic setting, and the factor between them."""

    name: str
    factor: int = 1

    def convert(self, value: ConfigValue) -> ConfigValue:
        """The topic setting's value; negative numbers mean "no limit" in every unit."""
        if self.factor == 1 or not isinstance(value, int):
            return value
        return value * self.factor if value >= 0 else -1


_MINUTE_MS = 60_000

_SAME_NAME = (
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "max.decompressed.message.bytes",
    "min.insync.replicas",
    "unclean.leader.election.enable",
    "write.caching",
)
_LOG_PREFIX = (
    "cleanup.policy",
    "index.interval.bytes",
    "local.retention.bytes",
    "local.retention.ms",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "preallocate",
    "remote.copy.lag.bytes",
    "remote.copy.lag.ms",
    "retention.bytes",
    "segment.bytes",
)
_CLEANER_PREFIX = ("delete.retention.ms", "max.compaction.lag.ms", "min.compaction.lag.ms")

# By topic setting; settings that are not here have no counterpart in the broker.
TOPIC_SYNONYMS: dict[str, tuple[Synonym, ...]] = {
    **{name: (Synonym(name),) for name in _SAME_NAME},
    **{name: (Synonym(f"log.{name}"),) for name in _LOG_PREFIX},
    **{name: (Synonym(f"log.cleaner.{name}"),) for name in _CLEANER_PREFIX},
    "file.delete.delay.ms": (Synonym("log.segment.delete.delay.ms"),),
    "flush.messages": (Synonym("log.flush.interval.messages"),),
    "flush.ms": (Synonym("log.flush.interval.ms"), Synonym("log.flush.scheduler.interval.ms")),
    "max.message.bytes": (Synonym("message.max.bytes"),),
    "min.cleanable.dirty.ratio": (Synonym("log.cleaner.min.cleanable.ratio"),),
    "retention.ms": (
        Synonym("log.retention.ms"),
        Synonym("log.retention.minutes", _MINUTE_MS),
        Synonym("log.retention.hours", HOUR_MS),
    ),
    "segment.index.bytes": (Synonym("log.index.size.max.bytes"),),
    "segment.jitter.ms": (Synonym("log.roll.jitter.ms"), Synonym("log.roll.jitter.hours", HOUR_MS)),
    "segment.ms": (Synonym("log.roll.ms"), Synonym("log.roll.hours", HOUR_MS)),
}
