"""Intended differences between Chronik's and Apache Kafka's answers to its tools, with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """Patterns of a command and of what differs (Kafka's lines with `-`, Chronik's with `+`).

    Both match from beginning to end.
    """

    case: str
    command: str
    text: str
    reason: str


# Lines of kafka-broker-api-versions: what Kafka serves and Chronik does not. Another range is a fault.
_UNSERVED = r"(-\w+\(\d+\): \d[\d to]*,?\n?|\+\w+\(\d+\): UNSUPPORTED,?\n?)+"
_REFUSED = r"-.*\n\+UnsupportedVersionException"


def _methods(names: str, text: str, reason: str) -> Intended:
    return Intended(case="admin", command=f"Admin\\.({names})", text=text, reason=reason)


DIFFERENCES: Sequence[Intended] = (
    Intended(
        case="topics",
        command=r"kafka-topics --describe.*",
        # Whole lines, with the one setting more that Kafka shows.
        text=r"((-Topic: \S+ TopicId: .* Configs: min\.insync\.replicas=\d.*\n?)+"
        r"(\+Topic: \S+ TopicId: .* Configs:((?!min\.insync).)*\n?)+)+",
        reason="with its eligible leader replicas, Kafka keeps min.insync.replicas as a setting of the whole "
        "cluster, which every topic then shows; Raft needs none",
    ),
    Intended(
        case="topics",
        command=r"kafka-topics --create --topic topics-c --replication-factor 9",
        text=r"-.*replication factor of 9 cannot be reached.*\n\+.*factor 9 cannot be reached: .*",
        reason="the same error, in words that also say how many nodes are available",
    ),
    Intended(
        case="configs",
        command=r"kafka-configs --describe --entity-type topics --entity-name configs-t",
        text=r"-(retention\.ms=60000 .*ms=60000)\}\n\+\1, DEFAULT_CONFIG:log\.retention\.hours=168\}",
        reason="the default behind it is named, as it is for other settings",
    ),
    Intended(
        case="configs",
        command=r"kafka-configs --describe --broker 1",
        text=r"-log\.retention\.ms=null (.*)\n\+log\.retention\.ms=7200000 \1",
        reason="Kafka shows null for what it has just stored",
    ),
    Intended(
        case="configs",
        command=r"kafka-configs --describe --broker-defaults",
        text=r"-min\.insync\.replicas=\d .*",
        reason="no setting of the whole cluster is made by itself",
    ),
    Intended(
        case="configs",
        command=r"kafka-configs --describe --broker 1 --all",
        text=r"([-+](metadata\.log\.segment\.bytes|(\w+\.)+topic\.num\.partitions|"
        r"transaction\.state\.log\.num\.partitions)=.*\n?)+",
        reason="settings and defaults of its own: six partitions hold the groups, not fifty",
    ),
    Intended(
        case="configs",
        command=r"kafka-configs --describe --(user somebody|client some-client)",
        text=r"(\+.*\n)*\+Caused by: .*UnsupportedVersionException: The node does not support "
        r"DESCRIBE_CLIENT_QUOTAS\n\+exit code 1",
        reason="quotas are not served",
    ),
    Intended(
        case="cluster",
        command=r"kafka-broker-api-versions",
        text=_UNSERVED,
        reason="not served: transactions, tokens, quotas, SCRAM, reassignments, new kinds of groups",
    ),
    Intended(
        case="cluster",
        command=r"kafka-features describe",
        text=r"(-Feature: .*\n)+\+Feature: chronik\.metadata\.version .* FinalizedVersionLevel: [0-9]+ .*\n"
        r"\+Feature: metadata\.version .* FinalizedVersionLevel: 4\.4-IV2 .*",
        reason="the other features are not served; the metadata version cannot be lowered, and the metadata "
        "log has levels of its own",
    ),
    Intended(
        case="cluster",
        command=r"kafka-transactions list",
        text=r"-TransactionalId .*\n\+.*does not support LIST_TRANSACTIONS\. .*\n\+exit code 1",
        reason="transactions are not served",
    ),
    _methods(
        "alterReplicaLogDirs", _REFUSED, "a node has one data directory: there is none to move a replica to"
    ),
    _methods(
        "alterPartitionReassignments|unregisterBroker|unregisterController",
        _REFUSED,
        "replicas and nodes cannot be moved, added or removed yet",
    ),
    _methods(
        "describeFeatures",
        r"-finalized=.*\n\+finalized=\[chronik\.metadata\.version, metadata\.version\] "
        r"supported=\[chronik\.metadata\.version, metadata\.version\]",
        "the other features are not served; the metadata log has levels of its own",
    ),
    _methods("describeClientQuotas|alterClientQuotas", _REFUSED, "quotas are not served"),
    _methods(
        "(create|renew|expire|describe)DelegationToken|(describe|alter)UserScramCredentials",
        _REFUSED,
        "there is no authentication yet",
    ),
    _methods(
        "(list|describe|abort|forceTerminate)Transactions?|fenceProducers",
        _REFUSED,
        "transactions are not served",
    ),
    _methods(
        "describeShareGroups|(list|alter|delete)ShareGroupOffsets|describeStreamsGroups",
        _REFUSED,
        "share groups and streams groups are not served",
    ),
    _methods(
        "deleteShareGroups|deleteStreamsGroups",
        r"-done\n\+GroupIdNotFoundException",
        "a group without members and offsets is gone at once; Kafka keeps it until its next cleanup",
    ),
)
