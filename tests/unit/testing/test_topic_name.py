import pytest

from chronik.testing.fixtures import topic_name


@pytest.mark.parametrize(
    ("test", "topic"),
    [
        ("test_orders", "test-orders"),
        ("test_orders[a b/c-1.5]", "test-orders-a-b-c-1-5"),
        ("test_größe[日本]", "test-gr-e"),
        ("日本", ""),
    ],
)
def test_names_can_be_topics(test: str, topic: str) -> None:
    assert topic_name(test) == topic


def test_long_names_leave_room() -> None:
    assert len(topic_name("x" * 1000)) == 200
