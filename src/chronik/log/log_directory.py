"""A partition's directory: paths, small files, and making segments. Shared by the parts of one log."""

from chronik.log.checkpoint import format_offset, parse_offset_line, read_file, replace_unsynced
from chronik.log.damage import Damages
from chronik.log.disk import DirectorySync, Disk, Syncable, write_atomically
from chronik.log.handle_cache import HandleCache, LazyFile
from chronik.log.names import LEADER_EPOCHS, LOG_START, RECOVERY_POINT
from chronik.log.segment import Segment


class LogDirectory:
    """A log's directory and the way it opens files. `path` is relative to the disk, as `topic-0`."""

    __slots__ = ("damages", "disk", "handles", "path")

    def __init__(self, disk: Disk, handles: HandleCache, path: str) -> None:
        self.disk = disk
        self.handles = handles
        self.path = path
        self.damages = Damages()

    def join(self, name: str) -> str:
        return f"{self.path}/{name}"

    def names(self) -> list[str]:
        return self.disk.list(self.path)

    def file(self, name: str) -> LazyFile:
        return LazyFile(self.disk, self.handles, self.join(name))

    def segment(self, base_offset: int, created_ms: int) -> Segment:
        return Segment(self.disk, self.handles, self.path, base_offset, created_ms, self.damages)

    def read(self, name: str) -> bytes | None:
        return self.handles.make_room_for(lambda: read_file(self.disk, self.join(name)))

    def read_offset(self, name: str) -> int | None:
        """The offset in a checkpoint; None when it is missing or makes no sense."""
        content = self.read(name)
        return None if content is None else parse_offset_line(content)

    def format_offset(self, offset: int) -> bytes:
        return format_offset(self.path, offset)

    def write_recovery_point(self, offset: int) -> None:
        """Unsynced: a stale one only makes the next recovery read more. Not so where damage is known below
        it, which without it would pass for a torn end.
        """
        if self.damages.has_loss:
            self.write_recovery_point_durably(offset)
            return
        self._replace_unsynced(RECOVERY_POINT, self.format_offset(offset))

    def write_recovery_point_durably(self, offset: int) -> None:
        path, content = self.join(RECOVERY_POINT), self.format_offset(offset)
        self.handles.make_room_for(lambda: write_atomically(self.disk, path, content))

    def write_log_start(self, offset: int) -> None:
        """Durable when the directory is synced next. Not under the name of `write_atomically`, which a
        cleanup may be using in a thread.
        """
        temporary = self.join(f"{LOG_START}.reset.tmp")
        file = self.handles.make_room_for(lambda: self.disk.open(temporary, create=True))
        try:
            file.truncate(0)
            file.append([self.format_offset(offset)])
            file.sync()
        finally:
            file.close()
        self.disk.rename(temporary, self.join(LOG_START))

    def remove_recovery_point(self) -> None:
        """Without it all segments are read."""
        self.file(RECOVERY_POINT).remove()

    def write_epochs(self, content: bytes) -> LazyFile:
        """Replace the epoch checkpoint; the file to sync."""
        self._replace_unsynced(LEADER_EPOCHS, content)
        file = self.file(LEADER_EPOCHS)
        file.is_pinned = True
        return file

    def _replace_unsynced(self, name: str, content: bytes) -> None:
        self.handles.make_room_for(lambda: replace_unsynced(self.disk, self.join(name), content))

    def syncs_of_names(self) -> list[Syncable]:
        """Returns the syncs that make this directory durable in its parent, and the names in it."""
        return [DirectorySync(self.disk, self.path), DirectorySync(self.disk, self.path.rpartition("/")[0])]
