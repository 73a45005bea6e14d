from chronik.broker.traffic import Traffic


def test_a_topic_has_one_counter() -> None:
    traffic = Traffic()
    counter = traffic.of("orders")
    counter.messages_in += 2
    counter.bytes_in += 200
    assert traffic.of("orders") is counter
    assert traffic.by_topic()["orders"].messages_in == 2


def test_totals_outlive_their_topics() -> None:
    traffic = Traffic()
    traffic.of("orders").bytes_out += 5
    traffic.of("events").bytes_out += 7
    traffic.forget("orders")
    traffic.forget("never there")
    assert list(traffic.by_topic()) == ["events"]
    assert traffic.total().bytes_out == 12


def test_a_topic_that_comes_back_starts_anew() -> None:
    traffic = Traffic()
    traffic.of("orders").bytes_in += 5
    traffic.forget("orders")
    traffic.of("orders").bytes_in += 1
    assert traffic.by_topic()["orders"].bytes_in == 1
    assert traffic.total().bytes_in == 6


def test_topics_beyond_the_bound_share_a_counter() -> None:
    traffic = Traffic(topics_max=1)
    traffic.of("one").messages_in += 1
    traffic.of("two").messages_in += 1
    assert traffic.of("two") is traffic.of("three")
    assert list(traffic.by_topic()) == ["one"]
    assert traffic.total().messages_in == 2
