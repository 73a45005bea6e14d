"""What each change of a node's disk is for: the points at which a crash must do no harm.

A `Classifier` follows the changes of one life of a node and names each; what a name covers is beside it.
"""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from chronik.node.metadata_partition import METADATA_PARTITION, METADATA_TOPIC_ID
from chronik.node.partition_directories import METADATA_DIRECTORY
from chronik.raft import state_codec as codec
from chronik.raft.group import GroupId
from chronik.raft.state_codec import Kind
from chronik.raft.state_store import COPY_FILE, STATE_FILE
from chronik.raft.store_witness import WITNESS_FILE
from chronik.sim.process_disk import Change, Operation, Where
from chronik.vocab.ids import NodeId

METADATA_GROUP = GroupId(METADATA_TOPIC_ID, METADATA_PARTITION.partition)


class Point(Enum):
    """A kind of change."""

    # Records of a topic.
    APPEND = "append"
    APPEND_FSYNC = "append, fsync"
    ROLL = "roll"
    # Records of the metadata.
    METADATA_APPEND = "metadata append"
    METADATA_FSYNC = "metadata append, fsync"
    # The journal of terms and markers.
    MARKER = "leader start"
    MEMBERSHIP = "membership"
    VOTE = "vote"
    TERM = "term without a vote"
    LOG_END = "log end"
    STATE_FSYNC = "raft-state, fsync"
    STATE_SIZE = "raft-state, size noted"
    STATE_REWRITE = "raft-state rewritten, write"
    STATE_REWRITE_FSYNC = "raft-state rewritten, fsync"
    STATE_REWRITE_RENAME = "raft-state rewritten, rename"
    STATE_REWRITE_NAMES = "raft-state rewritten, fsync of the name"
    # A suffix that contradicts the leader's log goes.
    TRUNCATE = "truncate, log"
    TRUNCATE_FSYNC = "truncate, fsync"
    TRUNCATE_BESIDE = "truncate, what is beside the log"
    TRUNCATE_MARKERS = "truncate, markers"
    # A log starts over, where its leader's begins.
    RESTART_MARKERS = "restart, markers"
    RESTART_START = "restart, log start"
    RESTART_REMOVE = "restart, removal of segments"
    RESTART_NAMES = "restart, fsync of names"
    # Snapshots of the metadata.
    SNAPSHOT_WRITE = "snapshot, write"
    SNAPSHOT_FSYNC = "snapshot, fsync"
    SNAPSHOT_RENAME = "snapshot, rename"
    SNAPSHOT_NAMES = "snapshot, fsync of the name"
    SNAPSHOT_REMOVE = "snapshot, removal of the last"
    # What lies below a log's start goes.
    LOG_START = "log start"
    LOG_START_MARKERS = "log start, markers"
    SEGMENT_REMOVE = "removal of a segment"
    # A topic comes.
    CREATE_DIRECTORY = "create, directory"
    CREATE_METADATA = "create, partition.metadata"
    CREATE_SEGMENT = "create, first segment"
    CREATE_GROUP = "create, raft-state"
    CREATE_NAMES = "create, fsync of names"
    # A topic goes.
    DELETE_GROUP = "delete, raft-state"
    DELETE_RENAME = "delete, rename"
    DELETE_NAMES = "delete, fsync of names"
    DELETE_REMOVE = "delete, removal"
    # A node starts, or stops.
    START = "start, identity and epoch"
    RECOVERY = "recovery, log"
    RECOVERY_STATE = "recovery, raft-state"
    CLEAN_MARK = "mark of a clean stop"
    # Everything else; no life should have any.
    OTHER = "other"


class Step(NamedTuple):
    """One change with its name. `group`: whose it is; `directory`: the partition's, or empty."""

    point: Point
    group: GroupId | None
    directory: str
    # What the change says of itself: whom a vote is for.
    voted_for: NodeId | None = None


class Classifier:
    """For one life of a node. `is_serving`: whether it has opened all that its disk holds."""

    def __init__(self, is_serving: Callable[[], bool]) -> None:
        self._is_serving = is_serving
        # Directories whose log is being restarted, or truncated.
        self._restarting: set[str] = set()
        self._truncating: set[str] = set()
        self._is_restart_next = False
        self._is_state_rewritten = False
        # Directories that this life has made, and not synced.
        self._new: set[str] = set()

    def name(self, operation: Operation) -> Step:
        path = operation.path
        directory, _, name = path.rpartition("/")
        if path.startswith(WITNESS_FILE):
            return self._state_size(operation)
        if path == COPY_FILE:
            is_stop = operation.change is not Change.REMOVE
            return Step(Point.CLEAN_MARK if is_stop else Point.START, None, "")
        if path.startswith(STATE_FILE):
            return self._state(operation)
        if name.startswith((".kafka_cleanshutdown", "clean-stop-checkpoint")):
            return Step(Point.CLEAN_MARK, None, "")
        if "-delete" in path:
            point = Point.DELETE_RENAME if operation.change is Change.RENAME else Point.DELETE_REMOVE
            return Step(point, None, directory or path)
        if operation.change is Change.SYNC_DIRECTORY and path == "":
            return self._root_names(operation)
        if not self._is_serving() and path in ("meta.properties.tmp", "meta.properties", "leader-epoch.tmp"):
            return Step(Point.START, None, "")
        if not directory:
            return self._partition_directory(operation, path)
        return self._partition_file(operation, directory, name)

    # The journal.

    def _state(self, operation: Operation) -> Step:
        return (
            Step(self._state_point(operation), METADATA_GROUP, "")
            if self._is_beside(operation)
            else (self._state_record(operation.data))
        )

    def _state_size(self, operation: Operation) -> Step:
        if operation.change is Change.SYNC:
            # Then its name is made durable as well.
            self._new.add(WITNESS_FILE)
        return Step(Point.STATE_SIZE, METADATA_GROUP, "")

    def _is_beside(self, operation: Operation) -> bool:
        """True if it is no record of the journal in use, whose file keeps the path it was made with."""
        if operation.change is Change.CREATE:
            self._is_state_rewritten = True
        return operation.change is not Change.WRITE or self._is_state_rewritten

    def _state_point(self, operation: Operation) -> Point:
        match operation.change:
            case Change.SYNC if self._is_state_rewritten:
                return Point.STATE_REWRITE_FSYNC
            case Change.SYNC:
                return Point.STATE_FSYNC
            case Change.RENAME:
                self._is_state_rewritten = False
                self._new.add(STATE_FILE)
                return Point.STATE_REWRITE_RENAME
            case Change.TRUNCATE:
                return Point.RECOVERY_STATE
            case _:
                return Point.STATE_REWRITE

    def _state_record(self, data: bytes) -> Step:
        frame = codec.read_frame(data, 0)
        assert frame is not None, "not a record of the journal"
        kind, group = codec.parse_group(frame.body)
        voted_for = None
        match kind:
            case Kind.STATE:
                point = Point.CREATE_GROUP
            case Kind.HARD_STATE:
                voted_for = codec.parse_hard_state(frame.body).voted_for
                point = Point.TERM if voted_for is None else Point.VOTE
            case Kind.MARKERS:
                markers = codec.parse_markers(frame.body)
                has_membership = any(marker.membership is not None for marker in markers)
                point = Point.MEMBERSHIP if has_membership else Point.MARKER
            case Kind.TRUNCATE:
                point = Point.TRUNCATE_MARKERS if self._is_serving() else Point.RECOVERY_STATE
            case Kind.RESTART:
                self._is_restart_next = True
                point = Point.RESTART_MARKERS
            case Kind.FORGET:
                point = Point.DELETE_GROUP if self._is_serving() else Point.RECOVERY_STATE
            case Kind.REBASE:
                point = Point.LOG_START_MARKERS if self._is_serving() else Point.RECOVERY_STATE
            case Kind.WIPED | Kind.LOSS:
                point = Point.RECOVERY_STATE
            case Kind.LOG_END:
                point = Point.LOG_END
        return Step(point, group, "", voted_for)

    # Names in the data directory.

    def _root_names(self, operation: Operation) -> Step:
        if STATE_FILE in self._new:
            self._new.discard(STATE_FILE)
            return Step(Point.STATE_REWRITE_NAMES, METADATA_GROUP, "")
        if WITNESS_FILE in self._new:
            self._new.discard(WITNESS_FILE)
            return Step(Point.STATE_SIZE, METADATA_GROUP, "")
        if operation.where is Where.THREAD:
            return Step(Point.DELETE_NAMES, None, "")
        if operation.where is Where.ROUND:
            return Step(Point.CREATE_NAMES, None, "")
        if self._restarting:
            return Step(Point.RESTART_NAMES, None, next(iter(self._restarting)))
        return Step(Point.RECOVERY, None, "")

    def _partition_directory(self, operation: Operation, path: str) -> Step:
        match operation.change:
            case Change.CREATE:
                self._new.add(path)
                return Step(Point.CREATE_DIRECTORY, None, path)
            case Change.SYNC_DIRECTORY:
                return self._names(operation, path)
            case Change.RENAME | Change.REMOVE if operation.where is Where.LOOP:
                # What a deleted topic left is moved aside when its name is needed.
                return Step(Point.RECOVERY, None, path)
            case _:
                return Step(Point.OTHER, None, path)

    def _names(self, operation: Operation, path: str) -> Step:
        if operation.where is Where.ROUND:
            is_new = path in self._new
            self._new.discard(path)
            return Step(Point.CREATE_NAMES if is_new else Point.ROLL, None, path)
        if path in self._restarting or self._is_restart_next:
            return Step(Point.RESTART_NAMES, None, path)
        if path in self._truncating:
            return Step(Point.TRUNCATE_BESIDE, None, path)
        if operation.where is Where.THREAD:
            return Step(Point.SEGMENT_REMOVE, None, path)
        if path == METADATA_DIRECTORY:
            return Step(Point.SNAPSHOT_NAMES, METADATA_GROUP, path)
        return Step(Point.RECOVERY if not self._is_serving() else Point.CREATE_METADATA, None, path)

    # Files of a partition.

    def _partition_file(self, operation: Operation, directory: str, name: str) -> Step:
        return Step(self._file_point(operation, directory, name), None, directory)

    def _file_point(self, operation: Operation, directory: str, name: str) -> Point:
        change = operation.change
        if ".checkpoint" in name:
            return _snapshot_point(change)
        if name.startswith("partition.metadata"):
            return Point.CREATE_METADATA
        if "log-start-offset" in name:
            return self._log_start_point(operation, directory, name)
        if name.endswith(".log"):
            return self._log_point(operation, directory)
        if directory in self._truncating and operation.where is Where.LOOP:
            return Point.TRUNCATE_BESIDE
        if directory in self._restarting or self._is_restart_next:
            return Point.RESTART_REMOVE
        if operation.where is Where.THREAD:
            return Point.SEGMENT_REMOVE
        # Indexes, producers, epochs, recovery points.
        return Point.ROLL if self._is_serving() else Point.RECOVERY

    def _log_start_point(self, operation: Operation, directory: str, name: str) -> Point:
        if ".reset" in name or ".reset" in operation.source:
            self._restarting.add(directory)
            self._is_restart_next = False
            return Point.RESTART_START
        return Point.LOG_START

    def _log_point(self, operation: Operation, directory: str) -> Point:
        match operation.change:
            case Change.WRITE:
                self._restarting.discard(directory)
                self._truncating.discard(directory)
                is_metadata = directory == METADATA_DIRECTORY
                return Point.METADATA_APPEND if is_metadata else Point.APPEND
            case Change.SYNC if operation.where is Where.ROUND:
                is_metadata = directory == METADATA_DIRECTORY
                return Point.METADATA_FSYNC if is_metadata else Point.APPEND_FSYNC
            case Change.SYNC:
                return Point.TRUNCATE_FSYNC if directory in self._truncating else Point.RECOVERY
            case Change.TRUNCATE:
                if not self._is_serving():
                    return Point.RECOVERY
                self._truncating.add(directory)
                return Point.TRUNCATE
            case Change.CREATE if directory in self._restarting:
                return Point.RESTART_NAMES
            case Change.CREATE:
                return (
                    Point.CREATE_SEGMENT if operation.path.endswith("/" + "0" * 20 + ".log") else Point.ROLL
                )
            case Change.REMOVE if operation.where is Where.THREAD:
                return Point.SEGMENT_REMOVE
            case Change.REMOVE if directory in self._restarting:
                return Point.RESTART_REMOVE
            case Change.REMOVE if self._is_serving():
                return Point.TRUNCATE_BESIDE
            case _:
                return Point.RECOVERY


def _snapshot_point(change: Change) -> Point:
    match change:
        case Change.CREATE | Change.WRITE | Change.TRUNCATE:
            return Point.SNAPSHOT_WRITE
        case Change.SYNC:
            return Point.SNAPSHOT_FSYNC
        case Change.RENAME:
            return Point.SNAPSHOT_RENAME
        case _:
            return Point.SNAPSHOT_REMOVE
