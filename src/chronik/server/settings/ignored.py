"""Names that configurations written for Kafka have and that mean nothing here, and those that must not be
ignored.
"""

# Variables of Kafka's images, by their beginning.
_IMAGE_VARIABLES = (
    "KAFKA_CFG_",
    "KAFKA_CLASSPATH",
    "KAFKA_CREATE_TOPICS",
    "KAFKA_DEBUG",
    "KAFKA_ENABLE_KRAFT",
    "KAFKA_EXTRA_ARGS",
    "KAFKA_GC_LOG",
    "KAFKA_HEAP_OPTS",
    "KAFKA_HOME",
    "KAFKA_JMX_",
    "KAFKA_JVM_",
    "KAFKA_KRAFT_",
    "KAFKA_LOG4J",
    "KAFKA_MODE",
    "KAFKA_OPTS",
    "KAFKA_TOOLS_LOG4J",
    "KAFKA_VERSION",
)

# Kafka's own settings that are about its controllers, its storage or its metrics.
_OTHER_ARCHITECTURE = (
    "KAFKA_CONFLUENT_",
    "KAFKA_CONTROLLER_",
    "KAFKA_EARLY_START_LISTENERS",
    "KAFKA_GROUP_CONSUMER_",
    "KAFKA_GROUP_SHARE_",
    "KAFKA_GROUP_STREAMS_",
    "KAFKA_INITIAL_BROKER_REGISTRATION_",
    "KAFKA_INTER_BROKER_",
    "KAFKA_METADATA_",
    "KAFKA_METRIC",
    "KAFKA_PROCESS_ROLES",
    "KAFKA_QUORUM_",
    "KAFKA_REMOTE_LOG_",
    "KAFKA_REPLICA_",
    "KAFKA_SHARE_",
    "KAFKA_ZOOKEEPER",
)

# What applications call the address of their Kafka and the like; they often share an environment with a
# broker.
_CLIENT_VARIABLES = (
    "KAFKA_ADMIN_",
    "KAFKA_API_",
    "KAFKA_BOOTSTRAP",
    "KAFKA_BROKER",
    "KAFKA_CLIENT",
    "KAFKA_CONNECT_",
    "KAFKA_CONSUMER",
    "KAFKA_GROUP_ID",
    "KAFKA_HOST",
    "KAFKA_PASSWORD",
    "KAFKA_PORT",
    "KAFKA_PRODUCER",
    "KAFKA_REST_",
    "KAFKA_SCHEMA_REGISTRY",
    "KAFKA_SASL_MECHANISM",
    "KAFKA_SASL_PASSWORD",
    "KAFKA_SASL_USERNAME",
    "KAFKA_SECURITY_PROTOCOL",
    "KAFKA_SERVER",
    "KAFKA_TEST_",
    "KAFKA_TOPIC",
    "KAFKA_URL",
    "KAFKA_USERNAME",
)

# The id that Kafka's image formats a new directory with. Obeying it would refuse a directory that has
# another.
_CLUSTER_ID = "KAFKA_CLUSTER_ID"

_IGNORED = (
    (_IMAGE_VARIABLES, "it is for Kafka's image"),
    (_OTHER_ARCHITECTURE, "it configures a part of Kafka that does not exist here"),
    (_CLIENT_VARIABLES, "it is for clients"),
)

# To start without these would leave open what the operator meant to close.
_SECURITY_SETTINGS = (
    "authorizer.",
    "delegation.token.",
    "listener.name.",
    "password.encoder.",
    "principal.builder.",
    "sasl.",
    "security.",
    "ssl.",
    "super.users",
)


def ignored_reason(variable: str, *, is_setting: bool) -> str | None:
    """Returns the reason why a variable is ignored; None when it is not.

    `is_setting`: whether it names a setting of ours.
    """
    if variable == _CLUSTER_ID:
        return "it is for formatting Kafka's storage; the setting cluster.id demands a cluster"
    if is_setting:
        return None
    return next((reason for prefixes, reason in _IGNORED if variable.startswith(prefixes)), None)


def refused_reason(name: str) -> str | None:
    """Returns the reason why a setting of Kafka's is refused rather than unknown; None when it is just
    unknown.
    """
    if name.startswith(_SECURITY_SETTINGS):
        return "TLS, SASL and authorization are not available yet"
    return None
