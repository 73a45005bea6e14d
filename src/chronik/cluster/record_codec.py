"""Metadata records as bytes: the key names the type, the value is one line of JSON that a person can read.

A value carries its version under `v`. Within a version fields may be added, and readers ignore those they do
not know; a version is raised when an old reader would be wrong to go on, which then stops with
`UnreadableRecord`.
"""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chronik.cluster.records import (
    NO_FLOOR,
    BrokerEndpoint,
    BrokerFenced,
    BrokerRegistered,
    ConfigChanged,
    ConfigResource,
    EpochFloorRaised,
    MetadataRecord,
    PartitionCreated,
    ProducerIdsAllocated,
    TopicCreated,
    TopicDeleted,
)
from chronik.vocab.config.definition import ResourceType
from chronik.vocab.ids import FIRST_EPOCH, LeaderEpoch, NodeId, ProducerId, format_topic_id, parse_topic_id


class UnreadableRecord(Exception):
    """The metadata log holds what this release cannot read: it is damaged, or written by a newer release."""


Fields = Mapping[str, Any]


# Made once: `json.dumps` makes one for each call.
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class _Codec(NamedTuple):
    version: int
    write: Callable[[Any], dict[str, Any]]
    read: Callable[[Fields], MetadataRecord]


def encode(record: MetadataRecord) -> tuple[bytes, bytes]:
    """The key and value of the Kafka record that carries `record`."""
    name = type(record).__name__
    codec = _CODECS[name]
    value = _to_json({"v": codec.version, **codec.write(record)})
    return name.encode(), value.encode()


def decode(key: bytes, value: bytes) -> MetadataRecord:
    """The inverse of `encode`. Raises UnreadableRecord."""
    name = key.decode(errors="replace")
    codec = _CODECS.get(name)
    if codec is None:
        raise UnreadableRecord(
            f"metadata record type {name!r} is not known: the log was written by a newer release"
        )
    fields = _parse(name, value)
    version = fields.get("v")
    if not isinstance(version, int) or version > codec.version:
        raise UnreadableRecord(
            f"metadata record {name} has version {version!r}, this release reads up to {codec.version}: "
            "start the release that wrote it, or a newer one"
        )
    try:
        return codec.read(fields)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableRecord(f"metadata record {name} is damaged: {error!r} in {value!r}") from error


def _parse(name: str, value: bytes) -> Fields:
    try:
        fields = json.loads(value)
    except ValueError as error:
        raise UnreadableRecord(f"metadata record {name} is not JSON: {value!r}") from error
    if not isinstance(fields, dict):
        raise UnreadableRecord(f"metadata record {name} is not a JSON object: {value!r}")
    return fields


def _write_broker(record: BrokerRegistered) -> dict[str, Any]:
    endpoints = [
        {"listener": e.listener, "host": e.host, "port": e.port, "security_protocol": e.security_protocol}
        for e in record.endpoints
    ]
    return {
        "node": record.node,
        "directory_id": record.directory_id,
        "endpoints": endpoints,
        "rack": record.rack,
        "epoch": record.epoch,
    }


def _read_broker(fields: Fields) -> BrokerRegistered:
    return BrokerRegistered(
        node=NodeId(fields["node"]),
        directory_id=fields["directory_id"],
        endpoints=tuple(
            BrokerEndpoint(
                listener=e["listener"],
                host=e["host"],
                port=e["port"],
                security_protocol=e["security_protocol"],
            )
            for e in fields["endpoints"]
        ),
        rack=fields["rack"],
        epoch=fields.get("epoch", 0),
    )


def _write_fenced(record: BrokerFenced) -> dict[str, Any]:
    return {"node": record.node}


def _read_fenced(fields: Fields) -> BrokerFenced:
    return BrokerFenced(node=NodeId(fields["node"]))


def _write_topic(record: TopicCreated) -> dict[str, Any]:
    return {"name": record.name, "topic_id": format_topic_id(record.topic_id)}


def _read_topic(fields: Fields) -> TopicCreated:
    return TopicCreated(name=fields["name"], topic_id=parse_topic_id(fields["topic_id"]))


def _write_partition(record: PartitionCreated) -> dict[str, Any]:
    return {
        "topic_id": format_topic_id(record.topic_id),
        "partition": record.partition,
        "replicas": record.replicas,
        "leader": record.leader,
        "directories": record.directories,
        "first_epoch": record.first_epoch,
    }


def _read_partition(fields: Fields) -> PartitionCreated:
    return PartitionCreated(
        topic_id=parse_topic_id(fields["topic_id"]),
        partition=fields["partition"],
        replicas=tuple(NodeId(node) for node in fields["replicas"]),
        leader=NodeId(fields["leader"]),
        # One string for all replicas in a directory: there are thousands.
        directories=tuple(sys.intern(directory) for directory in fields.get("directories", ())),
        first_epoch=LeaderEpoch(fields.get("first_epoch", FIRST_EPOCH)),
    )


def _write_topic_deleted(record: TopicDeleted) -> dict[str, Any]:
    return {"topic_id": format_topic_id(record.topic_id), "last_epoch": record.last_epoch}


def _read_topic_deleted(fields: Fields) -> TopicDeleted:
    return TopicDeleted(
        topic_id=parse_topic_id(fields["topic_id"]),
        last_epoch=LeaderEpoch(fields.get("last_epoch", NO_FLOOR)),
    )


def _write_epoch_floor(record: EpochFloorRaised) -> dict[str, Any]:
    return {"epoch": record.epoch}


def _read_epoch_floor(fields: Fields) -> EpochFloorRaised:
    return EpochFloorRaised(epoch=LeaderEpoch(fields["epoch"]))


def _write_config(record: ConfigChanged) -> dict[str, Any]:
    return {
        "resource": record.resource.type.name.lower(),
        "name": record.resource.name,
        "key": record.key,
        "value": record.value,
    }


def _read_config(fields: Fields) -> ConfigChanged:
    resource = ConfigResource(ResourceType[fields["resource"].upper()], fields["name"])
    return ConfigChanged(resource=resource, key=fields["key"], value=fields["value"])


def _write_producer_ids(record: ProducerIdsAllocated) -> dict[str, Any]:
    return {"node": record.node, "first": record.first, "end": record.end}


def _read_producer_ids(fields: Fields) -> ProducerIdsAllocated:
    return ProducerIdsAllocated(
        node=NodeId(fields["node"]), first=ProducerId(fields["first"]), end=ProducerId(fields["end"])
    )


_CODECS: dict[str, _Codec] = {
    BrokerRegistered.__name__: _Codec(1, _write_broker, _read_broker),
    BrokerFenced.__name__: _Codec(1, _write_fenced, _read_fenced),
    TopicCreated.__name__: _Codec(1, _write_topic, _read_topic),
    PartitionCreated.__name__: _Codec(1, _write_partition, _read_partition),
    TopicDeleted.__name__: _Codec(1, _write_topic_deleted, _read_topic_deleted),
    EpochFloorRaised.__name__: _Codec(1, _write_epoch_floor, _read_epoch_floor),
    ConfigChanged.__name__: _Codec(1, _write_config, _read_config),
    ProducerIdsAllocated.__name__: _Codec(1, _write_producer_ids, _read_producer_ids),
}
