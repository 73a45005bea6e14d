"""Codecs in steps do what those in one go do, however often they are interrupted."""

import pytest

from chronik.wire.apis import request_class
from chronik.wire.codec import MalformedMessage, decode, decoder, encode, sliced_decoder, sliced_encoder
from chronik.wire.messages.metadata import MetadataRequest, MetadataResponse, MetadataResponseTopic
from chronik.wire.primitives import TAGGED_FIELDS_MAX, uvarint
from chronik.wire.schema import Buffer, Message
from chronik.wire.source import STEP_ELEMENTS
from tests.proofs.loop_holds.filled import Filled, filled_requests

ELEMENTS = 3 * STEP_ELEMENTS + 1

FILLED = list(filled_requests())


def decoded(
    message: type[Message], version: int, data: bytes, *, move: bool = False
) -> tuple[Message, int, int]:
    """In steps; and how often it paused. With `move` the buffer is another one after the first pause."""
    buffer = bytearray(data)
    steps = sliced_decoder(message, version)(memoryview(buffer), 0)
    pauses = 0
    try:
        next(steps)
        pauses += 1
        if move:
            copied = bytes(buffer)
            buffer[:] = bytes(len(buffer))
            steps.send(copied)
            pauses += 1
        while True:
            next(steps)
            pauses += 1
    except StopIteration as stop:
        result, position, elements = stop.value
        assert position == len(data)
        return result, elements, pauses


@pytest.mark.parametrize("filled", FILLED, ids=lambda filled: f"{filled.name} v{filled.version}")
def test_a_request_is_the_same_in_steps(filled: Filled) -> None:
    message, version = filled.message(ELEMENTS), filled.version
    data = encode(message, version)
    kind = request_class(filled.api_key)
    assert decoded(kind, version, data)[0] == decode(kind, version, data)
    assert decoded(kind, version, data, move=True)[0] == decode(kind, version, data)
    parts = encoded(message, version)
    assert b"".join(parts) == data
    assert isinstance(parts[0], bytes)


def encoded(message: Message, version: int) -> list[Buffer]:
    steps = sliced_encoder(type(message), version)(message)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            parts: list[Buffer] = stop.value
            return parts


def test_long_arrays_pause_and_are_counted() -> None:
    response = MetadataResponse(topics=[MetadataResponseTopic(name=f"t{n}") for n in range(ELEMENTS)])
    data = encode(response, 12)
    _, elements, pauses = decoded(MetadataResponse, 12, data)
    assert (elements, pauses) == (ELEMENTS, ELEMENTS // STEP_ELEMENTS)


def test_what_is_cut_off_is_malformed_in_steps_too() -> None:
    data = encode(MetadataResponse(topics=[MetadataResponseTopic(name=f"t{n}") for n in range(200)]), 12)
    for length in range(0, len(data), 97):
        with pytest.raises(MalformedMessage):
            decoded(MetadataResponse, 12, data[:length])


@pytest.mark.parametrize("in_steps", [False, True])
def test_tagged_fields_are_bounded_before_any_is_read(in_steps: bool) -> None:
    start = encode(MetadataRequest(topics=[]), 12)[:-1]
    tags = b"".join(uvarint(tag) + b"\0" for tag in range(100, 101 + TAGGED_FIELDS_MAX))
    most = start + uvarint(TAGGED_FIELDS_MAX) + tags[: -len(uvarint(101 + TAGGED_FIELDS_MAX)) - 1]
    decoder(MetadataRequest, 12)(most, 0)
    too_many = start + uvarint(TAGGED_FIELDS_MAX + 1) + tags
    read = decoded if in_steps else decode
    with pytest.raises(MalformedMessage, match="too many tagged fields"):
        read(MetadataRequest, 12, too_many)


def test_each_tagged_field_counts_as_an_element() -> None:
    """A million structs with a few unknown fields each are as much as a few million elements."""
    data = encode(MetadataResponse(topics=[MetadataResponseTopic(name="t")]), 12)
    assert decoded(MetadataResponse, 12, data)[1] == 1
    with_tag = data[:-2] + b"\1\x63\0" + data[-1:]
    assert decoded(MetadataResponse, 12, with_tag)[1] == 2
