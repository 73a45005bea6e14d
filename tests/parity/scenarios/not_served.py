"""Kafka's answers where Chronik does not serve an API yet: neither advertised nor answered."""

from typing import Any
from uuid import UUID

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Session

NOBODYS_ID = UUID(int=0xBAD)
TXN: dict[str, Any] = {"transactional_id": "tx", "producer_id": 7777, "producer_epoch": 0}

REQUESTS: dict[str, tuple[ApiKey, int, dict[str, Any]]] = {
    "add partitions to a transaction": (ApiKey.ADD_PARTITIONS_TO_TXN, 5, {"transactions": []}),
    "write markers of a transaction": (ApiKey.WRITE_TXN_MARKERS, 2, {"markers": []}),
    "move replicas between directories": (ApiKey.ALTER_REPLICA_LOG_DIRS, 2, {"dirs": []}),
    "create a delegation token": (ApiKey.CREATE_DELEGATION_TOKEN, 3, {"max_lifetime_ms": 1}),
    "renew a delegation token": (ApiKey.RENEW_DELEGATION_TOKEN, 2, {"hmac": b"x"}),
    "expire a delegation token": (ApiKey.EXPIRE_DELEGATION_TOKEN, 2, {"hmac": b"x"}),
    "describe delegation tokens": (ApiKey.DESCRIBE_DELEGATION_TOKEN, 3, {"owners": None}),
    "reassign partitions": (ApiKey.ALTER_PARTITION_REASSIGNMENTS, 1, {"topics": []}),
    "describe quotas": (ApiKey.DESCRIBE_CLIENT_QUOTAS, 1, {"components": []}),
    "alter quotas": (ApiKey.ALTER_CLIENT_QUOTAS, 1, {"entries": [], "validate_only": True}),
    "describe SCRAM users": (ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS, 0, {"users": None}),
    "alter SCRAM users": (ApiKey.ALTER_USER_SCRAM_CREDENTIALS, 0, {}),
    "unregister a broker": (ApiKey.UNREGISTER_BROKER, 0, {"broker_id": 99}),
    "describe transactions": (ApiKey.DESCRIBE_TRANSACTIONS, 0, {"transactional_ids": []}),
    "list transactions": (ApiKey.LIST_TRANSACTIONS, 2, {"duration_filter": -1}),
    "join a group of the new protocol": (ApiKey.CONSUMER_GROUP_HEARTBEAT, 1, {"group_id": ""}),
    "describe groups of the new protocol": (ApiKey.CONSUMER_GROUP_DESCRIBE, 1, {"group_ids": []}),
    "send metrics": (ApiKey.PUSH_TELEMETRY, 0, {"client_instance_id": NOBODYS_ID}),
    "ask which metrics to send": (ApiKey.GET_TELEMETRY_SUBSCRIPTIONS, 0, {}),
    "join a share group": (ApiKey.SHARE_GROUP_HEARTBEAT, 1, {"group_id": ""}),
    "describe share groups": (ApiKey.SHARE_GROUP_DESCRIBE, 1, {"group_ids": []}),
    "fetch for a share group": (ApiKey.SHARE_FETCH, 2, {"group_id": None, "member_id": None}),
    "acknowledge for a share group": (ApiKey.SHARE_ACKNOWLEDGE, 2, {"group_id": None, "member_id": None}),
    "describe offsets of share groups": (ApiKey.DESCRIBE_SHARE_GROUP_OFFSETS, 1, {"groups": []}),
    "delete offsets of a share group": (ApiKey.DELETE_SHARE_GROUP_OFFSETS, 0, {"group_id": ""}),
    "alter offsets of a share group": (ApiKey.ALTER_SHARE_GROUP_OFFSETS, 0, {"group_id": ""}),
    "add a voter": (ApiKey.ADD_RAFT_VOTER, 1, {"voter_id": -1}),
    "remove a voter": (ApiKey.REMOVE_RAFT_VOTER, 0, {"voter_id": -1}),
}


@scenario(REQUESTS, nodes=1)
def asking_to(s: Session, case: tuple[ApiKey, int, dict[str, Any]]) -> None:
    s.ask(*case)


@scenario(
    {"end a transaction": ApiKey.END_TXN, "add offsets to a transaction": ApiKey.ADD_OFFSETS_TO_TXN},
    (0,),
    nodes=1,
)
def asking_for_nobodys_transaction_to(s: Session, key: ApiKey, version: int) -> None:
    more = {"group_id": "group"} if key is ApiKey.ADD_OFFSETS_TO_TXN else {"committed": True}
    s.ask(key, version, {**TXN, **more})
