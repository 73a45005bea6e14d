"""DescribeTopicPartitions (key 75, KIP-966): partitions page by page."""

from typing import Any

from chronik.wire.apis import ApiKey
from tests.parity.registry import scenario
from tests.parity.session import Session


def ask(s: Session, topics: list[str], limit: int = 2000, cursor: dict[str, Any] | None = None) -> None:
    s.ask(
        ApiKey.DESCRIBE_TOPIC_PARTITIONS,
        0,
        {
            "topics": [{"name": name} for name in topics],
            "response_partition_limit": limit,
            "cursor": cursor,
        },
    )


@scenario()
def a_topic(s: Session) -> None:
    ask(s, [s.topic("orders", partitions=3)])


@scenario()
def an_unknown_topic(s: Session) -> None:
    ask(s, [s.name("missing")])


@scenario()
def an_unknown_topic_among_known_ones(s: Session) -> None:
    ask(s, [s.topic("orders"), s.name("missing"), s.topic("payments")])


@scenario({"empty": "", "dots": "..", "space": "a b"})
def a_bad_name(s: Session, name: str) -> None:
    ask(s, [name])


@scenario()
def no_topic_named_means_all(s: Session) -> None:
    s.topic("orders")
    ask(s, [])


@scenario()
def a_topic_named_twice(s: Session) -> None:
    topic = s.topic("orders")
    ask(s, [topic, topic])


@scenario({"0": 0, "-1": -1, "1": 1, "2": 2, "3": 3, "above the limit": 1_000_000})
def a_limit(s: Session, limit: int) -> None:
    ask(s, [s.topic("orders", partitions=3)], limit)


@scenario()
def the_second_page(s: Session) -> None:
    topic = s.topic("orders", partitions=3)
    ask(s, [topic], 2, {"topic_name": topic, "partition_index": 2})


@scenario()
def a_page_over_two_topics(s: Session) -> None:
    ask(s, [s.topic("a", partitions=2), s.topic("b", partitions=2)], 3)


@scenario()
def a_cursor_in_the_second_topic(s: Session) -> None:
    first, second = s.topic("a", partitions=2), s.topic("b", partitions=2)
    ask(s, [first, second], 10, {"topic_name": second, "partition_index": 1})


@scenario({"behind the end": 3, "negative": -1})
def a_cursor(s: Session, partition: int) -> None:
    topic = s.topic("orders", partitions=3)
    ask(s, [topic], 10, {"topic_name": topic, "partition_index": partition})


@scenario()
def a_cursor_on_an_unknown_topic(s: Session) -> None:
    ask(s, [s.topic("orders")], 10, {"topic_name": s.name("missing"), "partition_index": 0})


@scenario()
def a_cursor_on_a_topic_that_is_not_asked_for(s: Session) -> None:
    ask(s, [s.topic("a")], 10, {"topic_name": s.topic("b"), "partition_index": 0})


@scenario()
def the_internal_topic(s: Session) -> None:
    s.ask(
        ApiKey.DESCRIBE_TOPIC_PARTITIONS,
        0,
        {"topics": [{"name": "__consumer_offsets"}], "response_partition_limit": 1},
        hide={"partition_index", "partitions"},
    )
