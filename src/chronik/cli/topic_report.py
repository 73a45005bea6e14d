"""The report of `chronik topic describe`."""

from dataclasses import dataclass

from chronik.cli.output import left, print_done, print_facts, print_table, right
from chronik.cli.units import format_bytes
from chronik.client import cluster, configs, offsets, topics
from chronik.client.client import Client
from chronik.client.errors import ClientError
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.errors import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReport:
    """One partition; unavailable values are None."""

    partition: int
    leader: int | None
    leader_epoch: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]
    offline: tuple[int, ...]
    start_offset: int | None
    end_offset: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicReport:
    """One topic; `config` has the settings that differ from the defaults."""

    name: str
    id: str
    is_internal: bool
    replication_factor: int
    config: dict[str, str | None]
    partitions: list[PartitionReport]


def read_report(client: Client, name: str) -> TopicReport:
    """Reads the whole report. Raises ClientError; a partition without leader only lacks its offsets."""
    topic = topics.find(client, name)
    starts = offsets.earliest(client, name, all_needed=False)
    ends = offsets.latest(client, name, all_needed=False)
    sizes: dict[int, int] = {}
    for directory in cluster.log_directories(client):
        for (owner, partition), size in directory.sizes.items():
            if owner == name:
                sizes[partition] = max(size, sizes.get(partition, 0))
    return TopicReport(
        name=topic.name,
        id=topic.id,
        is_internal=topic.is_internal,
        replication_factor=topic.replication_factor,
        config=_changed_settings(client, name),
        partitions=[
            PartitionReport(
                partition=place.partition,
                leader=place.leader,
                leader_epoch=place.leader_epoch,
                replicas=place.replicas,
                in_sync=place.in_sync,
                offline=place.offline,
                start_offset=starts.get(place.partition),
                end_offset=ends.get(place.partition),
                bytes=sizes.get(place.partition),
            )
            for place in topic.partitions
        ],
    )


def print_report(report: TopicReport) -> None:
    facts: dict[str, object] = {"Topic": report.name}
    if report.id:
        facts["Topic id"] = report.id
    facts |= {"Partitions": len(report.partitions), "Replicas": report.replication_factor}
    known = [partition.bytes for partition in report.partitions if partition.bytes is not None]
    if known:
        facts["Size"] = format_bytes(sum(known))
    settings = "\n".join(f"{name}={value}" for name, value in report.config.items())
    facts["Settings"] = settings or "all by default"
    print_facts(facts)
    print_done("")
    print_table(
        [
            right("Partition"),
            right("Leader"),
            right("Epoch"),
            left("Replicas"),
            left("In sync"),
            left("Offline"),
            right("First"),
            right("End"),
            right("Size"),
        ],
        [
            (
                partition.partition,
                "none" if partition.leader is None else partition.leader,
                partition.leader_epoch,
                partition.replicas,
                partition.in_sync,
                partition.offline,
                partition.start_offset,
                partition.end_offset,
                format_bytes(partition.bytes),
            )
            for partition in report.partitions
        ],
    )


def _changed_settings(client: Client, name: str) -> dict[str, str | None]:
    try:
        settings = configs.describe(client, ResourceType.TOPIC, name)
    except ClientError as error:
        if error.code is ErrorCode.UNSUPPORTED_VERSION:
            return {}
        raise
    return {setting.name: setting.value for setting in settings if setting.source == "topic"}
