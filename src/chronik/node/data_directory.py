"""A node's data directory: one identity forever.

Files as Kafka names them: `meta.properties`, `.kafka_cleanshutdown`, and `.lock` (`server.directory_lock`).
Our own: `clean-stop-checkpoint`, the state of each log at the last clean stop, and `raft-state`, that of the
groups. Earlier releases had `leader-epoch`, which is read once more.
"""

import base64
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

from chronik.log.checkpoint import read_file
from chronik.log.disk import Disk, write_atomically
from chronik.log.vouched import VouchedLog, format_vouched, parse_vouched
from chronik.node.partition_directories import METADATA_DIRECTORY, find_partitions
from chronik.vocab.ids import LeaderEpoch, NodeId

_log = logging.getLogger(__name__)

_META = "meta.properties"
_CLEAN = ".kafka_cleanshutdown"
_EPOCH = "leader-epoch"
# The state of each log at a clean stop: see `log.vouched`.
_VOUCHED = "clean-stop-checkpoint"
# `raft.state_store.STATE_FILE`.
_RAFT_STATE = "raft-state"


class DataDirectoryError(Exception):
    """The directory cannot be used; the text has the reason and the remedy."""


class Identity(NamedTuple):
    """The content of `meta.properties`."""

    cluster_id: str
    node_id: NodeId
    directory_id: str


def check_contents(disk: Disk, *, has_peers: bool) -> None:
    """Raises DataDirectoryError for a directory whose partitions this broker may not use.

    Partitions that the metadata does not name would be removed, so the metadata must not be missing.
    """
    if disk.exists(METADATA_DIRECTORY) or not find_partitions(disk):
        return
    if has_peers and disk.exists(_RAFT_STATE):
        # A node of a cluster: the others have the metadata, and send it again.
        return
    raise DataDirectoryError(
        f"the data directory has partitions, but no metadata log ({METADATA_DIRECTORY}): they may be those "
        "of another Kafka broker. Choose another directory with --data-dir, or restore the metadata log."
    )


def has_identity(disk: Disk) -> bool:
    """True if a node ever started here."""
    return disk.exists(_META)


def load_identity(
    disk: Disk,
    node_id: NodeId,
    cluster_id: str | None,
    *,
    new_cluster_id: Callable[[], str] | None = None,
) -> Identity:
    """Returns the directory's identity, created at the first start: in the cluster `cluster_id`, else
    `new_cluster_id`, else a new one. Raises DataDirectoryError when it is another node's.
    """
    if not disk.exists(_META):
        if disk.exists(METADATA_DIRECTORY):
            raise DataDirectoryError(
                f"the data directory has data, but no {_META}, which says whose it is. "
                "Restore it, or choose another directory with --data-dir."
            )
        new_cluster = cluster_id or (new_cluster_id or _new_id)()
        identity = Identity(cluster_id=new_cluster, node_id=node_id, directory_id=_new_id())
        write_atomically(disk, _META, _format(identity))
        return identity
    identity = _parse(_read(disk, _META))
    if identity.node_id != node_id:
        raise DataDirectoryError(
            f"the data directory belongs to node {identity.node_id}, not {node_id}. "
            f"Start with --node-id {identity.node_id}, or choose another directory with --data-dir."
        )
    if cluster_id is not None and cluster_id != identity.cluster_id:
        raise DataDirectoryError(
            f"the data directory belongs to cluster {identity.cluster_id}, not {cluster_id}. "
            "Remove the cluster id from the configuration, or choose another directory with --data-dir."
        )
    return identity


def renew_directory_id(disk: Disk) -> str:
    """Make the directory another one to the cluster, which goes by its id; the new id, durably. Raises
    OSError, DataDirectoryError.
    """
    identity = _parse(_read(disk, _META))._replace(directory_id=_new_id())
    write_atomically(disk, _META, _format(identity))
    return identity.directory_id


def earlier_leader_epoch(disk: Disk) -> LeaderEpoch | None:
    """Returns the epoch of the last start of a release that had one for all only replicas of a node, and no
    terms of them; None where there is none. Raises OSError, DataDirectoryError.
    """
    if not disk.exists(_EPOCH):
        return None
    text = _read(disk, _EPOCH).strip()
    if not text.isdigit():
        raise DataDirectoryError(
            f"{_EPOCH} is damaged. Write a number into it that is larger than every epoch in the "
            "partitions' leader-epoch-checkpoint files."
        )
    return LeaderEpoch(int(text))


def forget_earlier_leader_epoch(disk: Disk) -> None:
    """Every partition has a term above it, durably. Raises OSError."""
    if disk.exists(_EPOCH):
        disk.remove(_EPOCH)
        disk.sync_directory("")
        _log.info("leader epochs of an earlier release taken over into raft-state")


def has_clean_mark(disk: Disk) -> bool:
    """True if the last stop was clean; for tools that inspect a directory not in use."""
    return disk.exists(_CLEAN)


def take_clean_mark(disk: Disk) -> bool:
    """True if the last stop was clean. The mark is gone for good before anything is written."""
    if not disk.exists(_CLEAN):
        return False
    disk.remove(_CLEAN)
    disk.sync_directory("")
    return True


def leave_clean_mark(disk: Disk) -> None:
    """Marks that every log is synced and closed, with its indexes and snapshots."""
    write_atomically(disk, _CLEAN, b'{"version":0,"brokerEpoch":-1}')


def read_vouched(disk: Disk) -> dict[str, VouchedLog]:
    """Returns the last clean stop's note of each log, by directory; empty when there was none, or it is
    damaged.
    """
    content = read_file(disk, _VOUCHED)
    if content is None:
        return {}
    vouched = parse_vouched(content)
    if vouched is None:
        _log.error(
            "clean-stop-checkpoint damaged; lost files may go unnoticed",
            extra={"file": _VOUCHED},
        )
    return vouched or {}


def write_vouched(disk: Disk, logs: Mapping[str, VouchedLog]) -> None:
    """Writes the note of each log at a clean stop, before the mark. Raises OSError."""
    write_atomically(disk, _VOUCHED, format_vouched(logs))


def _new_id() -> str:
    """A random id as Kafka prints its own: URL-safe base64 of a UUID."""
    # For the first start only.
    import uuid

    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def _format(identity: Identity) -> bytes:
    return (
        "version=1\n"
        f"cluster.id={identity.cluster_id}\n"
        f"node.id={identity.node_id}\n"
        f"directory.id={identity.directory_id}\n"
    ).encode()


def _parse(text: bytes) -> Identity:
    lines = (line.partition("=") for line in text.decode("utf-8", "replace").splitlines() if "=" in line)
    values = {key.strip(): value.strip() for key, _, value in lines}
    try:
        return Identity(
            cluster_id=values["cluster.id"],
            node_id=NodeId(int(values["node.id"])),
            directory_id=values["directory.id"],
        )
    except (KeyError, ValueError) as error:
        raise DataDirectoryError(
            f"{_META} is damaged ({error}). Restore it, or choose another directory with --data-dir."
        ) from error


def _read(disk: Disk, path: str) -> bytes:
    file = disk.open(path)
    try:
        return file.read_at(0, file.size())
    finally:
        file.close()
