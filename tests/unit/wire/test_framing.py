"""Frames come out as they went in, however the stream is cut; what is no frame is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronik.wire.framing import BadFrame, FrameReader

LIMIT = 200_000

frames_strategy = st.lists(
    st.one_of(
        st.binary(min_size=8, max_size=40),
        st.integers(60_000, 150_000).map(lambda size: bytes(range(256)) * (size // 256)),
    ),
    max_size=8,
)


def stream_of(frames: list[bytes]) -> bytes:
    return b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)


def feed(reader: FrameReader, data: bytes) -> int:
    """Give the reader as much of `data` as one read would, as a connection does; how much that was."""
    space = reader.space()
    if space is None:
        reader.lend(memoryview(data))
        return len(data)
    count = min(len(space), len(data))
    space[:count] = data[:count]
    reader.received(count)
    return count


def take_all(reader: FrameReader) -> list[bytes]:
    frames = []
    while (frame := reader.next_frame()) is not None:
        frames.append(bytes(frame))
    reader.keep()
    return frames


@settings(derandomize=True, max_examples=100)
@given(frames_strategy, st.lists(st.integers(1, 70_000), max_size=20))
def test_frames_survive_any_cut(frames: list[bytes], cuts: list[int]) -> None:
    reader = FrameReader(LIMIT)
    stream = stream_of(frames)
    got: list[bytes] = []
    position = 0
    sizes = iter(cuts)
    while position < len(stream):
        position += feed(reader, stream[position : position + next(sizes, len(stream))])
        got += take_all(reader)
    assert got == frames
    assert reader.buffered_bytes == 0
    assert not reader.is_inside_frame


def test_a_frame_put_back_comes_again() -> None:
    reader = FrameReader(LIMIT)
    reader.lend(memoryview(stream_of([b"first---", b"second--"])))
    frame = reader.next_frame()
    assert frame is not None
    reader.unread(frame)
    reader.keep()
    assert take_all(reader) == [b"first---", b"second--"]


def test_memory_follows_the_bytes_that_came_not_the_length_announced() -> None:
    reader = FrameReader(100 * 1024 * 1024)
    reader.lend(memoryview((100 * 1024 * 1024).to_bytes(4, "big") + b"x" * 100))
    assert take_all(reader) == []
    assert reader.buffered_bytes <= 64 * 1024
    assert reader.is_inside_frame


@pytest.mark.parametrize("length", [-1, 0, 7, LIMIT + 1, -(2**31)])
def test_a_length_that_cannot_be_a_request_is_refused(length: int) -> None:
    reader = FrameReader(LIMIT)
    reader.lend(memoryview(length.to_bytes(4, "big", signed=True) + bytes(10)))
    with pytest.raises(BadFrame):
        reader.next_frame()


def test_a_large_buffer_is_given_up_when_little_is_left_in_it() -> None:
    reader = FrameReader(LIMIT)
    stream = stream_of([b"y" * 190_000]) + b"\0\0"
    position = 0
    while position < len(stream):
        position += feed(reader, stream[position : position + 50_000])
        take_all(reader)
    assert reader.buffered_bytes <= 64 * 1024
