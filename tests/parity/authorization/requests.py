"""The requests of the conversations, each at one end of the range of its versions."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from chronik.wire.apis import ApiKey
from tests.parity import records
from tests.parity.codec import Values
from tests.parity.session import Session

NOBODYS_ID = UUID(int=0xBAD)

_TOPIC, _BROKER, _LOGGER, _METRICS, _GROUP = 2, 4, 8, 16, 32
# What depends on the broker's version and settings.
_HIDDEN = frozenset({"api_keys", "supported_features", "finalized_features", "finalized_features_epoch"})


class Requests:
    """What is asked of one broker at one end of the ranges of versions."""

    def __init__(self, s: Session, pick: Callable[[ApiKey], int], ids: dict[str, UUID]) -> None:
        self._s = s
        self._pick = pick
        self._ids = ids

    def ask(self, api_key: ApiKey, fields: Values | None = None, *, hide: Iterable[str] = ()) -> None:
        self._s.ask(api_key, self._pick(api_key), fields or {}, hide=frozenset(hide))

    # Of the data.

    def produce(self, *bases: str, acks: int = -1, transactional_id: str | None = None) -> None:
        is_transactional = transactional_id is not None
        data = records.batch(
            b"x",
            timestamp=self._s.at(),
            is_transactional=is_transactional,
            producer_id=7 if is_transactional else -1,
            producer_epoch=0 if is_transactional else -1,
            base_sequence=0 if is_transactional else -1,
        )
        topics = [
            {**self._topic(base), "partition_data": [{"index": 0, "records": data}]}
            for base in self._known(ApiKey.PRODUCE, 13, bases)
        ]
        name = None if transactional_id is None else self._s.name(transactional_id)
        fields = {"acks": acks, "timeout_ms": 30_000, "transactional_id": name, "topic_data": topics}
        self.ask(ApiKey.PRODUCE, fields)

    def fetch(self, *bases: str, replica_id: int = -1) -> None:
        topics = [
            {
                "topic": self._s.name(base),
                "topic_id": self._id(base),
                "partitions": [{"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1 << 20}],
            }
            for base in bases
        ]
        self.ask(
            ApiKey.FETCH,
            {
                "replica_id": replica_id,
                "replica_state": {"replica_id": replica_id, "replica_epoch": -1},
                "max_wait_ms": 0,
                "min_bytes": 1,
                "max_bytes": 1 << 20,
                "session_epoch": -1,
                "topics": topics,
            },
        )

    def list_offsets(self, *bases: str) -> None:
        wanted = [{"partition_index": 0, "timestamp": -1}]
        topics = [{"name": self._s.name(base), "partitions": wanted} for base in bases]
        self.ask(ApiKey.LIST_OFFSETS, {"replica_id": -1, "topics": topics})

    def epoch_ends(self, *bases: str) -> None:
        wanted = [{"partition": 0, "leader_epoch": self._s.epoch()}]
        topics = [{"topic": self._s.name(base), "partitions": wanted} for base in bases]
        self.ask(
            ApiKey.OFFSET_FOR_LEADER_EPOCH,
            {"replica_id": -1, "topics": topics},
            hide={"end_offset", "leader_epoch"},
        )

    def describe_producers(self, *bases: str) -> None:
        topics = [{"name": self._s.name(base), "partition_indexes": [0]} for base in bases]
        self.ask(
            ApiKey.DESCRIBE_PRODUCERS, {"topics": [*topics, {"name": "not a name", "partition_indexes": [0]}]}
        )

    def delete_records(self, *bases: str) -> None:
        wanted = [{"partition_index": 0, "offset": 1}]
        topics = [{"name": self._s.name(base), "partitions": wanted} for base in bases]
        self.ask(ApiKey.DELETE_RECORDS, {"topics": topics, "timeout_ms": 30_000})

    # Of topics.

    def metadata(self, *bases: str, creates: bool = False) -> None:
        topics = [{"name": self._s.name(base)} for base in bases]
        self.ask(ApiKey.METADATA, self._metadata_fields(topics, creates))

    def metadata_of_all(self) -> None:
        self.ask(
            ApiKey.METADATA, self._metadata_fields(None if self._pick(ApiKey.METADATA) else [], creates=False)
        )

    def metadata_by_id(self, *bases: str) -> None:
        if self._pick(ApiKey.METADATA) >= 12:
            topics = [{"name": None, "topic_id": self._id(base)} for base in bases]
            self.ask(ApiKey.METADATA, self._metadata_fields(topics, creates=False))

    def _metadata_fields(self, topics: Any, creates: bool) -> Values:
        fields = {
            "topics": topics,
            "allow_auto_topic_creation": creates,
            "include_topic_authorized_operations": True,
        }
        return {**fields, "include_cluster_authorized_operations": True}

    def topic_partitions(self, *bases: str) -> None:
        topics = [{"name": self._s.name(base)} for base in bases]
        self.ask(
            ApiKey.DESCRIBE_TOPIC_PARTITIONS,
            {"topics": topics, "response_partition_limit": 100},
            hide={"eligible_leader_replicas", "last_known_elr"},
        )

    def create_topics(self, *bases: str) -> None:
        topics = [
            {"name": self._s.name(base), "num_partitions": 1, "replication_factor": 1} for base in bases
        ]
        twice = {"name": self._s.name("twice"), "num_partitions": 1, "replication_factor": 1}
        self.ask(
            ApiKey.CREATE_TOPICS, {"topics": [*topics, twice, twice], "timeout_ms": 30_000}, hide={"configs"}
        )

    def delete_topics(self, *bases: str) -> None:
        names = [self._s.name(base) for base in bases]
        twice = self._s.name("twice")
        topics = [{"name": name} for name in (*names, twice, twice)]
        self.ask(
            ApiKey.DELETE_TOPICS,
            {"topic_names": [*names, twice, twice], "topics": topics, "timeout_ms": 30_000},
        )

    def delete_topics_by_id(self, *bases: str) -> None:
        if self._pick(ApiKey.DELETE_TOPICS) >= 6:
            topics = [{"name": None, "topic_id": self._id(base)} for base in bases]
            self.ask(ApiKey.DELETE_TOPICS, {"topics": topics, "timeout_ms": 30_000})

    def create_partitions(self, *bases: str) -> None:
        topics = [{"name": self._s.name(base), "count": 2} for base in bases]
        twice = {"name": self._s.name("twice"), "count": 2}
        self.ask(ApiKey.CREATE_PARTITIONS, {"topics": [*topics, twice, twice], "timeout_ms": 30_000})

    def elect_leaders(self, *bases: str) -> None:
        topics = [{"topic": self._s.name(base), "partitions": [0]} for base in bases]
        self.ask(ApiKey.ELECT_LEADERS, {"topic_partitions": topics, "timeout_ms": 10_000})

    def describe_log_dirs(self, *bases: str) -> None:
        topics = [{"topic": self._s.name(base), "partitions": [0]} for base in bases]
        self.ask(ApiKey.DESCRIBE_LOG_DIRS, {"topics": topics})

    # Of groups.

    def find_coordinator(self, key_type: int, *bases: str) -> None:
        names = [self._s.name(base) for base in bases]
        for name in names if self._pick(ApiKey.FIND_COORDINATOR) < 4 else names[:1]:
            fields = {"key": name, "key_type": key_type, "coordinator_keys": names}
            self.ask(ApiKey.FIND_COORDINATOR, fields)

    def of_members(self, base: str) -> None:
        """The requests of a group's members: all or nothing."""
        group, member = self._s.name(base), "somebody"
        protocols = [{"name": "range", "metadata": b""}]
        join = {
            "group_id": group,
            "session_timeout_ms": 10_000,
            "rebalance_timeout_ms": 10_000,
            "member_id": "",
        }
        self.ask(ApiKey.JOIN_GROUP, {**join, "protocol_type": "consumer", "protocols": protocols})
        of_member = {"group_id": group, "generation_id": 1, "member_id": member}
        self.ask(ApiKey.SYNC_GROUP, {**of_member, "protocol_type": "consumer", "protocol_name": "range"})
        self.ask(ApiKey.HEARTBEAT, of_member)
        members = [{"member_id": member, "group_instance_id": None}]
        self.ask(ApiKey.LEAVE_GROUP, {"group_id": group, "member_id": member, "members": members})

    def offset_commit(self, group: str, *bases: str) -> None:
        offsets = [{"partition_index": 0, "committed_offset": 1, "committed_metadata": ""}]
        topics = [
            {**self._topic(base), "partitions": offsets}
            for base in self._known(ApiKey.OFFSET_COMMIT, 10, bases)
        ]
        of_nobody = {"generation_id_or_member_epoch": -1, "member_id": "", "retention_time_ms": -1}
        self.ask(ApiKey.OFFSET_COMMIT, {"group_id": self._s.name(group), **of_nobody, "topics": topics})

    def offset_fetch(self, groups: Iterable[str], bases: Iterable[str] | None) -> None:
        version = self._pick(ApiKey.OFFSET_FETCH)
        topics: list[dict[str, Any]] | None = None
        if bases is not None:
            known = self._known(ApiKey.OFFSET_FETCH, 10, bases)
            topics = [{"name": self._s.name(base), "partition_indexes": [0]} for base in known]
            if version >= 8:
                topics = [
                    {**topic, "topic_id": self._id(base)} for topic, base in zip(topics, known, strict=True)
                ]
        names = [self._s.name(group) for group in groups]
        if version >= 8:
            self.ask(
                ApiKey.OFFSET_FETCH, {"groups": [{"group_id": name, "topics": topics} for name in names]}
            )
        elif topics is not None:
            for name in names:
                self.ask(ApiKey.OFFSET_FETCH, {"group_id": name, "topics": topics})

    def offset_delete(self, group: str, *bases: str) -> None:
        topics = [{"name": self._s.name(base), "partitions": [{"partition_index": 0}]} for base in bases]
        self.ask(ApiKey.OFFSET_DELETE, {"group_id": self._s.name(group), "topics": topics})

    def describe_groups(self, *bases: str) -> None:
        groups = [self._s.name(base) for base in bases]
        self.ask(ApiKey.DESCRIBE_GROUPS, {"groups": groups, "include_authorized_operations": True})

    def list_groups(self) -> None:
        self.ask(ApiKey.LIST_GROUPS)

    def delete_groups(self, *bases: str) -> None:
        self.ask(ApiKey.DELETE_GROUPS, {"groups_names": [self._s.name(base) for base in bases]})

    def init_producer_id(self, transactional_id: str | None = None) -> None:
        name = None if transactional_id is None else self._s.name(transactional_id)
        self.ask(ApiKey.INIT_PRODUCER_ID, {"transactional_id": name, "transaction_timeout_ms": 60_000})

    # Of settings.

    def describe_configs(self, *bases: str) -> None:
        resources = [*self._resources(bases), self._resource(_BROKER, "1"), self._resource(_LOGGER, "1")]
        keys = ["cleanup.policy", "consumer.session.timeout.ms", "num.partitions", "metrics"]
        self.ask(
            ApiKey.DESCRIBE_CONFIGS,
            {"resources": [{**each, "configuration_keys": keys} for each in resources]},
            hide={
                "config_source",
                "config_type",
                "is_sensitive",
                "value",
                "documentation",
                "synonyms",
                "read_only",
            },
        )

    def alter_configs(self, *bases: str) -> None:
        settings = {_TOPIC: ("retention.ms", "1000000"), _GROUP: ("consumer.session.timeout.ms", "50000")}
        others = {_BROKER: ("log.cleaner.threads", "2"), _METRICS: ("interval.ms", "1000")}
        resources = []
        for each in (*self._resources(bases), self._resource(_BROKER, "")):
            name, value = {**settings, **others}[each["resource_type"]]
            resources.append({**each, "configs": [{"name": name, "value": value}]})
        self.ask(ApiKey.ALTER_CONFIGS, {"resources": resources})
        resources.append(
            {**self._resource(_LOGGER, "1"), "configs": [{"name": "kafka.server", "value": "WARN"}]}
        )
        for resource in resources:
            resource["configs"] = [{**each, "config_operation": 0} for each in resource["configs"]]
        self.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, {"resources": resources})

    def _resources(self, bases: Iterable[str]) -> list[dict[str, Any]]:
        kinds = (_TOPIC, _GROUP, _METRICS)
        return [self._resource(kind, self._s.name(base)) for kind in kinds for base in bases]

    def _resource(self, kind: int, name: str) -> dict[str, Any]:
        return {"resource_type": kind, "resource_name": name}

    # Of the cluster.

    def of_the_cluster(self) -> None:
        self.ask(ApiKey.DESCRIBE_CLUSTER, {"include_cluster_authorized_operations": True})
        partitions = [{"partition_index": 0}]
        self.ask(
            ApiKey.DESCRIBE_QUORUM,
            {"topics": [{"topic_name": "__cluster_metadata", "partitions": partitions}]},
        )
        self.ask(ApiKey.LIST_CONFIG_RESOURCES)
        self.ask(ApiKey.LIST_PARTITION_REASSIGNMENTS, {"topics": None, "timeout_ms": 10_000})
        updates = [{"feature": "odd", "max_version_level": 1, "upgrade_type": 1}]
        self.ask(ApiKey.UPDATE_FEATURES, {"feature_updates": updates, "timeout_ms": 10_000})
        creation = {
            "resource_type": 2,
            "resource_name": self._s.name("mine"),
            "resource_pattern_type": 3,
            "principal": "User:anna",
            "host": "*",
            "operation": 3,
            "permission_type": 3,
        }
        self.ask(ApiKey.CREATE_ACLS, {"creations": [creation, creation]})
        wanted = {
            "resource_type_filter": 1,
            "pattern_type_filter": 1,
            "resource_name_filter": None,
            "principal_filter": None,
            "host_filter": None,
            "operation": 1,
            "permission_type": 1,
        }
        self.ask(ApiKey.DESCRIBE_ACLS, wanted)
        self.ask(ApiKey.DELETE_ACLS, {"filters": [wanted]})

    def of_the_connection(self) -> None:
        """Needs nothing."""
        software = {"client_software_name": "a", "client_software_version": "1"}
        self.ask(ApiKey.API_VERSIONS, software, hide=_HIDDEN)
        self.ask(ApiKey.SASL_HANDSHAKE, {"mechanism": "PLAIN"})
        self.ask(ApiKey.SASL_AUTHENTICATE, {"auth_bytes": b"\0anna\0secret"})

    def _topic(self, base: str) -> dict[str, Any]:
        return {"name": self._s.name(base), "topic_id": self._id(base)}

    def _id(self, base: str) -> UUID:
        return self._ids.get(base, NOBODYS_ID)

    def _known(self, api_key: ApiKey, first_with_ids: int, bases: Iterable[str]) -> list[str]:
        """By id all that are not there are the same one."""
        if self._pick(api_key) < first_with_ids:
            return list(bases)
        return [base for base in bases if base in self._ids or base == "absent"]
