"""The bytes of the records, against Kafka's schemas written out by hand."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.broker.coordinator.primitives import MalformedRecord
from chronik.broker.coordinator.shard import UnknownRecordKind
from chronik.broker.groups.offsets import CommittedOffset
from chronik.broker.groups.record_format import (
    GroupKey,
    GroupSnapshot,
    MemberSnapshot,
    OffsetKey,
    decode_group_value,
    decode_key,
    decode_offset_value,
    encode_group_key,
    encode_group_value,
    encode_offset_key,
    encode_offset_value,
)
from chronik.vocab.ids import TopicId, TopicPartition


def _bytes(text: str) -> bytes:
    """Hexadecimal with remarks in parentheses."""
    return bytes.fromhex(re.sub(r"\([^)]*\)", "", text))


OFFSET_KEY = _bytes("0001 (version) 0001 67 (g) 0002 7431 (t1) 00000007")
GROUP_KEY = _bytes("0002 (version) 0001 67 (g)")
OFFSET_VALUE = _bytes(
    """
    0004 (version) 000000000000002a 00000005 (epoch) 03 6d65 (me) 0000018bcfe56800 (committed)
    02 (tagged fields) 00 10 000102030405060708090a0b0c0d0e0f (topic id)
    904e 08 0000000000000063 (metadata offset)
    """
)
GROUP_VALUE = _bytes(
    """
    0003 (version) 0008 636f6e73756d6572 (consumer) 00000002 (generation) 0005 72616e6765 (range)
    0003 612d31 (leader) 0000018bcfe56800 (since) 00000001 (members)
    0003 612d31 (id) ffff (instance) 0001 61 (client) 000a 2f3132372e302e302e31 (host)
    0000ea60 (rebalance) 00002710 (session) 00000002 7331 (subscription) 00000003 617331 (assignment)
    """
)

COMMITTED = CommittedOffset(
    offset=42,
    leader_epoch=5,
    metadata="me",
    commit_timestamp_ms=1_700_000_000_000,
    topic_id=TopicId(bytes(range(16))),
    metadata_offset=99,
)
MEMBER = MemberSnapshot(
    member_id="a-1",
    instance_id=None,
    client_id="a",
    client_host="/127.0.0.1",
    rebalance_timeout_ms=60_000,
    session_timeout_ms=10_000,
    subscription=b"s1",
    assignment=b"as1",
)
GROUP = GroupSnapshot(
    protocol_type="consumer",
    generation=2,
    protocol_name="range",
    leader_id="a-1",
    state_timestamp_ms=1_700_000_000_000,
    members=(MEMBER,),
)


def test_keys() -> None:
    assert encode_offset_key("g", TopicPartition("t1", 7)) == OFFSET_KEY
    assert encode_group_key("g") == GROUP_KEY
    assert decode_key(OFFSET_KEY) == OffsetKey("g", TopicPartition("t1", 7))
    assert decode_key(bytes(2) + OFFSET_KEY[2:]) == OffsetKey("g", TopicPartition("t1", 7))
    assert decode_key(GROUP_KEY) == GroupKey("g")


def test_keys_of_other_group_types_are_of_a_later_release() -> None:
    for key in ("0003 0001 67", "000f 0001 67"):
        with pytest.raises(UnknownRecordKind):
            decode_key(_bytes(key))


def test_a_committed_offset() -> None:
    assert encode_offset_value(COMMITTED) == OFFSET_VALUE
    assert decode_offset_value(OFFSET_VALUE) == COMMITTED


def test_a_committed_offset_with_a_retention_time_of_its_own_has_a_tagged_field_of_ours() -> None:
    """Version 1, in which Kafka has it, has no place for the topic's id."""
    committed = replace(COMMITTED, expire_timestamp_ms=9)
    value = OFFSET_VALUE.replace(b"\x02\x00\x10", b"\x03\x00\x10") + _bytes("914e 08 0000000000000009")
    assert encode_offset_value(committed) == value
    assert decode_offset_value(value) == committed


def test_a_retention_time_in_version_1_is_read() -> None:
    value = _bytes("0001 000000000000002a 0002 6d65 0000000000000001 0000000000000009")
    committed = CommittedOffset(offset=42, metadata="me", commit_timestamp_ms=1, expire_timestamp_ms=9)
    assert decode_offset_value(value) == committed


@pytest.mark.parametrize("tagged", ["00 04 00112233", "904e 04 00112233", "914e 00"])
def test_tagged_fields_of_another_length_are_malformed(tagged: str) -> None:
    with pytest.raises(MalformedRecord):
        decode_offset_value(_bytes(f"0004 000000000000002a 00000005 03 6d65 0000018bcfe56800 01 {tagged}"))


@pytest.mark.parametrize(
    ("value", "leader_epoch"),
    [
        ("0000 000000000000002a 0002 6d65 0000018bcfe56800", -1),
        ("0001 000000000000002a 0002 6d65 0000018bcfe56800 ffffffffffffffff", -1),
        ("0002 000000000000002a 0002 6d65 0000018bcfe56800", -1),
        ("0003 000000000000002a 00000005 0002 6d65 0000018bcfe56800", 5),
        ("0004 000000000000002a 00000005 03 6d65 0000018bcfe56800 (tags) 00", 5),
        (
            "0004 000000000000002a 00000005 03 6d65 0000018bcfe56800 (tags) 01 07 04 00112233",
            5,
        ),
    ],
)
def test_committed_offsets_of_all_versions_are_read(value: str, leader_epoch: int) -> None:
    assert decode_offset_value(_bytes(value)) == CommittedOffset(
        offset=42, leader_epoch=leader_epoch, metadata="me", commit_timestamp_ms=1_700_000_000_000
    )


def test_a_group() -> None:
    assert encode_group_value(GROUP) == GROUP_VALUE
    assert decode_group_value(GROUP_VALUE) == GROUP


def test_an_empty_group() -> None:
    empty = GroupSnapshot(
        protocol_type="consumer",
        generation=3,
        protocol_name=None,
        leader_id=None,
        state_timestamp_ms=None,
        members=(),
    )
    value = _bytes("0003 0008 636f6e73756d6572 00000003 ffff ffff ffffffffffffffff 00000000")
    assert encode_group_value(empty) == value
    assert decode_group_value(value) == empty


@pytest.mark.parametrize(
    ("value", "has_since", "has_rebalance_timeout"),
    [
        (
            """0000 0008 636f6e73756d6572 00000002 0005 72616e6765 0003 612d31 00000001
            0003 612d31 0001 61 000a 2f3132372e302e302e31 00002710 00000002 7331 00000003 617331""",
            False,
            False,
        ),
        (
            """0001 0008 636f6e73756d6572 00000002 0005 72616e6765 0003 612d31 00000001
            0003 612d31 0001 61 000a 2f3132372e302e302e31 0000ea60 00002710 00000002 7331 00000003 617331""",
            False,
            True,
        ),
        (
            """0002 0008 636f6e73756d6572 00000002 0005 72616e6765 0003 612d31 0000018bcfe56800 00000001
            0003 612d31 0001 61 000a 2f3132372e302e302e31 0000ea60 00002710 00000002 7331 00000003 617331""",
            True,
            True,
        ),
        (
            """0004 09 636f6e73756d6572 00000002 06 72616e6765 04 612d31 0000018bcfe56800 02
            04 612d31 00 02 61 0b 2f3132372e302e302e31 0000ea60 00002710 03 7331 04 617331 (tags) 01 00 01 ff
            (tags) 00""",
            True,
            True,
        ),
    ],
)
def test_groups_of_all_versions_are_read(value: str, has_since: bool, has_rebalance_timeout: bool) -> None:
    group = decode_group_value(_bytes(value))
    assert group.members[0].rebalance_timeout_ms == (60_000 if has_rebalance_timeout else None)
    assert group.state_timestamp_ms == (1_700_000_000_000 if has_since else None)
    assert (group.protocol_type, group.generation, group.protocol_name, group.leader_id) == (
        "consumer",
        2,
        "range",
        "a-1",
    )
    assert (group.members[0].subscription, group.members[0].assignment) == (b"s1", b"as1")


_names = st.text(max_size=20)
_timestamps = st.none() | st.integers(0, 2**62)
_members = st.builds(
    MemberSnapshot,
    member_id=_names,
    instance_id=st.none() | _names,
    client_id=_names,
    client_host=_names,
    rebalance_timeout_ms=st.none() | st.integers(0, 2**31 - 1),
    session_timeout_ms=st.integers(0, 2**31 - 1),
    subscription=st.binary(max_size=20),
    assignment=st.binary(max_size=20),
)


@given(
    st.builds(
        GroupSnapshot,
        protocol_type=_names,
        generation=st.integers(0, 2**31 - 1),
        protocol_name=st.none() | _names,
        leader_id=st.none() | _names,
        state_timestamp_ms=_timestamps,
        members=st.lists(_members, max_size=3).map(tuple),
    )
)
def test_groups_come_back_as_they_were(group: GroupSnapshot) -> None:
    assert decode_group_value(encode_group_value(group)) == group


@given(
    _names,
    _names,
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**62),
    st.integers(-1, 2**31 - 1),
    _names,
    st.binary(min_size=16, max_size=16),
    st.none() | st.integers(0, 2**62),
    st.none() | st.integers(0, 2**62),
)
def test_offsets_come_back_as_they_were(
    group_id: str,
    topic: str,
    partition: int,
    offset: int,
    epoch: int,
    metadata: str,
    topic_id: bytes,
    metadata_offset: int | None,
    expire_ms: int | None,
) -> None:
    name = TopicPartition(topic, partition)
    assert decode_key(encode_offset_key(group_id, name)) == OffsetKey(group_id, name)
    committed = CommittedOffset(
        offset=offset,
        leader_epoch=epoch,
        metadata=metadata,
        commit_timestamp_ms=1,
        topic_id=TopicId(topic_id),
        metadata_offset=metadata_offset,
        expire_timestamp_ms=expire_ms,
    )
    assert decode_offset_value(encode_offset_value(committed)) == committed


def test_values_above_the_known_versions_are_of_a_later_release() -> None:
    for decode in (decode_group_value, decode_offset_value):
        with pytest.raises(UnknownRecordKind):
            decode(_bytes("0005 00"))


@pytest.mark.parametrize("length", range(len(GROUP_VALUE)))
def test_a_group_that_is_cut_off_is_malformed(length: int) -> None:
    with pytest.raises(MalformedRecord):
        decode_group_value(GROUP_VALUE[:length])


@given(st.binary(max_size=80))
def test_garbage_is_malformed_or_something(garbage: bytes) -> None:
    for decode in (decode_key, decode_group_value, decode_offset_value):
        try:
            decode(garbage)
        except (MalformedRecord, UnknownRecordKind):
            continue


@pytest.mark.parametrize(
    "value",
    [
        "ffff",
        "0003 ffff (null where a string must be)",
        "0003 0001 ff (not UTF-8)",
        "0004 ffffffffff (an endless varint)",
        "0003 0000 00000000 ffff ffff ffffffffffffffff 7fffffff (members that do not fit)",
        "0003 0000 00000000 ffff ffff ffffffffffffffff ffffffff (fewer than none)",
    ],
)
def test_what_cannot_be_a_group_is_malformed(value: str) -> None:
    with pytest.raises(MalformedRecord):
        decode_group_value(_bytes(value))
