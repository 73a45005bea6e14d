"""The secret of a cluster on one machine, in a file next to its nodes' directories."""

import os
from collections.abc import Container
from pathlib import Path

from chronik.server.peers.secret import generate_secret

_NAME = "raft.secret"
_SETTINGS = ("raft.secret", "raft.secret.file")


def secret_settings(root: Path, given: Container[str]) -> dict[str, str]:
    """Returns the settings for the secret of the nodes with directories in `root`; empty where `given` has
    it.

    The file is created, readable by this user only, when it is missing. Raises OSError.
    """
    if any(name in given for name in _SETTINGS):
        return {}
    path = root / _NAME
    root.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "w") as file:
            file.write(generate_secret() + "\n")
    return {"raft.secret.file": str(path)}
