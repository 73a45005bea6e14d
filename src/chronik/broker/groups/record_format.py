"""The records of `__consumer_offsets` as Apache Kafka 4.4 writes them, so that its tools read them.

A key starts with its version, which is also the kind of record: 0 and 1 a committed offset, 2 a group. Values
carry a version of their own. Written: offset key 1 with value 4, group key 2 with value 3. Read: all versions
of these (offset values 0-4, group values 0-4; 4 is the first flexible one). Keys above 2 belong to group
types that this coordinator does not serve (KIP-848, KIP-932), and higher versions of values to later
releases: both raise UnknownRecordKind.

Offset value 4 has Kafka's tagged field 0, the topic's id, and two of ours, which its readers skip: the
metadata offset at the commit, and the time of expiry where the client sent a retention time (Kafka has that
in value 1 only, which has no place for the topic's id).

Source of the formats: OffsetCommitKey, OffsetCommitValue, GroupMetadataKey, GroupMetadataValue of Kafka's
message schemas.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from chronik.broker.coordinator.primitives import MalformedRecord, Reader, Writer
from chronik.broker.coordinator.shard import UnknownRecordKind
from chronik.broker.groups.offsets import CommittedOffset
from chronik.vocab.ids import NO_TOPIC_ID, TopicId, TopicPartition

OFFSET_KEY_VERSIONS: Final = (0, 1)
GROUP_KEY_VERSION: Final = 2
_VALUE_VERSION: Final = 3
_OFFSET_VALUE_VERSION: Final = 4
# Kafka counts its tags from 0.
_TOPIC_ID_TAG: Final = 0
_METADATA_OFFSET_TAG: Final = 10_000
_EXPIRE_TIMESTAMP_TAG: Final = 10_001
_FLEXIBLE_VERSION: Final = 4
_NO_TIMESTAMP: Final = -1
_INT64: Final = struct.Struct(">q")


class OffsetKey(NamedTuple):
    group_id: str
    partition: TopicPartition


class GroupKey(NamedTuple):
    group_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSnapshot:
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    # None in records of version 0, which had none; the session timeout stood for it.
    rebalance_timeout_ms: int | None
    session_timeout_ms: int
    # The member's metadata under the group's protocol.
    subscription: bytes
    assignment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSnapshot:
    """A group as the log remembers it: with members it is stable, without it is empty."""

    protocol_type: str
    generation: int
    protocol_name: str | None
    leader_id: str | None
    # Wall time at which the state was entered; None in old records.
    state_timestamp_ms: int | None
    members: tuple[MemberSnapshot, ...]


def encode_offset_key(group_id: str, partition: TopicPartition) -> bytes:
    writer = Writer()
    writer.int16(OFFSET_KEY_VERSIONS[-1])
    writer.string(group_id)
    writer.string(partition.topic)
    writer.int32(partition.partition)
    return writer.finish()


def encode_group_key(group_id: str) -> bytes:
    writer = Writer()
    writer.int16(GROUP_KEY_VERSION)
    writer.string(group_id)
    return writer.finish()


def decode_key(key: bytes) -> OffsetKey | GroupKey:
    """Raises MalformedRecord, UnknownRecordKind."""
    reader = Reader(key)
    version = reader.int16()
    if version in OFFSET_KEY_VERSIONS:
        return OffsetKey(reader.string(), TopicPartition(reader.string(), reader.int32()))
    if version == GROUP_KEY_VERSION:
        return GroupKey(reader.string())
    if version > GROUP_KEY_VERSION:
        raise UnknownRecordKind(f"key version {version}")
    raise MalformedRecord(f"key version {version}")


def encode_offset_value(committed: CommittedOffset) -> bytes:
    writer = Writer()
    writer.int16(_OFFSET_VALUE_VERSION)
    writer.int64(committed.offset)
    writer.int32(committed.leader_epoch)
    writer.compact_string(committed.metadata)
    writer.int64(committed.commit_timestamp_ms)
    tagged: dict[int, bytes] = {}
    if committed.topic_id != NO_TOPIC_ID:
        tagged[_TOPIC_ID_TAG] = committed.topic_id
    if committed.metadata_offset is not None:
        tagged[_METADATA_OFFSET_TAG] = _INT64.pack(committed.metadata_offset)
    if committed.expire_timestamp_ms is not None:
        tagged[_EXPIRE_TIMESTAMP_TAG] = _INT64.pack(committed.expire_timestamp_ms)
    writer.tagged_fields(tagged)
    return writer.finish()


def decode_offset_value(value: bytes) -> CommittedOffset:
    """Raises MalformedRecord, UnknownRecordKind."""
    reader = Reader(value)
    version = _read_value_version(reader)
    offset = reader.int64()
    leader_epoch = reader.int32() if version >= 3 else -1
    metadata = reader.string()
    commit_timestamp_ms = reader.int64()
    expire_timestamp_ms = reader.int64() if version == 1 else _NO_TIMESTAMP
    tagged = reader.tagged_fields() if version >= _FLEXIBLE_VERSION else {}
    return CommittedOffset(
        offset=offset,
        leader_epoch=leader_epoch,
        metadata=metadata,
        commit_timestamp_ms=commit_timestamp_ms,
        expire_timestamp_ms=_tagged_int64(tagged, _EXPIRE_TIMESTAMP_TAG)
        if tagged
        else _optional_timestamp(expire_timestamp_ms),
        topic_id=_tagged_topic_id(tagged),
        metadata_offset=_tagged_int64(tagged, _METADATA_OFFSET_TAG),
    )


def _tagged_int64(tagged: Mapping[int, bytes], tag: int) -> int | None:
    if tag not in tagged:
        return None
    if len(tagged[tag]) != _INT64.size:
        raise MalformedRecord(f"the tagged field {tag} has {len(tagged[tag])} bytes")
    (value,) = _INT64.unpack(tagged[tag])
    return int(value)


def _tagged_topic_id(tagged: Mapping[int, bytes]) -> TopicId:
    topic_id = tagged.get(_TOPIC_ID_TAG, NO_TOPIC_ID)
    if len(topic_id) != len(NO_TOPIC_ID):
        raise MalformedRecord(f"a topic id of {len(topic_id)} bytes")
    return TopicId(topic_id)


def encode_group_value(group: GroupSnapshot) -> bytes:
    writer = Writer()
    writer.int16(_VALUE_VERSION)
    writer.string(group.protocol_type)
    writer.int32(group.generation)
    writer.nullable_string(group.protocol_name)
    writer.nullable_string(group.leader_id)
    writer.int64(_NO_TIMESTAMP if group.state_timestamp_ms is None else group.state_timestamp_ms)
    writer.int32(len(group.members))
    for member in group.members:
        _encode_member(writer, member)
    return writer.finish()


def decode_group_value(value: bytes) -> GroupSnapshot:
    """Raises MalformedRecord, UnknownRecordKind."""
    reader = Reader(value)
    version = _read_value_version(reader)
    protocol_type = reader.string()
    generation = reader.int32()
    protocol_name = reader.nullable_string()
    leader_id = reader.nullable_string()
    state_timestamp_ms = reader.int64() if version >= 2 else _NO_TIMESTAMP
    members = tuple(_decode_member(reader, version) for _ in range(reader.array_length()))
    return GroupSnapshot(
        protocol_type=protocol_type,
        generation=generation,
        protocol_name=protocol_name,
        leader_id=leader_id,
        state_timestamp_ms=_optional_timestamp(state_timestamp_ms),
        members=members,
    )


def _encode_member(writer: Writer, member: MemberSnapshot) -> None:
    writer.string(member.member_id)
    writer.nullable_string(member.instance_id)
    writer.string(member.client_id)
    writer.string(member.client_host)
    writer.int32(-1 if member.rebalance_timeout_ms is None else member.rebalance_timeout_ms)
    writer.int32(member.session_timeout_ms)
    writer.byte_string(member.subscription)
    writer.byte_string(member.assignment)


def _decode_member(reader: Reader, version: int) -> MemberSnapshot:
    member_id = reader.string()
    instance_id = reader.nullable_string() if version >= 3 else None
    client_id = reader.string()
    client_host = reader.string()
    rebalance_timeout_ms = reader.int32() if version >= 1 else -1
    session_timeout_ms = reader.int32()
    subscription = reader.byte_string()
    assignment = reader.byte_string()
    if version >= _FLEXIBLE_VERSION:
        reader.tagged_fields()
    return MemberSnapshot(
        member_id=member_id,
        instance_id=instance_id,
        client_id=client_id,
        client_host=client_host,
        rebalance_timeout_ms=None if rebalance_timeout_ms < 0 else rebalance_timeout_ms,
        session_timeout_ms=session_timeout_ms,
        subscription=subscription,
        assignment=assignment,
    )


def _read_value_version(reader: Reader) -> int:
    version = reader.int16()
    if version > _FLEXIBLE_VERSION:
        raise UnknownRecordKind(f"value version {version}")
    if version < 0:
        raise MalformedRecord(f"value version {version} is none")
    reader.is_flexible = version >= _FLEXIBLE_VERSION
    return version


def _optional_timestamp(timestamp_ms: int) -> int | None:
    return None if timestamp_ms == _NO_TIMESTAMP else timestamp_ms
