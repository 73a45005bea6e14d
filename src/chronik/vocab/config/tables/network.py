"""Listeners, connections and limits on the memory that one client may make the node hold
(org.apache.kafka.network.SocketServerConfigs).
"""

from chronik.vocab.config.definition import ConfigType
from chronik.vocab.config.tables.broker import DYNAMIC, HIGH, LOW, define
from chronik.vocab.config.tables.topic import MIB
from chronik.vocab.config.validators import AddressCounts, at_least, list_of
from chronik.vocab.config.values import INT_MAX

REQUEST_BYTES_MAX = 100 * MIB

NETWORK_DEFINITIONS = (
    define(
        "advertised.listeners",
        ConfigType.LIST,
        None,
        "The addresses that clients are told to connect to, as `NAME://host:port`, one for each listener "
        "name. Unset means: a listener's own host where it names one; for `0.0.0.0`, `::` and an empty "
        "host the address that this machine would send from (see Listeners). Port 0 is the port that was "
        "bound.",
        importance=HIGH,
        validator=list_of(may_be_empty=False),
    ),
    define(
        "connections.max.idle.ms",
        ConfigType.LONG,
        600_000,
        "How long a connection may be silent before it is closed.",
    ),
    define(
        "controller.listener.names",
        ConfigType.LIST,
        None,
        "Names of listeners that serve the controller. They are not opened: the controller is reached "
        "through every listener.",
        importance=HIGH,
        validator=list_of(),
        note="Here so that a configuration written for Kafka works.",
    ),
    define(
        "fetch.max.bytes",
        ConfigType.INT,
        55 * MIB,
        "The most bytes of records in one Fetch response. A single larger batch still comes whole.",
        validator=at_least(1024),
    ),
    define(
        "listener.security.protocol.map",
        ConfigType.STRING,
        "PLAINTEXT:PLAINTEXT",
        "The security protocol of each listener name, as `NAME:PROTOCOL,...`. A name that is not listed is "
        "PLAINTEXT.",
        importance=LOW,
        kafka_default="SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        note="PLAINTEXT is the only protocol so far; a listener with another one is refused.",
    ),
    define(
        "listeners",
        ConfigType.LIST,
        ("PLAINTEXT://localhost:9092",),
        "The addresses to listen on, as `NAME://host:port`. An empty host or `0.0.0.0` is every interface, "
        "an IPv6 address stands in brackets, and port 0 is a free port.",
        importance=HIGH,
        validator=list_of(may_be_empty=False),
        kafka_default=("PLAINTEXT://:9092",),
        note="Without authentication, only this machine is served unless somebody asks for more.",
    ),
    define(
        "max.connections",
        ConfigType.INT,
        10_000,
        "The most connections at a time. Further ones are closed at once.",
        validator=at_least(0),
        update_mode=DYNAMIC,
        kafka_default=INT_MAX,
        note="Memory is bounded. The limit on open files, if it is lower, is met first.",
    ),
    define(
        "max.connections.per.ip",
        ConfigType.INT,
        INT_MAX,
        "The most connections at a time from one address. Further ones are closed at once.",
        validator=at_least(0),
        update_mode=DYNAMIC,
    ),
    define(
        "max.incremental.fetch.session.cache.slots",
        ConfigType.INT,
        1000,
        "The most incremental fetch sessions (KIP-227) that are kept. Fetchers without a session send "
        "their partitions every time.",
        validator=at_least(0),
    ),
    define(
        "max.request.partition.size.limit",
        ConfigType.INT,
        2000,
        "The most partitions that one DescribeTopicPartitions response lists.",
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "message.max.bytes",
        ConfigType.INT,
        MIB + 12,
        "The largest record batch that is accepted, after compression, by topics that do not set "
        "`max.message.bytes`.",
        importance=HIGH,
        validator=at_least(0),
        update_mode=DYNAMIC,
    ),
    define(
        "queued.max.request.bytes",
        ConfigType.LONG,
        256 * MIB,
        "The most bytes of incomplete requests, over all connections. Above it the connection whose "
        "request has been incomplete longest is closed.",
        validator=at_least(MIB),
        kafka_default=-1,
        note="Memory is always bounded; two of the largest requests fit.",
    ),
    define(
        "queued.max.response.bytes",
        ConfigType.LONG,
        128 * MIB,
        "The most bytes of responses that clients have not read yet, over all connections. Above it Fetch "
        "answers without records until some are read.",
        validator=at_least(MIB),
        note="Not a Kafka setting. Two of the largest Fetch responses fit.",
    ),
    define(
        "socket.listen.backlog.size",
        ConfigType.INT,
        50,
        "How many connections may wait to be accepted.",
        validator=at_least(1),
        has_effect=False,
    ),
    define(
        "socket.receive.buffer.bytes",
        ConfigType.INT,
        -1,
        "The size of a connection's receive buffer in the kernel (SO_RCVBUF). -1 leaves it to the system.",
        importance=HIGH,
        validator=at_least(-1),
        kafka_default=100 * 1024,
        note="A fixed size switches off the tuning that Linux and macOS do by themselves.",
    ),
    define(
        "socket.request.max.bytes",
        ConfigType.INT,
        REQUEST_BYTES_MAX,
        "The largest request. A connection that announces a larger one is closed before it is read.",
        importance=HIGH,
        validator=at_least(1),
    ),
    define(
        "socket.send.buffer.bytes",
        ConfigType.INT,
        -1,
        "The size of a connection's send buffer in the kernel (SO_SNDBUF). -1 leaves it to the system.",
        importance=HIGH,
        validator=at_least(-1),
        kafka_default=100 * 1024,
        note="A fixed size switches off the tuning that Linux and macOS do by themselves.",
    ),
    define(
        "inter.broker.listener.name",
        ConfigType.STRING,
        None,
        "The name of the listener that brokers use among themselves.",
        has_effect=False,
        note="Nodes talk to each other on connections of their own.",
    ),
    define(
        "max.connection.creation.rate",
        ConfigType.INT,
        INT_MAX,
        "The most new connections per second.",
        validator=at_least(0),
        update_mode=DYNAMIC,
        has_effect=False,
    ),
    define(
        "max.connections.per.ip.overrides",
        ConfigType.STRING,
        "",
        "Limits for single addresses in place of `max.connections.per.ip`, as `address:count,...`.",
        validator=AddressCounts(),
        update_mode=DYNAMIC,
        has_effect=False,
    ),
    define(
        "num.io.threads",
        ConfigType.INT,
        8,
        "The number of threads that serve requests.",
        importance=HIGH,
        validator=at_least(1),
        update_mode=DYNAMIC,
        has_effect=False,
        note="One event loop serves all requests.",
    ),
    define(
        "num.network.threads",
        ConfigType.INT,
        3,
        "The number of threads that read requests and write responses.",
        importance=HIGH,
        validator=at_least(1),
        update_mode=DYNAMIC,
        has_effect=False,
        note="One event loop serves all connections.",
    ),
    define(
        "queued.max.requests",
        ConfigType.INT,
        500,
        "The number of requests that may wait for a thread.",
        importance=HIGH,
        validator=at_least(1),
        has_effect=False,
        note="Requests do not queue: a connection is read on when its request is answered.",
    ),
    define(
        "request.timeout.ms",
        ConfigType.INT,
        30_000,
        "How long the broker waits for the answer to a request of its own.",
        importance=HIGH,
        validator=at_least(0),
        has_effect=False,
    ),
)
