"""The lock of a data directory: one process at a time."""

import fcntl
import os
from contextlib import suppress

from chronik.node.data_directory import DataDirectoryError

# As Kafka names it.
_LOCK = ".lock"


class DirectoryLock:
    """Held by the process that uses the directory, released by the kernel when it dies."""

    def __init__(self, root: str) -> None:
        """Raises DataDirectoryError when another process holds it, OSError when there can be no lock."""
        os.makedirs(root, exist_ok=True)
        self._descriptor = os.open(os.path.join(root, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._lock(root)
            # For the message to a refused process; on a full disk there is no room for it.
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            self.release()
            raise

    def _lock(self, root: str) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise DataDirectoryError(
                f"{root} is in use by the process with pid {owner}. "
                "Stop that process, or choose another directory with --data-dir."
            ) from error

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
