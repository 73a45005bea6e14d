"""The names under which memberships know a replica's files.

A membership names each member's data directory, so that a replica on another disk than the one that voted
is known for it (decision 0009, "Lost disks"). A replica that lost files of its own, while its node kept the
rest, is on another disk in this sense: its directory's name gets the count of its losses, as in
`<directory id>+<losses>`. Directory ids are URL-safe base64 and have no `+`.
"""

_SEPARATOR = "+"


def replica_directory(directory_id: str, losses: int) -> str:
    """Returns a replica's name in memberships; `losses`: how often it lost files."""
    return f"{directory_id}{_SEPARATOR}{losses}" if losses else directory_id


def node_directory(name: str) -> str:
    """The id of the data directory that `name` is in."""
    return name.partition(_SEPARATOR)[0]


def losses_of(name: str) -> int:
    """Returns how often the replica of this name lost files."""
    losses = name.partition(_SEPARATOR)[2]
    return int(losses) if losses.isdigit() else 0
