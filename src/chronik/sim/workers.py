"""Worker processes that end with the process that started them.

A worker of a pool only waits for work: when its parent is killed, nobody tells it that there will be none.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import wait


def end_with_parent(initializer: Callable[[], object] | None = None) -> None:
    """The initializer of a pool; `initializer` is another one, which is called too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), name="parent", daemon=True).start()
    if initializer is not None:
        initializer()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
