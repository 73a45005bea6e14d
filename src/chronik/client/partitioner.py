"""The partition of a record: by its key's hash, as Kafka's own producers place it."""

_MULTIPLIER = 0x5BD1E995
_SEED = 0x9747B28C
_MASK = 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key (org.apache.kafka.clients.producer.internals.BuiltInPartitioner)."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The 32 bit hash, unsigned (org.apache.kafka.common.utils.Utils.murmur2)."""
    value = _SEED ^ len(data)
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        part = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _MASK
        part = (part ^ part >> 24) * _MULTIPLIER & _MASK
        value = (value * _MULTIPLIER & _MASK) ^ part
    if whole < len(data):
        value ^= int.from_bytes(data[whole:], "little")
        value = value * _MULTIPLIER & _MASK
    value = (value ^ value >> 13) * _MULTIPLIER & _MASK
    return value ^ value >> 15


def partitions_text(count: int) -> str:
    """Names the partitions of a topic that has `count` of them."""
    return "only partition 0" if count == 1 else f"partitions 0 to {count - 1}"
