"""Snapshots of `__meta` on disk, named as KRaft names its own: `<end offset>-<epoch>.checkpoint`.

`cluster.snapshot` defines the content. The newest one counts; it is whole, because it gets its name when
it is durable.
"""

import re

from chronik.log.checkpoint import read_file
from chronik.log.disk import Disk, write_atomically
from chronik.node.partition_directories import METADATA_DIRECTORY
from chronik.vocab.ids import LeaderEpoch, Offset

_NAME = re.compile(r"([0-9]{20})-([0-9]{10})\.checkpoint")


class MetadataSnapshots:
    """Used by the metadata partition alone."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def latest(self) -> bytes | None:
        """The content of the newest, None when there is none. Raises OSError."""
        offsets = self._offsets()
        return read_file(self._disk, _path(offsets[max(offsets)])) if offsets else None

    def write(self, offset: Offset, epoch: LeaderEpoch, content: bytes) -> None:
        """Keep what stands for all records below `offset`; older ones go. Durable when this returns."""
        name = f"{offset:020d}-{epoch:010d}.checkpoint"
        self._disk.make_directory(METADATA_DIRECTORY)
        write_atomically(self._disk, _path(name), content)
        for older, old_name in self._offsets().items():
            if older < offset:
                self._disk.remove(_path(old_name))

    def _offsets(self) -> dict[int, str]:
        names = self._disk.list(METADATA_DIRECTORY)
        found = ((_NAME.fullmatch(name), name) for name in names)
        return {int(match[1]): name for match, name in found if match is not None}


def _path(name: str) -> str:
    return f"{METADATA_DIRECTORY}/{name}"
