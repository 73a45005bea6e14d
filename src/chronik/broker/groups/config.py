"""The coordinator's settings and limits. Settings have Kafka's names; limits have a reason each."""

from dataclasses import dataclass
from typing import Final, Protocol

_MS_PER_MINUTE: Final = 60_000


class IntSettings(Protocol):
    """The broker's settings, as far as this room reads them."""

    def int(self, name: str) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig:
    """One per node, read from the settings at its start; Kafka does not change these at run time either."""

    # group.initial.rebalance.delay.ms: how long the first members of a group wait for more. Kafka's default,
    # 3 s, makes Kafka look slow in tests; on one node the default is 0.
    initial_rebalance_delay_ms: int = 0
    # group.min.session.timeout.ms, group.max.session.timeout.ms
    session_timeout_min_ms: int = 6_000
    session_timeout_max_ms: int = 1_800_000
    # group.max.size
    members_max: int = 2**31 - 1
    # offset.metadata.max.bytes
    offset_metadata_max: int = 4_096
    # offsets.retention.minutes, offsets.retention.check.interval.ms
    offsets_retention_ms: int = 10_080 * _MS_PER_MINUTE
    expiry_interval_ms: int = 600_000

    @classmethod
    def from_settings(cls, settings: IntSettings) -> "GroupConfig":
        """Raises KeyError for a setting that the configuration does not define."""
        return cls(
            initial_rebalance_delay_ms=settings.int("group.initial.rebalance.delay.ms"),
            session_timeout_min_ms=settings.int("group.min.session.timeout.ms"),
            session_timeout_max_ms=settings.int("group.max.session.timeout.ms"),
            members_max=settings.int("group.max.size"),
            offset_metadata_max=settings.int("offset.metadata.max.bytes"),
            offsets_retention_ms=settings.int("offsets.retention.minutes") * _MS_PER_MINUTE,
            expiry_interval_ms=settings.int("offsets.retention.check.interval.ms"),
        )


# A member that was sent back to join with its new id does so at once. If it died in between, the group must
# not wait for its whole session timeout, so a join that only lacks pending members ends after this time; half
# a second is many round trips.
PENDING_MEMBER_GRACE_MS: Final = 500

# How long an id that was handed out stays valid: its member's session timeout, as in Kafka, but no longer
# than this, because a live client uses it at once, and session timeouts may be half an hour.
PENDING_MEMBER_TIMEOUT_MS_MAX: Final = 60_000

# A new member does not know its id until its join is answered, so it cannot send heartbeats. As Kafka: it is
# dropped when that has not happened in five minutes, or rejoining clients would fill the group with their
# former selves.
NEW_MEMBER_JOIN_TIMEOUT_MS: Final = 300_000

# Each costs some 300 bytes until it expires; a client that only ever requests ids must not fill the memory.
PENDING_MEMBERS_MAX: Final = 10_000

# Strings in Kafka's records have a 16-bit length, while those in newer requests do not.
STRING_BYTES_MAX: Final = 32_767

# Member ids start with the client id, for readers of listings; the rest of a long one adds nothing.
CLIENT_ID_IN_MEMBER_ID_MAX: Final = 255

# Offsets expired in one turn of a shard: a bound on the time for which nothing else runs. The next turn
# follows at once.
EXPIRED_OFFSETS_PER_TURN: Final = 1_000

# The same for offsets of deleted topics, which are hidden from clients until then.
FORGOTTEN_OFFSETS_PER_TURN: Final = 1_000

# From a load until offsets of topics that were deleted in the meantime are removed: also the interval at
# which a shard whose log takes no records (a full disk) tries again.
FORGET_AFTER_LOAD_MS: Final = 5_000
