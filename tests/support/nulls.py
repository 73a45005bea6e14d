"""Which fields of answers may be null, and what null says there; all others never are.

A client iterates over a list and prints a text that Kafka's brokers always send: a null in such a place took
Java's Admin client down. What is null here is null from Kafka 4.4, which was asked with the same requests.
"""

from typing import Final

from chronik.wire.apis import ApiKey
from chronik.wire.schema import Field, Message, Struct, fields_in

_NO_MESSAGE: Final = "there is nothing to say about what went well, nor about an error whose code says it all"
_NO_RACK: Final = "the node has none"
_NOT_STATIC: Final = "the member is not a static one"
_NOT_IN_GROUP: Final = "the request failed, so no protocol was chosen"
_NO_NAME: Final = "the topic was named by an id that none has"

MAY_BE_NULL: Final[dict[ApiKey, dict[str, str]]] = {
    ApiKey.PRODUCE: {"PartitionProduceResponse.error_message": _NO_MESSAGE, "NodeEndpoint.rack": _NO_RACK},
    ApiKey.FETCH: {
        "PartitionData.aborted_transactions": "the request reads uncommitted records, or failed",
        "NodeEndpoint.rack": _NO_RACK,
    },
    ApiKey.METADATA: {
        "MetadataResponseBroker.rack": _NO_RACK,
        "MetadataResponse.cluster_id": "the request failed as a whole",
        "MetadataResponseTopic.name": _NO_NAME,
    },
    ApiKey.JOIN_GROUP: {
        "JoinGroupResponse.protocol_type": _NOT_IN_GROUP,
        "JoinGroupResponse.protocol_name": _NOT_IN_GROUP,
        "JoinGroupResponseMember.group_instance_id": _NOT_STATIC,
    },
    ApiKey.LEAVE_GROUP: {"MemberResponse.group_instance_id": _NOT_STATIC},
    ApiKey.SYNC_GROUP: {
        "SyncGroupResponse.protocol_type": _NOT_IN_GROUP,
        "SyncGroupResponse.protocol_name": _NOT_IN_GROUP,
    },
    ApiKey.DESCRIBE_GROUPS: {
        "DescribedGroup.error_message": _NO_MESSAGE,
        "DescribedGroupMember.group_instance_id": _NOT_STATIC,
    },
    ApiKey.CREATE_TOPICS: {
        "CreatableTopicResult.error_message": _NO_MESSAGE,
        "CreatableTopicConfigs.value": "the setting has no value",
    },
    ApiKey.DELETE_TOPICS: {
        "DeletableTopicResult.name": _NO_NAME,
        "DeletableTopicResult.error_message": _NO_MESSAGE,
    },
    ApiKey.DESCRIBE_CONFIGS: {
        "DescribeConfigsResult.error_message": "the code says it all; empty without an error",
        "DescribeConfigsResourceResult.value": "the setting has no value, or a hidden one",
        "DescribeConfigsSynonym.value": "the value is hidden",
        "DescribeConfigsResourceResult.documentation": "nobody asked for it",
    },
    ApiKey.ALTER_CONFIGS: {"AlterConfigsResourceResponse.error_message": _NO_MESSAGE},
    ApiKey.INCREMENTAL_ALTER_CONFIGS: {"AlterConfigsResourceResponse.error_message": _NO_MESSAGE},
    ApiKey.CREATE_PARTITIONS: {"CreatePartitionsTopicResult.error_message": _NO_MESSAGE},
    ApiKey.DELETE_GROUPS: {"DeletableGroupResult.error_message": _NO_MESSAGE},
    ApiKey.ELECT_LEADERS: {"PartitionResult.error_message": _NO_MESSAGE},
    ApiKey.DESCRIBE_CLUSTER: {
        "DescribeClusterResponse.error_message": _NO_MESSAGE,
        "DescribeClusterBroker.rack": _NO_RACK,
    },
    ApiKey.DESCRIBE_PRODUCERS: {"PartitionResponse.error_message": _NO_MESSAGE},
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: {
        "DescribeTopicPartitionsResponse.next_cursor": "this page is the last",
    },
    ApiKey.UPDATE_FEATURES: {
        "UpdateFeaturesResponse.error_message": _NO_MESSAGE,
        "UpdatableFeatureResult.error_message": _NO_MESSAGE,
    },
    ApiKey.LIST_PARTITION_REASSIGNMENTS: {
        "ListPartitionReassignmentsResponse.error_message": _NO_MESSAGE,
    },
}

# Fields that can be null in the protocol, and are not: what a client may rely on.
NEVER_NULL: Final[dict[ApiKey, frozenset[str]]] = {
    # A record is named for a reason (KIP-467).
    ApiKey.PRODUCE: frozenset({"BatchIndexAndErrorMessage.batch_index_error_message"}),
    # librdkafka refuses null records.
    ApiKey.FETCH: frozenset({"PartitionData.records"}),
    ApiKey.OFFSET_FETCH: frozenset(
        {"OffsetFetchResponsePartitions.metadata", "OffsetFetchResponsePartition.metadata"}
    ),
    ApiKey.FIND_COORDINATOR: frozenset(
        {"Coordinator.error_message", "FindCoordinatorResponse.error_message"}
    ),
    ApiKey.CREATE_TOPICS: frozenset({"CreatableTopicResult.configs"}),
    ApiKey.DESCRIBE_QUORUM: frozenset(
        {"DescribeQuorumResponse.error_message", "PartitionDataResponse.error_message"}
    ),
    # Java's Admin client iterates over both lists, and makes a description of each name.
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: frozenset(
        {
            "DescribeTopicPartitionsResponseTopic.name",
            "DescribeTopicPartitionsResponsePartition.eligible_leader_replicas",
            "DescribeTopicPartitionsResponsePartition.last_known_elr",
        }
    ),
    # Why there are no ACLs, and why nobody can authenticate.
    ApiKey.DESCRIBE_ACLS: frozenset({"DescribeAclsResponse.error_message"}),
    ApiKey.CREATE_ACLS: frozenset({"AclCreationResult.error_message"}),
    ApiKey.DELETE_ACLS: frozenset(
        {"DeleteAclsFilterResult.error_message", "DeleteAclsMatchingAcl.error_message"}
    ),
    ApiKey.SASL_AUTHENTICATE: frozenset({"SaslAuthenticateResponse.error_message"}),
}


def check_nulls(api_key: ApiKey, version: int, response: Message) -> None:
    """AssertionError for a null where clients may rely on a value."""
    allowed = MAY_BE_NULL.get(api_key, {})
    for struct, field, value in _values(response, version):
        name = f"{type(struct).__name__}.{field.name}"
        assert value is not None or name in allowed, f"{api_key.name} {version} answers null in {name}"


def _values(struct: Struct, version: int) -> list[tuple[Struct, Field, object]]:
    """Every value that could be null in this version, however deep."""
    found: list[tuple[Struct, Field, object]] = []
    for field in fields_in(type(struct), version):
        value = getattr(struct, field.name)
        if version in field.nullable:
            found.append((struct, field, value))
        for nested in value if isinstance(value, list) else [value]:
            if isinstance(nested, Struct):
                found += _values(nested, version)
    return found
