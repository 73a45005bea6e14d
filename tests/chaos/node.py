"""`chronik` with a wall clock that a test can set; otherwise the same: `python -m tests.chaos.node start …`.

`CHAOS_CLOCKS` names the directory of the clocks, the words the node; see `tests.chaos.clocks`.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.clocks import VARIABLE, shifted_time_ns

_NODE_ID = "node.id="


def main(words: Sequence[str]) -> int:
    time_ns = shifted_time_ns(Path(os.environ[VARIABLE]), _node_id(words))
    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9
    # Only now: some modules keep `time.time` under a name of their own.
    from chronik.cli.main import main as chronik

    return chronik(words)


def _node_id(words: Sequence[str]) -> int:
    """Raises ValueError when no word is `node.id=…`."""
    (node_id,) = (word.removeprefix(_NODE_ID) for word in words if word.startswith(_NODE_ID))
    return int(node_id)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
