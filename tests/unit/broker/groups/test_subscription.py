from chronik.broker.groups.subscription import subscribed_topics

from .play import subscription


def test_topics_of_a_subscription() -> None:
    assert subscribed_topics(subscription(["t", "u"])) == frozenset({"t", "u"})
    assert subscribed_topics(subscription([])) == frozenset()


def test_later_versions_begin_like_the_first() -> None:
    owned_partitions = bytes.fromhex("00000001 0001 74 00000001 00000000")
    assert subscribed_topics(b"\x00\x03" + subscription(["t"])[2:] + owned_partitions) == frozenset({"t"})


def test_what_other_clients_write_is_not_understood() -> None:
    assert subscribed_topics(b"") is None
    assert subscribed_topics(b"\xff\xff") is None
    assert subscribed_topics(b'{"topics": ["t"]}') is None
