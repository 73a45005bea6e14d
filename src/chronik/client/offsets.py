"""Offsets of partitions: bounds, by time, and deleting records below one."""

from collections import defaultdict
from collections.abc import Mapping
from enum import IntEnum

from chronik.client.client import Client
from chronik.client.connection import Connection
from chronik.client.errors import check, error_of, only
from chronik.vocab.errors import ErrorCode
from chronik.wire.apis import ApiKey
from chronik.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from chronik.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)

_READ_UNCOMMITTED = 0
_CONSUMER = -1


class Position(IntEnum):
    """Timestamps that mean a place rather than a time."""

    LATEST = -1
    EARLIEST = -2


def earliest(client: Client, topic: str, *, all_needed: bool = True) -> dict[int, int]:
    """The first offset that can be read, by partition."""
    return at_timestamp(client, topic, Position.EARLIEST, all_needed=all_needed)


def latest(client: Client, topic: str, *, all_needed: bool = True) -> dict[int, int]:
    """The offset after the last record that can be read, by partition."""
    return at_timestamp(client, topic, Position.LATEST, all_needed=all_needed)


def at_timestamp(client: Client, topic: str, timestamp_ms: int, *, all_needed: bool = True) -> dict[int, int]:
    """The first offset at or after a time, by partition; -1 where there is none.

    Partitions without leader are waited for and then an error, or without `all_needed` left out.
    """

    def attempt() -> dict[int, int]:
        found: dict[int, int] = {}
        leaders = client.leaders(topic, all_needed=all_needed)
        for leader, partitions in _by_leader(leaders).items():
            found |= _ask(leader, topic, dict.fromkeys(partitions, timestamp_ms))
        return dict(sorted(found.items()))

    return client.retry(attempt)


def delete_records(client: Client, topic: str, before: Mapping[int, int]) -> dict[int, int]:
    """Delete the records below an offset, by partition (-1: all there are); the new first offsets."""

    def attempt() -> dict[int, int]:
        leaders = client.leaders(topic)
        for partition in before:
            if partition not in leaders:
                raise error_of(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"find {topic}-{partition}")
        starts: dict[int, int] = {}
        for leader, partitions in _by_leader(leaders).items():
            wanted = {partition: before[partition] for partition in partitions if partition in before}
            starts |= _delete(leader, topic, wanted, int(client.timeout_s * 1000))
        return dict(sorted(starts.items()))

    return client.retry(attempt)


def _by_leader(leaders: Mapping[int, Connection]) -> dict[Connection, list[int]]:
    grouped: dict[Connection, list[int]] = defaultdict(list)
    for partition, leader in leaders.items():
        grouped[leader].append(partition)
    return grouped


def _ask(leader: Connection, topic: str, timestamps: Mapping[int, int]) -> dict[int, int]:
    partitions = [
        ListOffsetsPartition(partition_index=partition, current_leader_epoch=-1, timestamp=timestamp)
        for partition, timestamp in timestamps.items()
    ]
    request = ListOffsetsRequest(
        replica_id=_CONSUMER,
        isolation_level=_READ_UNCOMMITTED,
        topics=[ListOffsetsTopic(name=topic, partitions=partitions)],
    )
    answer = leader.ask(ApiKey.LIST_OFFSETS, request, ListOffsetsResponse)
    found = {}
    for result in only(answer.topics, f"read the offsets of {topic}").partitions:
        check(result.error_code, f"read the offsets of {topic}-{result.partition_index}")
        found[result.partition_index] = result.offset
    return found


def _delete(leader: Connection, topic: str, before: Mapping[int, int], timeout_ms: int) -> dict[int, int]:
    if not before:
        return {}
    partitions = [
        DeleteRecordsPartition(partition_index=partition, offset=offset)
        for partition, offset in before.items()
    ]
    request = DeleteRecordsRequest(
        topics=[DeleteRecordsTopic(name=topic, partitions=partitions)], timeout_ms=timeout_ms
    )
    answer = leader.ask(ApiKey.DELETE_RECORDS, request, DeleteRecordsResponse)
    starts = {}
    for result in only(answer.topics, f"delete records of {topic}").partitions:
        check(result.error_code, f"delete records of {topic}-{result.partition_index}")
        starts[result.partition_index] = result.low_watermark
    return starts
