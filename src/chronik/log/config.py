"""A log's settings from its topic. Kafka's names; the defaults are Kafka's own."""

from dataclasses import dataclass

UNLIMITED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The topic configuration that reaches the disk. Replace the whole value on a live log to change it."""

    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * 24 * 3600 * 1000
    segment_jitter_ms: int = 0
    segment_index_bytes: int = 10 * 1024 * 1024
    index_interval_bytes: int = 4096
    # UNLIMITED turns either bound off. Retention does not touch a log whose cleanup.policy lacks `delete`.
    retention_ms: int = 7 * 24 * 3600 * 1000
    retention_bytes: int = UNLIMITED
    deletes: bool = True
    # cleanup.policy has `compact`: records may be missing between others, so a gap in offsets is no damage.
    compacts: bool = False
    producer_id_expiration_ms: int = 24 * 3600 * 1000
