"""`__consumer_offsets`: as Kafka writes it, with two tagged fields of ours in a committed offset."""

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
from chronik.vocab.ids import TopicPartition

from .metadata import TOPIC_ID
from .sample import Sample

PARTITION = TopicPartition("orders.eu", 3)
COMMITTED = CommittedOffset(
    offset=120,
    leader_epoch=5,
    metadata="caf\u00e9",
    commit_timestamp_ms=1_700_000_000_000,
    expire_timestamp_ms=1_700_000_360_000,
    topic_id=TOPIC_ID,
    metadata_offset=77,
)
PLAIN = CommittedOffset(offset=120, commit_timestamp_ms=1_700_000_000_000)
STATIC = MemberSnapshot(
    member_id="consumer-1-a",
    instance_id="instance-1",
    client_id="consumer-1",
    client_host="/127.0.0.1",
    rebalance_timeout_ms=300_000,
    session_timeout_ms=45_000,
    subscription=b"a subscription",
    assignment=b"an assignment",
)
STABLE = GroupSnapshot(
    protocol_type="consumer",
    generation=4,
    protocol_name="range",
    leader_id="consumer-1-a",
    state_timestamp_ms=1_700_000_000_000,
    members=(STATIC,),
)
EMPTY = GroupSnapshot(
    protocol_type="consumer",
    generation=5,
    protocol_name=None,
    leader_id=None,
    state_timestamp_ms=1_700_000_000_000,
    members=(),
)

SAMPLES = [
    Sample(
        name="groups/offset_key",
        value=OffsetKey("a group", PARTITION),
        encoded=encode_offset_key("a group", PARTITION),
        decode=decode_key,
    ),
    Sample(
        name="groups/offset",
        value=COMMITTED,
        encoded=encode_offset_value(COMMITTED),
        decode=decode_offset_value,
    ),
    Sample(
        name="groups/offset.plain",
        value=PLAIN,
        encoded=encode_offset_value(PLAIN),
        decode=decode_offset_value,
    ),
    Sample(
        name="groups/group_key",
        value=GroupKey("a group"),
        encoded=encode_group_key("a group"),
        decode=decode_key,
    ),
    Sample(name="groups/group", value=STABLE, encoded=encode_group_value(STABLE), decode=decode_group_value),
    Sample(
        name="groups/group.empty", value=EMPTY, encoded=encode_group_value(EMPTY), decode=decode_group_value
    ),
]
