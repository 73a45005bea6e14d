"""Consumer groups: list, describe, delete, and their committed offsets."""

from collections.abc import Mapping
from dataclasses import dataclass

from chronik.client.client import Client
from chronik.client.connection import Connection
from chronik.client.errors import ClientError, check, error_of, only
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.codec import MalformedMessage, decode
from chronik.wire.messages import consumer_group_describe as new
from chronik.wire.messages.consumer_protocol_assignment import ConsumerProtocolAssignment
from chronik.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from chronik.wire.messages.describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from chronik.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from chronik.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from chronik.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse

_DEAD = "Dead"
# A commit from outside: no generation, no member.
_NO_GENERATION = -1

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGroup:
    """A group as its coordinator lists it; values that the broker's version lacks are empty."""

    id: str
    state: str
    type: str
    protocol: str
    coordinator: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A consumer and its partitions."""

    id: str
    instance_id: str | None
    client_id: str
    host: str
    partitions: tuple[Partition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group as its coordinator describes it."""

    id: str
    state: str
    assignor: str
    # Host and port.
    coordinator: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A committed offset and the words that were committed with it."""

    offset: int
    leader_epoch: int
    metadata: str


def list_all(client: Client) -> list[ListedGroup]:
    """The groups of all coordinators, by id. Raises ClientError."""
    found = []
    for node_id, node in client.nodes().items():
        answer = node.ask(ApiKey.LIST_GROUPS, ListGroupsRequest(), ListGroupsResponse)
        check(answer.error_code, f"list the groups of broker {node_id}")
        found += [
            ListedGroup(
                id=group.group_id,
                state=group.group_state,
                type=group.group_type,
                protocol=group.protocol_type,
                coordinator=node_id,
            )
            for group in answer.groups
        ]
    return sorted(found, key=lambda group: group.id)


def describe(client: Client, name: str) -> Group:
    """Returns one group. Raises ClientError GROUP_ID_NOT_FOUND and others."""

    def attempt() -> Group:
        coordinator = client.coordinator(name)
        answer = coordinator.ask(
            ApiKey.DESCRIBE_GROUPS, DescribeGroupsRequest(groups=[name]), DescribeGroupsResponse
        )
        group = only(answer.groups, f"describe group {name}")
        is_absent = group.error_code == ErrorCode.GROUP_ID_NOT_FOUND or group.group_state == _DEAD
        if is_absent and coordinator.serves(ApiKey.CONSUMER_GROUP_DESCRIBE):
            return _describe_new(coordinator, name)
        if is_absent:
            raise error_of(ErrorCode.GROUP_ID_NOT_FOUND, f"find group {name}")
        check(group.error_code, f"describe group {name}", group.error_message)
        return _group(group, coordinator)

    return client.retry(attempt)


def delete(client: Client, name: str) -> None:
    """Delete a group without members. Raises ClientError."""

    def attempt() -> None:
        request = DeleteGroupsRequest(groups_names=[name])
        answer = client.coordinator(name).ask(ApiKey.DELETE_GROUPS, request, DeleteGroupsResponse)
        check(only(answer.results, f"delete group {name}").error_code, f"delete group {name}")

    client.retry(attempt)


def committed(client: Client, name: str) -> dict[Partition, Committed]:
    """Returns all committed offsets of a group; empty for an unknown one. Raises ClientError."""

    def attempt() -> dict[Partition, Committed]:
        request = OffsetFetchRequest(group_id=name, topics=None, require_stable=False)
        answer = client.coordinator(name).ask(ApiKey.OFFSET_FETCH, request, OffsetFetchResponse)
        if answer.error_code == ErrorCode.GROUP_ID_NOT_FOUND:
            return {}
        check(answer.error_code, f"read the offsets of group {name}")
        found = {}
        for topic in answer.topics:
            for partition in topic.partitions:
                check(partition.error_code, f"read the offsets of group {name}")
                if partition.committed_offset >= 0:
                    found[topic.name, partition.partition_index] = Committed(
                        offset=partition.committed_offset,
                        leader_epoch=partition.committed_leader_epoch,
                        metadata=partition.metadata or "",
                    )
        return dict(sorted(found.items()))

    return client.retry(attempt)


def commit(client: Client, name: str, offsets: Mapping[Partition, int]) -> None:
    """Commit offsets for a group that has no members. Raises ClientError."""
    by_topic: dict[str, list[OffsetCommitRequestPartition]] = {}
    for (topic, partition), offset in offsets.items():
        by_topic.setdefault(topic, []).append(
            OffsetCommitRequestPartition(
                partition_index=partition,
                committed_offset=offset,
                committed_leader_epoch=-1,
                committed_metadata="",
            )
        )
    request = OffsetCommitRequest(
        group_id=name,
        generation_id_or_member_epoch=_NO_GENERATION,
        member_id="",
        retention_time_ms=-1,
        topics=[OffsetCommitRequestTopic(name=topic, partitions=rows) for topic, rows in by_topic.items()],
    )

    def attempt() -> None:
        answer = client.coordinator(name).ask(ApiKey.OFFSET_COMMIT, request, OffsetCommitResponse)
        for topic in answer.topics:
            for partition in topic.partitions:
                check(
                    partition.error_code,
                    f"set the offset of group {name} for {topic.name}-{partition.partition_index}",
                )

    client.retry(attempt)


def find_state(client: Client, name: str) -> str:
    """Returns the group's state; "" for an unknown one."""
    try:
        return describe(client, name).state
    except ClientError as error:
        if error.code is ErrorCode.GROUP_ID_NOT_FOUND:
            return ""
        raise


def _group(group: DescribedGroup, coordinator: Connection) -> Group:
    members = [
        Member(
            id=member.member_id,
            instance_id=member.group_instance_id,
            client_id=member.client_id,
            host=member.client_host,
            partitions=_assigned(member.member_assignment),
        )
        for member in group.members
    ]
    return Group(
        id=group.group_id,
        state=group.group_state,
        assignor=group.protocol_data,
        coordinator=str(coordinator.address),
        members=tuple(sorted(members, key=lambda member: (member.client_id, member.id))),
    )


def _describe_new(coordinator: Connection, name: str) -> Group:
    """A group of the next generation's protocol (KIP-848), which DescribeGroups does not show."""
    answer = coordinator.ask(
        ApiKey.CONSUMER_GROUP_DESCRIBE,
        new.ConsumerGroupDescribeRequest(group_ids=[name]),
        new.ConsumerGroupDescribeResponse,
    )
    group = only(answer.groups, f"describe group {name}")
    if group.error_code == ErrorCode.GROUP_ID_NOT_FOUND:
        raise error_of(ErrorCode.GROUP_ID_NOT_FOUND, f"find group {name}")
    check(group.error_code, f"describe group {name}", group.error_message)
    members = [
        Member(
            id=member.member_id,
            instance_id=member.instance_id,
            client_id=member.client_id,
            host=member.client_host,
            partitions=tuple(
                (topic.topic_name, partition)
                for topic in member.assignment.topic_partitions
                for partition in topic.partitions
            ),
        )
        for member in group.members
    ]
    return Group(
        id=group.group_id,
        state=group.group_state,
        assignor=group.assignor_name,
        coordinator=str(coordinator.address),
        members=tuple(sorted(members, key=lambda member: (member.client_id, member.id))),
    )


def _assigned(data: bytes) -> tuple[Partition, ...]:
    """Returns the partitions assigned by the classic protocol; empty for other contents."""
    version = int.from_bytes(data[:2])
    try:
        content = decode(
            ConsumerProtocolAssignment,
            min(version, ConsumerProtocolAssignment.VERSIONS.last),
            memoryview(data)[2:],
        )
    except MalformedMessage:
        return ()
    rows = content.assigned_partitions
    return tuple(sorted((row.topic, partition) for row in rows for partition in row.partitions))
