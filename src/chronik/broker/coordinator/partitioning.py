"""The partition of an internal topic for a key. Must agree with Kafka: its tools look there."""


def partition_of(key: str, partitions: int) -> int:
    return abs_of_int32(java_hash(key)) % partitions


def java_hash(text: str) -> int:
    """Java's String.hashCode: over UTF-16 units, in wrapping 32-bit arithmetic."""
    units = text.encode("utf-16-be", "surrogatepass")
    value = 0
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


def abs_of_int32(value: int) -> int:
    """Kafka's Utils.abs: the one number whose absolute value does not fit becomes 0."""
    return 0 if value == -(1 << 31) else abs(value)
