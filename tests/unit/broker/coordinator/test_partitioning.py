import pytest

from chronik.broker.coordinator.partitioning import java_hash, partition_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("a", 97),
        ("hello", 99162322),
        ("polygenelubricants", -(2**31)),
        ("é", 233),
        # Two UTF-16 units.
        ("😀", 1772899),
    ],
)
def test_hashes_are_java_s(text: str, expected: int) -> None:
    assert java_hash(text) == expected


def test_partitions_are_kafka_s() -> None:
    assert partition_of("hello", 50) == 99162322 % 50
    # Kafka's absolute value of the smallest number is 0.
    assert partition_of("polygenelubricants", 50) == 0
    # The absolute value, not the sign bit masked away.
    assert java_hash("my-very-long-group") < 0
    assert partition_of("my-very-long-group", 50) == -java_hash("my-very-long-group") % 50
