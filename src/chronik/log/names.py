"""The names of a partition's files, as in Kafka: 20 digits of base offset, and a suffix for the kind."""

LOG = ".log"
OFFSET_INDEX = ".index"
TIME_INDEX = ".timeindex"
TXN_INDEX = ".txnindex"
SNAPSHOT = ".snapshot"
# Marks a file to be removed; files left by a crash are removed when the log is opened.
DELETED = ".deleted"
# An index that is being rebuilt, until it takes the place of the other: a leftover, too.
REBUILT = ".cleaned"

LEADER_EPOCHS = "leader-epoch-checkpoint"
PARTITION_METADATA = "partition.metadata"
# Kafka keeps these two per log directory; here each partition has its own, in the same text format, so that
# one partition's roll does not rewrite ten thousand lines.
LOG_START = "log-start-offset-checkpoint"
RECOVERY_POINT = "recovery-point-offset-checkpoint"

_LEFTOVERS = (DELETED, ".tmp", ".swap", ".cleaned")


def offset_name(offset: int, suffix: str) -> str:
    return f"{offset:020d}{suffix}"


def parse_offset(name: str, suffix: str) -> int | None:
    """The offset in a file's name, None when the name is not `<20 digits><suffix>`."""
    digits = name.removesuffix(suffix)
    if digits == name or len(digits) != 20 or not digits.isascii() or not digits.isdigit():
        return None
    return int(digits)


def is_leftover(name: str) -> bool:
    """True if a crash left this file in the middle of a replacement or removal."""
    return name.endswith(_LEFTOVERS)
