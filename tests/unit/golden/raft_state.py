"""The journal of terms and votes, its witness."""

from collections.abc import Callable
from typing import Any

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
from chronik.raft.state_replay import replay
from chronik.raft.store_witness import WITNESS_FILE, Witness, read_witness, write_witness
from chronik.sim.disk import CrashDisk
from chronik.vocab.ids import Offset

from .metadata import DIRECTORIES, ONE, THREE, TOPIC_ID, TWO
from .sample import Sample

GROUP = GroupId(TOPIC_ID, 7)
DURABLE_BYTES = 4711

MEMBERSHIP = Membership(
    voters=frozenset({ONE, TWO}),
    learners=frozenset({THREE}),
    replicas=founding_replicas({ONE: DIRECTORIES[0], TWO: DIRECTORIES[1], THREE: DIRECTORIES[2] + "+1"}),
)
# After the first, as its third change.
REVISED = Membership(
    voters=frozenset({ONE}),
    learners=frozenset({THREE}),
    replicas=frozenset({ReplicaId(ONE, DIRECTORIES[0]), ReplicaId(THREE, DIRECTORIES[2], 3)}),
)
BASE = MarkerBase(RaftIndex(40), Offset(37), Term(3), MEMBERSHIP, RaftIndex(39))
BEGINNING = MarkerBase(BEFORE_FIRST, Offset(0), NO_TERM, Membership(voters=frozenset({ONE})), BEFORE_FIRST)
MARKERS = [
    MarkerRecord(RaftIndex(41), Offset(37), Term(4)),
    MarkerRecord(RaftIndex(50), Offset(45), Term(4), MEMBERSHIP),
]
HARD_STATE = HardState(term=Term(5), voted_for=TWO)
IMAGE = GroupImage(HARD_STATE, BASE, MARKERS, True, 2, Offset(36))
REVISED_MARKERS = [MarkerRecord(RaftIndex(60), Offset(54), Term(5), REVISED)]
REVISED_IMAGE = IMAGE._replace(base=BASE._replace(membership=REVISED), markers=[], revision=7)
FIRST_IMAGE = GroupImage(HardState(), BEGINNING, [], False, 0, Offset(0))

Parse = Callable[[memoryview], Any]


def _decoded(parse: Parse) -> Callable[[bytes], object]:
    """Kind, group, what the kind has, and the durable bytes of the frame."""

    def decode(content: bytes) -> object:
        found = codec.read_frame(content, 0)
        assert found is not None
        assert found.end == len(content)
        return *codec.parse_group(found.body), parse(found.body), found.durable_bytes

    return decode


def _sample(kind: Kind, name: str, body: bytes | None, value: object, parse: Parse) -> Sample:
    return Sample(
        name=f"raft-state/{kind.name}{name}",
        value=(kind, GROUP, value, DURABLE_BYTES),
        encoded=None if body is None else codec.frame(body, DURABLE_BYTES),
        decode=_decoded(parse),
    )


def _nothing(body: memoryview) -> None:
    return None


def _journal() -> bytes:
    states = [
        codec.format_state(GROUP, FIRST_IMAGE),
        codec.format_hard_state(GROUP, HARD_STATE),
        codec.format_restart(GROUP, BASE),
        codec.format_markers(GROUP, MARKERS),
        codec.format_log_end(GROUP, Offset(36)),
        codec.format_state(GroupId(TOPIC_ID, 8), FIRST_IMAGE),
    ]
    first, *rest = (codec.frame(body, 0) for body in states)
    return codec.format_file_header(len(first), 3) + first + b"".join(rest)


def _replayed(content: bytes) -> object:
    found = replay(content)
    groups = {group: state.image() for group, state in found.groups.items()}
    groups = {group: image._replace(markers=list(image.markers)) for group, image in groups.items()}
    return groups, found.end, found.header


JOURNAL = _journal()
FIRST_FRAME_BYTES = len(codec.frame(codec.format_state(GROUP, FIRST_IMAGE), 0))


def _header(version: int, size: int, generation: int) -> codec.FileHeader:
    return codec.FileHeader(version, size, size + FIRST_FRAME_BYTES, generation)


def _witness() -> bytes:
    disk = CrashDisk()
    write_witness(disk, Witness(3, 4711), is_durable=True)
    file = disk.open(WITNESS_FILE)
    return file.read_at(0, file.size())


def _read_witness(content: bytes) -> object:
    disk = CrashDisk()
    disk.open(WITNESS_FILE, create=True).append([content])
    return read_witness(disk)


SAMPLES = [
    _sample(Kind.STATE, "", codec.format_state(GROUP, IMAGE), IMAGE, codec.parse_state),
    _sample(
        Kind.STATE, ".revised", codec.format_state(GROUP, REVISED_IMAGE), REVISED_IMAGE, codec.parse_state
    ),
    _sample(Kind.STATE, ".first", codec.format_state(GROUP, FIRST_IMAGE), FIRST_IMAGE, codec.parse_state),
    _sample(
        Kind.HARD_STATE, "", codec.format_hard_state(GROUP, HARD_STATE), HARD_STATE, codec.parse_hard_state
    ),
    _sample(
        Kind.HARD_STATE,
        ".no_vote",
        codec.format_hard_state(GROUP, HardState(term=Term(6))),
        HardState(term=Term(6)),
        codec.parse_hard_state,
    ),
    # Only read: of version 1.
    _sample(Kind.WIPED, "", None, True, codec.parse_wiped),
    _sample(Kind.MARKERS, "", codec.format_markers(GROUP, MARKERS), MARKERS, codec.parse_markers),
    _sample(
        Kind.MARKERS,
        ".revised",
        codec.format_markers(GROUP, REVISED_MARKERS),
        REVISED_MARKERS,
        codec.parse_markers,
    ),
    _sample(
        Kind.TRUNCATE,
        "",
        codec.format_truncate(GROUP, RaftIndex(45)),
        RaftIndex(45),
        codec.parse_index,
    ),
    _sample(Kind.RESTART, "", codec.format_restart(GROUP, BASE), BASE, codec.parse_restart),
    _sample(Kind.REBASE, "", codec.format_rebase(GROUP, RaftIndex(44)), RaftIndex(44), codec.parse_index),
    _sample(Kind.FORGET, "", codec.format_forget(GROUP), None, _nothing),
    _sample(Kind.LOG_END, "", codec.format_log_end(GROUP, Offset(36)), Offset(36), codec.parse_log_end),
    _sample(Kind.LOSS, "", codec.format_loss(GROUP, 2, Offset(12)), (2, Offset(12)), codec.parse_loss),
    Sample(
        name="raft-state/file",
        value=(
            {
                GROUP: GroupImage(HARD_STATE, BASE, MARKERS, True, 0, Offset(36)),
                GroupId(TOPIC_ID, 8): FIRST_IMAGE,
            },
            len(JOURNAL),
            _header(codec.VERSION, codec.FILE_HEADER_BYTES, 3),
        ),
        encoded=JOURNAL,
        decode=_replayed,
    ),
    # As version 1 wrote it: without a generation, with lost files as a flag.
    Sample(
        name="raft-state/file.version_1",
        value=(
            {GROUP: GroupImage(HARD_STATE, BASE, MARKERS, True, 1, Offset(0))},
            478,
            codec.FileHeader(1, 24, 226, 0),
        ),
        encoded=None,
        decode=_replayed,
    ),
    Sample(
        name="raft-state/witness",
        value=Witness(3, 4711),
        encoded=_witness(),
        decode=_read_witness,
    ),
]
