import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.server.settings.listeners import (
    Address,
    Listener,
    advertised_problems,
    listener_problems,
    parse_address,
    parse_listener,
    parse_protocol_map,
)


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("PLAINTEXT://localhost:9092", Listener("PLAINTEXT", "localhost", 9092)),
        ("plaintext://:9092", Listener("PLAINTEXT", "", 9092)),
        ("INTERNAL://0.0.0.0:0", Listener("INTERNAL", "0.0.0.0", 0)),
        ("A_B.c-d://host.example:65535", Listener("A_B.C-D", "host.example", 65535)),
        ("V6://[::1]:9092", Listener("V6", "::1", 9092)),
        ("V6://[fe80::1%eth0]:9092", Listener("V6", "fe80::1%eth0", 9092)),
    ],
)
def test_a_listener(text: str, listener: Listener) -> None:
    assert parse_listener(text) == listener


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:9092",
        "PLAINTEXT://localhost",
        "PLAINTEXT://localhost:",
        "PLAINTEXT://localhost:-1",
        "PLAINTEXT://localhost:http",
        "PLAINTEXT://::1:9092",
        "PLAINTEXT://[::1:9092",
        "PLAINTEXT://[localhost]:9092",
        "PLAINTEXT://[]:9092",
        "PLAINTEXT://a b:9092",
        "PLAINTEXT://localhost:9092/path",
        "PLAIN TEXT://localhost:9092",
        "://localhost:9092",
    ],
)
def test_what_is_no_listener_is_told_what_one_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a listener: write NAME://host:port") as caught:
        parse_listener(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("port", ["65536", "99999", "1" * 10_000])
def test_a_port_has_sixteen_bits(port: str) -> None:
    with pytest.raises(ValueError, match="has a port above 65535"):
        parse_listener(f"A://x:{port}")


def test_an_address() -> None:
    assert parse_address("localhost:9101") == Address("localhost", 9101)
    assert parse_address("[::1]:0") == Address("::1", 0)
    assert parse_address(":9101") == Address("", 9101)
    with pytest.raises(ValueError, match="is not an address"):
        parse_address("localhost")


hosts = st.one_of(
    st.just(""),
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True),
    st.ip_addresses().map(str),
)
listeners = st.builds(
    Listener, st.from_regex(r"[A-Z][A-Z0-9_.-]{0,10}", fullmatch=True), hosts, st.integers(0, 65535)
)


@given(listeners)
def test_what_a_listener_prints_is_parsed_back(listener: Listener) -> None:
    assert parse_listener(str(listener)) == listener


@given(listeners)
def test_what_an_address_prints_is_parsed_back(listener: Listener) -> None:
    assert parse_address(str(listener.address)) == listener.address


def test_the_protocol_map() -> None:
    assert parse_protocol_map(["a:plaintext", " B : SASL_SSL "]) == {"A": "PLAINTEXT", "B": "SASL_SSL"}


@pytest.mark.parametrize("item", ["a", "a:", ":PLAINTEXT", "a:TLS"])
def test_a_bad_item_of_the_protocol_map(item: str) -> None:
    with pytest.raises(ValueError, match="is not NAME:PROTOCOL"):
        parse_protocol_map([item])


def test_a_name_has_one_protocol() -> None:
    with pytest.raises(ValueError, match="A has two protocols"):
        parse_protocol_map(["A:SSL", "a:PLAINTEXT"])


def parsed(*texts: str) -> list[Listener]:
    return [parse_listener(text) for text in texts]


def test_names_and_ports_of_listeners_are_their_own() -> None:
    assert listener_problems(parsed("A://x:1", "A://x:2", "B://x:2"), {}) == [
        "two listeners are called A",
        "two listeners want x:2",
    ]


def test_free_ports_and_other_families_do_not_clash() -> None:
    assert listener_problems(parsed("A://x:0", "B://x:0", "C://127.0.0.1:1", "D://[::1]:1"), {}) == []


def test_only_plaintext_is_served() -> None:
    assert listener_problems(
        parsed("SSL://x:1", "EXTERNAL://x:2", "OPEN://x:3"), {"EXTERNAL": "SASL_SSL"}
    ) == [
        "listener SSL wants SSL; TLS and SASL are not available yet",
        "listener EXTERNAL wants SASL_SSL; TLS and SASL are not available yet",
    ]
    assert listener_problems(parsed("SSL://x:1"), {"SSL": "PLAINTEXT"}) == []


def test_what_can_be_advertised() -> None:
    bound = parsed("A://:1", "B://:2")
    assert advertised_problems(parsed("A://x:1"), bound) == []
    assert advertised_problems(parsed("A://x:1", "A://y:1", "C://z:1", "B://0.0.0.0:2"), bound) == [
        "A is advertised twice",
        "C is advertised, but no listener has that name",
        "B://0.0.0.0:2 cannot be advertised: clients connect to a host, not to every interface",
    ]
    assert len(advertised_problems(parsed("A://:1", "B://[::]:1"), bound)) == 2
