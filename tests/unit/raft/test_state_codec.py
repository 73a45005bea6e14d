"""The bytes of the state journal: fixed, because nodes must read what older ones wrote; and read back."""

import struct

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.raft import state_codec as codec
from chronik.raft.core.types import (
    BEFORE_FIRST,
    NO_TERM,
    HardState,
    Membership,
    RaftIndex,
    ReplicaId,
    Term,
    founding_replicas,
)
from chronik.raft.group import GroupId
from chronik.raft.markers import MarkerBase, MarkerRecord
from chronik.raft.state_codec import GroupImage, Kind
from chronik.vocab.ids import NodeId, Offset, TopicId

GROUP = GroupId(TopicId(bytes(range(16))), 7)

nodes = st.integers(0, 2**31 - 1).map(NodeId)
memberships = st.builds(
    Membership,
    voters=st.frozensets(nodes, min_size=1, max_size=5),
    learners=st.frozensets(nodes, max_size=3),
    replicas=st.frozensets(
        st.builds(ReplicaId, nodes, st.text(max_size=30), st.sampled_from([0, 0, 1, 1 << 20, (1 << 31) - 1])),
        max_size=3,
    ),
)
indexes = st.integers(-1, 2**62).map(RaftIndex)
offsets = st.integers(0, 2**62).map(Offset)
terms = st.integers(0, 2**31 - 1).map(Term)
markers = st.builds(MarkerRecord, indexes, offsets, terms, st.none() | memberships)
bases = st.builds(MarkerBase, indexes, offsets, terms, memberships, indexes)
hard_states = st.builds(HardState, term=terms, voted_for=st.none() | nodes)
images = st.builds(
    GroupImage,
    hard_states,
    bases,
    st.lists(markers, max_size=4),
    st.booleans(),
    st.integers(0, 2**32 - 1),
    offsets,
    st.sampled_from([0, 0, 1, 1 << 20, (1 << 31) - 1]),
)
topic_ids = st.binary(min_size=16, max_size=16).map(TopicId)
groups = st.builds(GroupId, topic_ids, st.integers(0, 2**31 - 1))

round_trip = settings(derandomize=True, deadline=None, database=None)


def body_of(written: bytes) -> memoryview:
    found = codec.read_frame(codec.frame(written, 0), 0)
    assert found is not None
    return found.body


@round_trip
@given(groups, images)
def test_a_state_is_read_as_it_was_written(group: GroupId, image: GroupImage) -> None:
    body = body_of(codec.format_state(group, image))
    assert codec.parse_group(body) == (Kind.STATE, group)
    assert codec.parse_state(body) == image


@round_trip
@given(hard_states, st.lists(markers, max_size=4), indexes, bases, st.integers(0, 2**32 - 1), offsets)
def test_changes_are_read_as_they_were_written(
    hard_state: HardState,
    records: list[MarkerRecord],
    index: RaftIndex,
    base: MarkerBase,
    losses: int,
    log_end: Offset,
) -> None:
    assert codec.parse_hard_state(body_of(codec.format_hard_state(GROUP, hard_state))) == hard_state
    assert codec.parse_markers(body_of(codec.format_markers(GROUP, records))) == records
    assert codec.parse_index(body_of(codec.format_truncate(GROUP, index))) == index
    assert codec.parse_index(body_of(codec.format_rebase(GROUP, index))) == index
    assert codec.parse_restart(body_of(codec.format_restart(GROUP, base))) == base
    assert codec.parse_log_end(body_of(codec.format_log_end(GROUP, log_end))) == log_end
    assert codec.parse_loss(body_of(codec.format_loss(GROUP, losses, log_end))) == (losses, log_end)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (codec.format_hard_state(GROUP, HardState()), Kind.HARD_STATE),
        (codec.format_log_end(GROUP, Offset(1)), Kind.LOG_END),
        (codec.format_loss(GROUP, 1, Offset(1)), Kind.LOSS),
        (codec.format_markers(GROUP, []), Kind.MARKERS),
        (codec.format_truncate(GROUP, RaftIndex(1)), Kind.TRUNCATE),
        (codec.format_rebase(GROUP, RaftIndex(1)), Kind.REBASE),
        (codec.format_forget(GROUP), Kind.FORGET),
    ],
)
def test_every_record_names_its_kind_and_group(body: bytes, kind: Kind) -> None:
    assert codec.parse_group(body_of(body)) == (kind, GROUP)


def test_the_bytes_of_a_small_state() -> None:
    alone = Membership(voters=frozenset({NodeId(1)}), replicas=founding_replicas({NodeId(1): "ab"}))
    base = MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, alone, BEFORE_FIRST)
    start = MarkerRecord(RaftIndex(0), Offset(0), Term(1))
    image = GroupImage(HardState(term=Term(1), voted_for=NodeId(1)), base, [start], True, 2, Offset(9))
    fields = (
        b"\x01" + GROUP.topic_id + b"\x00\x00\x00\x07",
        # Term, vote, flags.
        b"\x00\x00\x00\x01" + b"\x00\x00\x00\x01" + b"\x06",
        # How often files were lost, and the log end.
        b"\x00\x00\x00\x02" + bytes(7) + b"\x09",
        # The base's index, offset, term, index of the membership, bytes of it.
        b"\xff" * 8 + bytes(8) + bytes(4) + b"\xff" * 8 + b"\x00\x00\x00\x11",
        # Counts of voters, learners, replicas; the voter; node and name of the directory.
        b"\x00\x01\x00\x00\x00\x01" + b"\x00\x00\x00\x01" + b"\x00\x00\x00\x01\x02ab",
        # Markers; index, offset and term of the one, and no membership.
        b"\x00\x00\x00\x01" + bytes(8) + bytes(8) + b"\x00\x00\x00\x01" + bytes(4),
    )
    assert codec.format_state(GROUP, image) == b"".join(fields)


def test_the_bytes_of_a_membership_with_revisions() -> None:
    """Four more for each name, and a bit in their count; the founders have none of them."""
    voters = frozenset(map(NodeId, (1, 2)))
    replicas = frozenset({ReplicaId(NodeId(1), "ab"), ReplicaId(NodeId(2), "c", 258)})
    written = codec.format_membership(Membership(voters=voters, replicas=replicas))
    counts, nodes = b"\x00\x02\x00\x00\x80\x02", b"\x00\x00\x00\x01\x00\x00\x00\x02"
    first, second = b"\x00\x00\x00\x01\x02ab" + bytes(4), b"\x00\x00\x00\x02\x01c\x00\x00\x01\x02"
    assert written == counts + nodes + first + second


def test_the_bytes_of_log_ends_and_losses() -> None:
    name = GROUP.topic_id + b"\x00\x00\x00\x07"
    assert codec.format_log_end(GROUP, Offset(258)) == b"\x09" + name + bytes(6) + b"\x01\x02"
    written = codec.format_loss(GROUP, 3, Offset(258))
    assert written == b"\x0a" + name + b"\x00\x00\x00\x03" + bytes(6) + b"\x01\x02"


@pytest.mark.parametrize(("flags", "losses"), [(0, 0), (1, 1), (2, 0), (3, 1)])
def test_a_state_of_version_1_is_read(flags: int, losses: int) -> None:
    """It knew of no log ends, and of one loss at most: a replica that was wiped."""
    base = MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, Membership(voters=frozenset()), BEFORE_FIRST)
    image = GroupImage(HardState(), base, [], bool(flags & 2), 0, Offset(0))
    written = codec.format_state(GROUP, image)
    # Kind, group, term and vote; flags; losses and log end.
    old = written[:29] + bytes([flags]) + written[42:]
    assert codec.parse_state(body_of(old)) == image._replace(losses=losses)
    assert codec.parse_wiped(body_of(b"\x03" + written[1:21] + b"\x01"))


def test_the_bytes_around_a_record() -> None:
    written = codec.frame(codec.format_forget(GROUP), 4096)
    assert written[:4] == b"\xc4\x9eRS"
    assert struct.unpack(">IQ", written[8:20]) == (21, 4096)
    assert written[20:] == b"\x08" + GROUP.topic_id + b"\x00\x00\x00\x07"


@pytest.mark.parametrize("position", range(41))
def test_no_byte_of_a_record_can_change(position: int) -> None:
    written = bytearray(codec.frame(codec.format_forget(GROUP), 0))
    assert len(written) == 41
    written[position] ^= 0x10
    assert codec.read_frame(bytes(written), 0) is None


def test_a_part_of_a_record_is_none() -> None:
    written = codec.frame(codec.format_forget(GROUP), 0)
    assert all(codec.read_frame(written[:size], 0) is None for size in range(len(written)))


def test_records_are_found_behind_what_is_none() -> None:
    one, other = (codec.frame(codec.format_forget(GroupId(GROUP.topic_id, n)), n) for n in (1, 2))
    content = one[:-1] + bytes(50) + one + b"\xc4\x9eRS" + bytes(9) + other + other[:30]
    found = list(codec.find_frames(content, 0))
    assert [frame.durable_bytes for _, frame in found] == [1, 2]
    assert content[found[0][0] :].startswith(one)
    assert content[found[1][0] :].startswith(other)


def test_a_file_header() -> None:
    written = codec.format_file_header(1000, 7)
    assert written[:8] + written[8:10] == b"CHRNKRST\x00\x02"
    assert written[16:] == bytes(6) + b"\x03\xe8" + bytes(7) + b"\x07"
    assert codec.parse_file_header(written + b"more") == (2, 32, 32 + 1000, 7)
    assert codec.parse_file_header(written[:-1]) is None
    for position in range(len(written)):
        damaged = bytearray(written)
        damaged[position] ^= 1
        # Only what is between the fields may be anything.
        assert codec.parse_file_header(bytes(damaged)) is None or position in (10, 11)


def test_a_file_header_of_version_1() -> None:
    # As releases before wrote it, with 16 bytes of records.
    written = bytes.fromhex("4348524e4b525354000100009b1c3f7e0000000000000010")
    covered = bytearray(written)
    covered[12:16] = bytes(4)
    written = written[:12] + int(crc32c(bytes(covered))).to_bytes(4) + written[16:]
    assert codec.parse_file_header(written + b"more") == (1, 24, 24 + 16, 0)


@pytest.mark.parametrize("content", [b"\x00\x01", b"\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01", bytes(7)])
def test_a_membership_of_another_length_is_refused(content: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        codec.parse_membership(content)


def test_bytes_behind_the_markers_are_refused() -> None:
    with pytest.raises(ValueError, match="after the last marker"):
        codec.parse_markers(body_of(codec.format_markers(GROUP, []) + b"\x00"))


def test_equal_memberships_are_one_object() -> None:
    membership = Membership(voters=frozenset({NodeId(1), NodeId(2)}))
    content = codec.format_membership(membership)
    assert codec.parse_membership(content) is codec.parse_membership(bytes(bytearray(content)))
