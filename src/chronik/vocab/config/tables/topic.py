"""Settings of a topic (org.apache.kafka.common.config.TopicConfig)."""

from chronik.vocab.config.definition import (
    ConfigDefinition,
    ConfigType,
    ConfigValue,
    Importance,
    UpdateMode,
    Validator,
)
from chronik.vocab.config.validators import RangeOr, ThrottledReplicas, at_least, between, list_of, one_of
from chronik.vocab.config.values import LONG_MAX

HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS
MIB = 1024 * 1024

# A record batch of 1 MiB with the 12 bytes that precede it in a log.
MESSAGE_BYTES_MAX = MIB + 12

# What Java can allocate in one piece.
DECOMPRESSED_BYTES_MAX = 2**31 - 9

COMPRESSION_TYPES = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
TIMESTAMP_TYPES = ("CreateTime", "LogAppendTime")
CLEANUP_POLICIES = ("compact", "delete")
GZIP_DEFAULT_LEVEL = -1


def _topic(
    name: str,
    type: ConfigType,
    default: ConfigValue | None,
    validator: Validator | None,
    documentation: str,
    *,
    has_effect: bool = True,
    is_internal: bool = False,
    note: str = "",
) -> ConfigDefinition:
    return ConfigDefinition(
        name=name,
        type=type,
        default=default,
        importance=Importance.MEDIUM,
        documentation=documentation,
        validator=validator,
        # A topic's settings are never read from files: all of them change while the broker runs.
        update_mode=UpdateMode.CLUSTER_WIDE,
        has_effect=has_effect,
        is_internal=is_internal,
        note=note,
    )


TOPIC_DEFINITIONS = (
    _topic(
        "cleanup.policy",
        ConfigType.LIST,
        ("delete",),
        list_of(*CLEANUP_POLICIES),
        "What happens to old log segments. `delete` removes them when they pass the retention time or "
        "size. `compact` keeps the latest record of each key. Both may be given; an empty list keeps "
        "everything.",
        note="There is no compaction yet: `compact` makes keys mandatory, and keeps every record.",
    ),
    _topic(
        "compression.gzip.level",
        ConfigType.INT,
        GZIP_DEFAULT_LEVEL,
        RangeOr(1, 9, GZIP_DEFAULT_LEVEL),
        "The level used when `compression.type` is `gzip`.",
    ),
    _topic(
        "compression.lz4.level",
        ConfigType.INT,
        9,
        between(1, 17),
        "The level used when `compression.type` is `lz4`.",
    ),
    _topic(
        "compression.type",
        ConfigType.STRING,
        "producer",
        one_of(*COMPRESSION_TYPES),
        "How record batches of the topic are compressed in the log. `producer` keeps what the producer "
        "chose, `uncompressed` stores without compression, and a codec's name compresses every batch with "
        "it.",
    ),
    _topic(
        "compression.zstd.level",
        ConfigType.INT,
        3,
        between(-131072, 22),
        "The level used when `compression.type` is `zstd`.",
    ),
    _topic(
        "delete.retention.ms",
        ConfigType.LONG,
        DAY_MS,
        at_least(0),
        "How long tombstones stay in a compacted topic. A consumer that starts at offset 0 must reach the "
        "end within this time to see every deletion.",
        has_effect=False,
    ),
    _topic(
        "errors.deadletterqueue.group.enable",
        ConfigType.BOOLEAN,
        False,
        None,
        "Whether share groups may write records to the topic that they could not deliver (KIP-1191).",
        has_effect=False,
        note="There are no share groups yet.",
    ),
    _topic(
        "file.delete.delay.ms",
        ConfigType.LONG,
        60_000,
        at_least(0),
        "How long the files of a deleted segment stay on disk before they are removed.",
        has_effect=False,
    ),
    _topic(
        "flush.messages",
        ConfigType.LONG,
        LONG_MAX,
        at_least(1),
        "How many records may be written before the log is synced to the device.",
        has_effect=False,
        note="Only topics with `write.caching=true` leave records unsynced: without it every acknowledged "
        "record is synced.",
    ),
    _topic(
        "flush.ms",
        ConfigType.LONG,
        LONG_MAX,
        at_least(0),
        "How long a record may be in memory before the log is synced to the device.",
        has_effect=False,
        note="Only topics with `write.caching=true` leave records unsynced: without it every acknowledged "
        "record is synced.",
    ),
    _topic(
        "follower.replication.throttled.replicas",
        ConfigType.LIST,
        (),
        ThrottledReplicas(),
        "Replicas whose replication is throttled on the follower's side, as "
        "`[PartitionId]:[BrokerId],...`, or `*` for all of the topic.",
        has_effect=False,
    ),
    _topic(
        "index.interval.bytes",
        ConfigType.INT,
        4096,
        at_least(0),
        "How many bytes of records lie between two entries of the offset index. Smaller is more exact and "
        "makes larger indexes. The time index gets an entry only when the timestamp grew.",
    ),
    _topic(
        "internal.segment.bytes",
        ConfigType.INT,
        None,
        at_least(1),
        "The segment size without the lower bound of `segment.bytes`, for tests that need many small "
        "segments.",
        is_internal=True,
    ),
    _topic(
        "leader.replication.throttled.replicas",
        ConfigType.LIST,
        (),
        ThrottledReplicas(),
        "Replicas whose replication is throttled on the leader's side, as `[PartitionId]:[BrokerId],...`, "
        "or `*` for all of the topic.",
        has_effect=False,
    ),
    _topic(
        "local.retention.bytes",
        ConfigType.LONG,
        -2,
        at_least(-2),
        "How large the local part of a tiered partition may grow. -2 means the value of `retention.bytes`.",
        has_effect=False,
    ),
    _topic(
        "local.retention.ms",
        ConfigType.LONG,
        -2,
        at_least(-2),
        "How long the segments of a tiered partition stay on the local disk. -2 means the value of "
        "`retention.ms`.",
        has_effect=False,
    ),
    _topic(
        "max.compaction.lag.ms",
        ConfigType.LONG,
        LONG_MAX,
        at_least(1),
        "How long a record may stay uncompacted in a compacted topic at most.",
        has_effect=False,
    ),
    _topic(
        "max.decompressed.message.bytes",
        ConfigType.INT,
        DECOMPRESSED_BYTES_MAX,
        between(1, DECOMPRESSED_BYTES_MAX),
        "The largest single record that is accepted, decompressed. The default is no limit.",
        has_effect=False,
        note="Batches are opened up to 10 MiB unpacked; what they hold beyond that is not looked at.",
    ),
    _topic(
        "max.message.bytes",
        ConfigType.INT,
        MESSAGE_BYTES_MAX,
        at_least(0),
        "The largest record batch that is accepted, after compression.",
    ),
    _topic(
        "message.timestamp.after.max.ms",
        ConfigType.LONG,
        HOUR_MS,
        at_least(0),
        "How far a record's timestamp may lie after the broker's clock. Records beyond are rejected. "
        "Ignored when `message.timestamp.type` is `LogAppendTime`.",
    ),
    _topic(
        "message.timestamp.before.max.ms",
        ConfigType.LONG,
        LONG_MAX,
        at_least(0),
        "How far a record's timestamp may lie before the broker's clock. Records beyond are rejected. "
        "Ignored when `message.timestamp.type` is `LogAppendTime`.",
    ),
    _topic(
        "message.timestamp.type",
        ConfigType.STRING,
        "CreateTime",
        one_of(*TIMESTAMP_TYPES),
        "Whether a record carries the time its producer gave it or the time the broker appended it.",
    ),
    _topic(
        "min.cleanable.dirty.ratio",
        ConfigType.DOUBLE,
        0.5,
        between(0, 1),
        "The part of a compacted log that must be uncompacted before compaction is worth it. Higher means "
        "fewer, more efficient compactions and more space taken by duplicates.",
        has_effect=False,
    ),
    _topic(
        "min.compaction.lag.ms",
        ConfigType.LONG,
        0,
        at_least(0),
        "How long a record stays uncompacted in a compacted topic at least.",
        has_effect=False,
    ),
    _topic(
        "min.insync.replicas",
        ConfigType.INT,
        1,
        at_least(1),
        "How many replicas must have a record before a producer with acks=all is answered. With fewer in "
        "sync it gets NOT_ENOUGH_REPLICAS.",
    ),
    _topic(
        "preallocate",
        ConfigType.BOOLEAN,
        False,
        None,
        "Whether a new segment takes its whole space on the device when it is created.",
        has_effect=False,
    ),
    _topic(
        "remote.copy.lag.bytes",
        ConfigType.LONG,
        -1,
        at_least(-1),
        "How many bytes of newer records a segment waits for before it is copied to remote storage. -1 means "
        "the value of `local.retention.bytes`.",
        has_effect=False,
    ),
    _topic(
        "remote.copy.lag.ms",
        ConfigType.LONG,
        0,
        at_least(-1),
        "How long after its latest record a segment is copied to remote storage. -1 means the value of "
        "`local.retention.ms`.",
        has_effect=False,
    ),
    _topic(
        "remote.log.copy.disable",
        ConfigType.BOOLEAN,
        False,
        None,
        "Whether a tiered topic stops copying segments to remote storage and only reads what is there.",
        has_effect=False,
    ),
    _topic(
        "remote.log.delete.on.disable",
        ConfigType.BOOLEAN,
        False,
        None,
        "Whether remote data is deleted when tiered storage is switched off for the topic.",
        has_effect=False,
    ),
    _topic(
        "remote.storage.enable",
        ConfigType.BOOLEAN,
        False,
        None,
        "Whether closed segments are copied to remote storage.",
        has_effect=False,
        note="There is no tiered storage yet: `true` is refused with INVALID_CONFIG, as Kafka does where it "
        "is switched off.",
    ),
    _topic(
        "retention.bytes",
        ConfigType.LONG,
        -1,
        None,
        "How large a partition may grow before its oldest segments are deleted, when `cleanup.policy` has "
        "`delete`. A negative number is no limit. It counts per partition.",
    ),
    _topic(
        "retention.ms",
        ConfigType.LONG,
        7 * DAY_MS,
        at_least(-1),
        "How long records are kept before their segments are deleted, when `cleanup.policy` has `delete`. "
        "-1 is no limit.",
    ),
    _topic(
        "segment.bytes",
        ConfigType.INT,
        1024 * MIB,
        at_least(MIB),
        "The size at which a log segment is closed and the next one opened. Retention and compaction work "
        "on whole segments.",
    ),
    _topic(
        "segment.index.bytes",
        ConfigType.INT,
        10 * MIB,
        at_least(4),
        "How large the index of a segment may grow; a full index closes its segment.",
    ),
    _topic(
        "segment.jitter.ms",
        ConfigType.LONG,
        0,
        at_least(0),
        "Up to how much is taken, at random, off the time at which a segment is closed, so that not all "
        "close at once.",
    ),
    _topic(
        "segment.ms",
        ConfigType.LONG,
        7 * DAY_MS,
        at_least(1),
        "The age at which a segment is closed although it is not full, so that retention can reach it.",
    ),
    _topic(
        "unclean.leader.election.enable",
        ConfigType.BOOLEAN,
        False,
        None,
        "Whether a replica that is not in sync may lead when no other is left, which loses records.",
        has_effect=False,
        note="Consensus never elects a replica that lacks acknowledged records.",
    ),
    _topic(
        "write.caching",
        ConfigType.BOOLEAN,
        False,
        None,
        "Whether producers are answered when a majority of replicas has a record in memory. The device "
        "gets it soon after, by size and time. A crash of a majority's machines can lose what was "
        "acknowledged in that time.",
        note="Not a Kafka setting. Kafka always acknowledges from memory; here that is a choice, and the "
        "default waits for the device.",
    ),
)
