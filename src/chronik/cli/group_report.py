"""The report of `chronik group describe`."""

from dataclasses import dataclass

from chronik.cli.output import left, print_done, print_facts, print_note, print_table, right
from chronik.client import groups, offsets
from chronik.client.client import Client
from chronik.client.errors import ClientError
from chronik.client.offsets import Position
from chronik.vocab.errors import ErrorCode
from chronik.vocab.lag import unread


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReport:
    """A partition that the group reads or has read; None for missing values."""

    topic: str
    partition: int
    committed_offset: int | None
    end_offset: int | None
    lag: int | None
    member: str | None
    client_id: str | None
    host: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReport:
    """One group; `lag` is the sum over its partitions with commits, None when there is no such partition."""

    id: str
    state: str
    assignor: str
    coordinator: str
    lag: int | None
    partitions: list[PartitionReport]
    members: list[groups.Member]


def read_report(client: Client, name: str) -> GroupReport:
    """Reads the whole report. Raises ClientError."""
    group = groups.describe(client, name)
    committed = groups.committed(client, name)
    owners = {partition: member for member in group.members for partition in member.partitions}
    wanted = sorted(owners.keys() | committed.keys())
    topics = {topic for topic, _ in wanted}
    starts = {topic: _offsets(client, topic, Position.EARLIEST) for topic in topics}
    ends = {topic: _offsets(client, topic, Position.LATEST) for topic in topics}
    rows = []
    for topic, partition in wanted:
        offset = committed[topic, partition].offset if (topic, partition) in committed else None
        start, end = starts[topic].get(partition), ends[topic].get(partition)
        owner = owners.get((topic, partition))
        rows.append(
            PartitionReport(
                topic=topic,
                partition=partition,
                committed_offset=offset,
                end_offset=end,
                lag=None if offset is None or end is None else unread(offset, start or 0, end),
                member=None if owner is None else owner.id,
                client_id=None if owner is None else owner.client_id,
                host=None if owner is None else owner.host,
            )
        )
    lags = [row.lag for row in rows if row.lag is not None]
    return GroupReport(
        id=group.id,
        state=group.state,
        assignor=group.assignor,
        coordinator=group.coordinator,
        lag=sum(lags) if lags else None,
        partitions=rows,
        members=list(group.members),
    )


def print_report(report: GroupReport) -> None:
    _print_head(report)
    print_table(
        [
            left("Topic", is_cut=True),
            right("Partition"),
            right("Committed"),
            right("End"),
            right("Lag"),
            left("Client", is_cut=True),
            left("Host", is_cut=True),
        ],
        [
            (row.topic, row.partition, row.committed_offset, row.end_offset, row.lag, row.client_id, row.host)
            for row in report.partitions
        ],
        empty="It has no committed offsets.",
    )


def print_members(report: GroupReport) -> None:
    _print_head(report)
    if not report.members:
        print_note("It has no members.")
        return
    print_table(
        [
            left("Client", is_cut=True),
            left("Instance", is_cut=True),
            left("Host", is_cut=True),
            right("Partitions"),
            left("Assignment", is_folded=True),
        ],
        [
            (
                member.client_id,
                member.instance_id,
                member.host,
                len(member.partitions),
                " ".join(f"{topic}-{partition}" for topic, partition in member.partitions),
            )
            for member in report.members
        ],
    )


def _print_head(report: GroupReport) -> None:
    print_facts(
        {
            "Group": report.id,
            "State": report.state,
            "Assignor": report.assignor,
            "Coordinator": report.coordinator,
            "Members": len(report.members),
            "Lag": report.lag,
        }
    )
    print_done("")


def _offsets(client: Client, topic: str, position: Position) -> dict[int, int]:
    """By partition; empty for a topic that was deleted since."""
    try:
        return offsets.at_timestamp(client, topic, position)
    except ClientError as error:
        if error.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            return {}
        raise
