"""ApiVersions (18), DescribeCluster (60), DescribeQuorum (55), DescribeLogDirs (35), ACLs and SASL."""

from typing import Any

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Session

# ApiVersions


@scenario((0, 1, 2, 3, 4, 5))
def api_versions(s: Session, version: int) -> None:
    fields = {"client_software_name": "parity", "client_software_version": "1"}
    s.ask(ApiKey.API_VERSIONS, version, fields, hide={"finalized_features_epoch"})


@scenario((6, 99, -1))
def an_unknown_version_of_api_versions(s: Session, version: int) -> None:
    s.ask_raw(ApiKey.API_VERSIONS, version, b"", "nothing")


@scenario({"empty": "", "space": "a b", "slash": "a/b", "a dash at the end": "a-"}, (3, 5))
def a_client_software_name(s: Session, name: str, version: int) -> None:
    fields = {"client_software_name": name, "client_software_version": "1"}
    s.ask(ApiKey.API_VERSIONS, version, fields, hide={"finalized_features_epoch", "api_keys"})


@scenario((3, 5))
def an_empty_client_software_version(s: Session, version: int) -> None:
    fields = {"client_software_name": "parity", "client_software_version": ""}
    s.ask(ApiKey.API_VERSIONS, version, fields)


@scenario({"another": "another-cluster"})
def api_versions_for_a_cluster(s: Session, cluster_id: str) -> None:
    fields = {"client_software_name": "parity", "client_software_version": "1", "cluster_id": cluster_id}
    s.ask(ApiKey.API_VERSIONS, 5, fields, hide={"finalized_features_epoch", "api_keys"})


@scenario({"another": 99})
def api_versions_for_a_node(s: Session, node: int) -> None:
    fields = {"client_software_name": "parity", "client_software_version": "1", "node_id": node}
    s.ask(ApiKey.API_VERSIONS, 5, fields, hide={"finalized_features_epoch", "api_keys"})


# DescribeCluster


@scenario((0, 1, 2))
def describing_the_cluster(s: Session, version: int) -> None:
    s.ask(ApiKey.DESCRIBE_CLUSTER, version)


@scenario((0, 2))
def describing_the_cluster_with_operations(s: Session, version: int) -> None:
    s.ask(ApiKey.DESCRIBE_CLUSTER, version, {"include_cluster_authorized_operations": True})


@scenario((1, 2), {"controllers": 2, "0": 0, "9": 9, "-1": -1})
def describing_endpoints_of_type(s: Session, version: int, endpoint_type: int) -> None:
    s.ask(ApiKey.DESCRIBE_CLUSTER, version, {"endpoint_type": endpoint_type})


@scenario((2,))
def describing_fenced_brokers_too(s: Session, version: int) -> None:
    s.ask(ApiKey.DESCRIBE_CLUSTER, version, {"include_fenced_brokers": True})


# DescribeQuorum

QUORUM_HIDDEN = frozenset({"high_watermark", "log_end_offset", "leader_epoch"})


@scenario((0, 1, 2))
def describing_the_quorum(s: Session, version: int) -> None:
    topics = [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}]
    s.ask(ApiKey.DESCRIBE_QUORUM, version, {"topics": topics}, hide=QUORUM_HIDDEN)


@scenario((0, 2), {"another topic": ("orders", 0), "another partition": ("__cluster_metadata", 1)})
def describing_the_quorum_of(s: Session, version: int, case: tuple[str, int]) -> None:
    topics = [{"topic_name": case[0], "partitions": [{"partition_index": case[1]}]}]
    s.ask(ApiKey.DESCRIBE_QUORUM, version, {"topics": topics}, hide=QUORUM_HIDDEN)


@scenario((0, 2))
def describing_no_quorum(s: Session, version: int) -> None:
    s.ask(ApiKey.DESCRIBE_QUORUM, version, {"topics": []})


# DescribeLogDirs


@scenario((1, 2, 3, 4, 5))
def log_directories(s: Session, version: int) -> None:
    topic = s.topic(partitions=2)
    s.produce(topic, b"one")
    s.ask(ApiKey.DESCRIBE_LOG_DIRS, version, {"topics": [{"topic": topic, "partitions": [0, 1]}]})


@scenario((1, 5))
def log_directories_of_all_topics(s: Session, version: int) -> None:
    s.topic()
    s.ask(ApiKey.DESCRIBE_LOG_DIRS, version, {"topics": None})


@scenario((1, 5))
def log_directories_of_no_topics(s: Session, version: int) -> None:
    s.topic()
    s.ask(ApiKey.DESCRIBE_LOG_DIRS, version, {"topics": []})


@scenario((1, 5))
def log_directories_of_an_unknown_topic(s: Session, version: int) -> None:
    s.ask(ApiKey.DESCRIBE_LOG_DIRS, version, {"topics": [{"topic": s.name("missing"), "partitions": [0]}]})


@scenario((1, 5), {"7": [7], "-1": [-1], "none": [], "twice": [0, 0]})
def log_directories_of_partitions(s: Session, version: int, partitions: list[int]) -> None:
    s.ask(ApiKey.DESCRIBE_LOG_DIRS, version, {"topics": [{"topic": s.topic(), "partitions": partitions}]})


# Without an authorizer and without SASL

FILTER: dict[str, Any] = {
    "resource_type_filter": 1,
    "pattern_type_filter": 1,
    "operation": 1,
    "permission_type": 1,
}


@scenario((1, 3))
def describing_acls(s: Session, version: int) -> None:
    s.ask(
        ApiKey.DESCRIBE_ACLS,
        version,
        {**FILTER, "resource_name_filter": None, "principal_filter": None, "host_filter": None},
    )


@scenario((1, 3))
def creating_acls(s: Session, version: int) -> None:
    creation = {
        "resource_type": 2,
        "resource_name": "orders",
        "resource_pattern_type": 3,
        "principal": "User:alice",
        "host": "*",
        "operation": 3,
        "permission_type": 3,
    }
    s.ask(ApiKey.CREATE_ACLS, version, {"creations": [creation]})


@scenario((1, 3))
def deleting_acls(s: Session, version: int) -> None:
    wanted = {**FILTER, "resource_name_filter": None, "principal_filter": None, "host_filter": None}
    s.ask(ApiKey.DELETE_ACLS, version, {"filters": [wanted]})


@scenario((0, 1), {"PLAIN": "PLAIN", "unknown": "NONE"})
def a_sasl_handshake(s: Session, version: int, mechanism: str) -> None:
    s.ask(ApiKey.SASL_HANDSHAKE, version, {"mechanism": mechanism})


@scenario((0, 2))
def authenticating_without_sasl(s: Session, version: int) -> None:
    s.ask(ApiKey.SASL_AUTHENTICATE, version, {"auth_bytes": b"\0alice\0secret"})


@scenario((0,), {"all": None, "none": []})
def listing_reassignments(s: Session, version: int, topics: list[Any] | None) -> None:
    s.topic()
    s.ask(ApiKey.LIST_PARTITION_REASSIGNMENTS, version, {"topics": topics, "timeout_ms": 10_000})


@scenario((0,), {"known": True, "unknown": False})
def listing_reassignments_of_a_topic(s: Session, version: int, is_known: bool) -> None:
    name = s.topic() if is_known else s.name("missing")
    topics = [{"name": name, "partition_indexes": [0]}]
    s.ask(ApiKey.LIST_PARTITION_REASSIGNMENTS, version, {"topics": topics, "timeout_ms": 10_000})


@scenario((0, 2), {"unknown": ("odd", 1), "the metadata version": ("metadata.version", 1), "none": None})
def updating_features(s: Session, version: int, case: tuple[str, int] | None) -> None:
    updates = [{"feature": case[0], "max_version_level": case[1], "upgrade_type": 1}] if case else []
    s.ask(
        ApiKey.UPDATE_FEATURES,
        version,
        {"feature_updates": updates, "validate_only": True, "timeout_ms": 10_000}
        if version
        else {"feature_updates": [{"feature": "odd", "max_version_level": 1}] if case else []},
    )
