"""The node's identity, its data directory and its monitoring: mostly settings of our own."""

from chronik.vocab.config.definition import ConfigType
from chronik.vocab.config.tables.broker import HIGH, LOW, define
from chronik.vocab.config.validators import NotEmpty, at_least, list_of, one_of

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
DATA_DIR = "./chronik-data"
NODE_ID = 1

NODE_DEFINITIONS = (
    define(
        "broker.id",
        ConfigType.INT,
        NODE_ID,
        "The older name of `node.id`; always has the same value.",
        importance=HIGH,
        validator=at_least(0),
        kafka_default=-1,
        note="In Kafka -1 means the value of `node.id`.",
    ),
    define(
        "broker.rack",
        ConfigType.STRING,
        None,
        "The rack or zone the node stands in, for clients that prefer a near replica.",
    ),
    define(
        "cluster.id",
        ConfigType.STRING,
        None,
        "The id of the cluster the node belongs to. Unset means: what its data directory says; in a new "
        "directory an id derived from `controller.quorum.voters`, or without those a random one. A data "
        "directory of another cluster is refused.",
        validator=NotEmpty(),
        note="Not a Kafka setting: Kafka's is written when its storage is formatted.",
    ),
    define(
        "data.dir",
        ConfigType.STRING,
        DATA_DIR,
        "The directory that holds everything the node keeps. `--data-dir` sets it.",
        importance=HIGH,
        validator=NotEmpty(),
        note="Not a Kafka setting.",
    ),
    define(
        "http.address",
        ConfigType.STRING,
        "localhost:9101",
        "Host and port of `/metrics`, `/health/live` and `/health/ready`. Port 0 takes a free one; "
        "`off` switches HTTP off.",
        importance=HIGH,
        note="Not a Kafka setting.",
    ),
    define(
        "log.dir",
        ConfigType.STRING,
        DATA_DIR,
        "Kafka's name for `data.dir`; always has the same value.",
        importance=HIGH,
        validator=NotEmpty(),
        kafka_default="/tmp/kafka-logs",
        note="A directory for temporary files is no place for records.",
    ),
    define(
        "log.dirs",
        ConfigType.LIST,
        (DATA_DIR,),
        "Kafka's other name for `data.dir`; always has the same value.",
        importance=HIGH,
        validator=list_of(may_be_empty=False),
        kafka_default=None,
        note="One directory: several are refused.",
    ),
    define(
        "log.format",
        ConfigType.STRING,
        "text",
        "How the node's own log lines are written: `text` for people, `json` for machines.",
        importance=LOW,
        validator=one_of(*LOG_FORMATS),
        note="Not a Kafka setting.",
    ),
    define(
        "log.level",
        ConfigType.STRING,
        "info",
        "The least severe of the node's own log lines that is written.",
        importance=LOW,
        validator=one_of(*LOG_LEVELS),
        note="Not a Kafka setting.",
    ),
    define(
        "node.id",
        ConfigType.INT,
        NODE_ID,
        "The node's number, unique in its cluster. It is written into the data directory on the first "
        "start and must not change.",
        importance=HIGH,
        validator=at_least(0),
        kafka_default=None,
        note="Kafka has no default.",
    ),
)
