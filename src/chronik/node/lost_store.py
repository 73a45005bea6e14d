"""Opens a node's store of terms and votes, also when it was lost or damaged.

Forgotten votes may be cast twice. So a node whose store was lost, cut or damaged goes on as another one, on a
directory of a new id, as if its disk had been replaced (decisions 0009, "Lost disks", and 0013): the leaders
of its groups remove it from their voters, send it everything, and make it a voter again.
"""

import logging
from collections.abc import Callable

from chronik.log.disk import Disk
from chronik.log.names import LOG
from chronik.node.data_directory import has_identity, renew_directory_id
from chronik.node.partition_directories import METADATA_DIRECTORY, find_partitions
from chronik.raft.group import GroupId
from chronik.raft.state_store import STATE_FILE, StateStore, StoreDamaged

_log = logging.getLogger(__name__)


def open_store(disk: Disk) -> StateStore:
    """The store; an empty one where neither the file can be believed nor the last stop left a copy. Raises
    OSError, StoreTooNew and DataDirectoryError.
    """
    store = _open_store(disk)
    store.remove_copy()
    return store


def open_own_store(disk: Disk, check: Callable[[StateStore], None]) -> StateStore:
    """The store of a node that is its cluster. A lost one costs nothing that the logs do not have, for nobody
    else has a vote. `check` raises for one that is not this node's to use, before anything is changed. Raises
    OSError, StoreTooNew, and what `check` does.
    """
    try:
        store = StateStore.open(disk)
    except StoreDamaged as damage:
        extra = {"file": STATE_FILE, "what": str(damage)}
        restored = StateStore.restore(disk)
        if restored is None:
            _log.error("terms were lost: leader epochs go on from those in the logs", extra=extra)
            return StateStore.begin_anew(disk)
        _log.error("terms and votes restored: the copy of the last stop is whole", extra=extra)
        store = restored
    check(store)
    store.remove_copy()
    return store


def _open_store(disk: Disk) -> StateStore:
    try:
        return StateStore.open(disk)
    except StoreDamaged as damage:
        restored = StateStore.restore(disk)
        if restored is not None:
            extra = {"file": STATE_FILE, "what": str(damage)}
            _log.error("terms and votes restored: the copy of the last stop is whole", extra=extra)
            return restored
        # Before the store: a start that is cut short here finds it damaged again.
        directory_id = renew_directory_id(disk) if has_identity(disk) else ""
        extra = {"file": STATE_FILE, "what": str(damage), "directory_id": directory_id}
        _log.error(
            "votes of this node were lost: it goes on as on a replaced disk, without a vote in any partition "
            "until it has caught up there",
            extra=extra,
        )
        return StateStore.begin_anew(disk)


def is_new_member(disk: Disk, store: StateStore, metadata_group: GroupId) -> bool:
    """True if this node has never taken part in a cluster, as far as its disk shows. One that has lost its
    store did, and must not found another cluster.
    """
    if store.get(metadata_group) is not None:
        return False
    return not _has_records(disk, METADATA_DIRECTORY) and not find_partitions(disk, {METADATA_DIRECTORY})


def _has_records(disk: Disk, directory: str) -> bool:
    for name in disk.list(directory):
        if name.endswith(LOG):
            file = disk.open(f"{directory}/{name}")
            try:
                if file.size():
                    return True
            finally:
                file.close()
    return False
