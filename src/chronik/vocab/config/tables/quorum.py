"""The nodes of the cluster, and the timeouts after which they take each other for lost
(org.apache.kafka.raft.QuorumConfig, KRaftConfigs).
"""

from chronik.vocab.config.definition import ConfigType
from chronik.vocab.config.tables.broker import HIGH, LOW, define
from chronik.vocab.config.tables.topic import MIB
from chronik.vocab.config.validators import at_least, list_of

QUORUM_DEFINITIONS = (
    define(
        "controller.quorum.voters",
        ConfigType.LIST,
        (),
        "All nodes of the cluster, this one included, as `id@host:port,...`: where they reach each other. "
        "The same on every node. Empty means: the node is its own cluster.",
        importance=HIGH,
        validator=list_of(),
        note="Every node votes on metadata and holds partitions; none does only one of both.",
    ),
    define(
        "controller.quorum.election.timeout.ms",
        ConfigType.INT,
        1000,
        "How long a node may be silent before the others take it for lost and elect new leaders. One whose "
        "process has died is found at once, by its closed connection.",
        importance=HIGH,
        validator=at_least(1),
    ),
    define(
        "raft.address",
        ConfigType.STRING,
        None,
        "Host and port on which to listen for the other nodes. Unset means: the first listener that "
        "`controller.listener.names` names, else this node's own entry in `controller.quorum.voters`. Port 0 "
        "takes a free one.",
        importance=HIGH,
        note="Not a Kafka setting.",
    ),
    define(
        "raft.secret",
        ConfigType.PASSWORD,
        None,
        "What nodes prove to each other that they know before they are let in, without sending it: a text of "
        "16 characters at least, the same on all nodes. Required where `raft.address` is not on the loopback "
        "interface. `chronik cluster start` makes one. It does not encrypt what nodes say.",
        importance=HIGH,
        note="Not a Kafka setting.",
    ),
    define(
        "raft.secret.file",
        ConfigType.STRING,
        None,
        "A file with the secret, where `raft.secret` is unset. White space around it does not count.",
        importance=HIGH,
        note="Not a Kafka setting.",
    ),
    define(
        "raft.heartbeat.interval.ms",
        ConfigType.INT,
        150,
        "How often nodes tell each other that they are alive. Three of them must fit into "
        "`controller.quorum.election.timeout.ms`.",
        validator=at_least(1),
        note="Not a Kafka setting.",
    ),
    define(
        "raft.tick.ms",
        ConfigType.INT,
        20,
        "The step in which consensus measures time. All its timeouts are rounded to it.",
        importance=LOW,
        validator=at_least(1),
        note="Not a Kafka setting.",
    ),
    define(
        "broker.session.timeout.ms",
        ConfigType.INT,
        3000,
        "How long a node that is lost stays among the brokers that clients are told of.",
        validator=at_least(1),
        kafka_default=9000,
        note="Its partitions have other leaders long before, so clients have no use for it.",
    ),
    define(
        "metadata.log.max.record.bytes.between.snapshots",
        ConfigType.LONG,
        20 * MIB,
        "How many bytes of metadata are written between two snapshots.",
        importance=HIGH,
        validator=at_least(1),
    ),
)
