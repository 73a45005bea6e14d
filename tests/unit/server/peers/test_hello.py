"""The handshake's frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.raft.transport import MalformedFrame, PeerInfo
from chronik.server.peers.hello import (
    EXTRA_BYTES_MAX,
    Hello,
    OtherVersion,
    Refusal,
    Refused,
    decode_hello,
    decode_refused,
    encode_hello,
    encode_refused,
)
from chronik.vocab.ids import NodeId
from chronik.vocab.invariant import InvariantViolation

nodes = st.integers(-1, (1 << 31) - 1).map(NodeId)
peers = st.builds(PeerInfo, nodes, st.text(max_size=40), st.integers(0, (1 << 64) - 1))
hellos = st.builds(
    Hello,
    st.text(max_size=40),
    peers,
    nodes,
    st.binary(max_size=100),
    st.booleans(),
    st.binary(max_size=40),
)


def test_the_bytes_of_a_hello() -> None:
    hello = Hello("cl", PeerInfo(NodeId(2), "dir", 0x1122334455667788), NodeId(1), b"ex", True, b"nonce")
    wanted = (
        "4348524f4e494b00 0002"  # Magic, version.
        "00000002 00000001 1122334455667788 01"  # Node, target, incarnation, has a secret.
        "0002 0003 00000002 0005"  # Sizes.
    )
    assert encode_hello(hello) == bytes.fromhex(wanted) + b"cl" + b"dir" + b"ex" + b"nonce"


@given(hellos, st.binary(max_size=10))
def test_a_hello_says_who_it_is_and_may_say_more(hello: Hello, more: bytes) -> None:
    assert decode_hello(memoryview(encode_hello(hello) + more)) == hello


@given(hellos, st.data())
def test_half_a_hello_is_none(hello: Hello, data: st.DataObject) -> None:
    encoded = encode_hello(hello)
    with pytest.raises(MalformedFrame):
        decode_hello(memoryview(encoded[: data.draw(st.integers(0, len(encoded) - 1))]))


@given(st.binary(max_size=80))
def test_other_bytes_raise_nothing_else(data: bytes) -> None:
    for payload in (data, b"CHRONIK\x00" + data, b"CHRONIK\x00\x00\x02" + data):
        try:
            decode_hello(memoryview(payload))
            decode_refused(memoryview(payload))
        except MalformedFrame:
            pass


def test_of_another_version_only_that_is_known() -> None:
    assert decode_hello(memoryview(b"CHRONIK\x00\x01\x02")) == OtherVersion(0x102)


def test_too_much_extra_is_a_mistake_of_this_node() -> None:
    hello = Hello("c", PeerInfo(NodeId(1), "d", 1), NodeId(2), bytes(EXTRA_BYTES_MAX))
    encode_hello(hello)
    with pytest.raises(InvariantViolation):
        encode_hello(hello._replace(extra=bytes(EXTRA_BYTES_MAX + 1)))


def test_a_refusal_says_why() -> None:
    refused = Refused(Refusal.ID_IN_USE, "stop one of the two: é")
    assert decode_refused(memoryview(encode_refused(refused))) == refused


def test_a_refusal_of_a_later_release_is_still_a_reason() -> None:
    assert decode_refused(memoryview(b"\x63why\x00\xff\n")) == Refused(Refusal.OTHER, "why � ")
    assert len(decode_refused(memoryview(b"\x01" + b"x" * 5000)).reason) == 1000
    with pytest.raises(MalformedFrame):
        decode_refused(memoryview(b""))
