"""Frames between nodes: a four-byte length, a byte for the receiver, the payload. Sans-IO.

Payloads are handed out as views of buffers that are not used again, because entries are kept until they are
on disk. Many small frames that came with one read share one buffer, which is copied out of the one that all
connections read into; an incomplete frame is read into a buffer of its own, where it stays.
"""

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

from chronik.raft.transport import Buffer, MalformedFrame

# The payload's length, and a `FrameKind` or `LinkKind`.
HEAD = struct.Struct(">IB")

# A frame holds at most what one leader sends one follower at once, or one snapshot of the metadata. A
# snapshot of a hundred thousand partitions is some 20 MB; anything larger is a mistake.
FRAME_BYTES_MAX = 128 * 1024 * 1024

# Before a peer has identified itself. The largest frame of a handshake is a HELLO, most of it its `extra`.
HANDSHAKE_FRAME_BYTES_MAX = 64 * 1024

# The usual content of a socket. Shared by all connections of a loop.
_SCRATCH_BYTES = 256 * 1024

# A frame's buffer begins with at most this, and then doubles as it is filled: who announces much and sends
# little holds little.
_FRAME_BYTES_FIRST = 4 * 1024 * 1024


class LinkKind(IntEnum):
    """Frames of the connection itself. Disjoint from `FrameKind`."""

    HELLO = 16
    REFUSED = 17
    READY = 18
    HEARTBEAT = 19
    PROOF = 20


def frame(kind: int, payload: bytes = b"") -> bytes:
    """A small frame in one piece."""
    return HEAD.pack(len(payload), kind) + payload


def make_scratch() -> memoryview:
    return memoryview(bytearray(_SCRATCH_BYTES))


class FrameReceiver:
    """One per connection: gives the buffer of the next read, and the frames that it completed."""

    __slots__ = ("_begun", "_filled", "_kind", "_length", "_scratch", "frame_bytes_max", "kinds")

    def __init__(self, scratch: memoryview, kinds: frozenset[int]) -> None:
        self._scratch = scratch
        # Both are widened when the handshake is over.
        self.frame_bytes_max = HANDSHAKE_FRAME_BYTES_MAX
        self.kinds = kinds
        # The head, or the payload, of the frame that has begun; None between frames, and then the next read
        # goes into the scratch buffer. Invariant: bytes [0, _filled) of it have arrived.
        self._begun: bytearray | None = None
        self._filled = 0
        # Of the payload that is begun; -1 while `_begun` is a head.
        self._length = -1
        self._kind = 0

    def space(self) -> memoryview:
        """Returns the target of the next read. Not empty."""
        begun = self._begun
        if begun is None:
            return self._scratch
        if self._filled == len(begun):
            self._begun = begun = _extended(begun, min(self._length - self._filled, self._filled))
        return memoryview(begun)[self._filled :]

    def received(self, count: int) -> Iterable[tuple[int, memoryview]]:
        """Kind and payload of the frames that are whole now that `count` bytes are in `space()`.

        To be gone through before anything else is read. Lazily, since a frame may change which kinds may
        follow it. Raises MalformedFrame for a kind that may not, or a length above the limit.
        """
        if self._begun is None:
            return self._cut(count)
        self._filled += count
        if self._length < 0:
            if self._filled < HEAD.size:
                return ()
            self._begin(*self._head(self._begun, 0))
        if self._filled < self._length:
            return ()
        payload = memoryview(self._begun)
        self._begun = None
        return ((self._kind, payload),)

    def _cut(self, count: int) -> Iterator[tuple[int, memoryview]]:
        """Yields the frames in the scratch buffer; the rest goes into a buffer of its own."""
        data = memoryview(b"")
        at = 0
        while count - at >= HEAD.size:
            length, kind = self._head(self._scratch, at)
            end = at + HEAD.size + length
            if end > count:
                self._begin(length, kind)
                self._fill(at + HEAD.size, count)
                return
            if length and not data:
                data = memoryview(bytes(self._scratch[:count]))
            yield kind, data[at + HEAD.size : end]
            at = end
        if at < count:
            self._begun = bytearray(HEAD.size)
            self._length = -1
            self._filled = 0
            self._fill(at, count)

    def _head(self, data: Buffer, at: int) -> tuple[int, int]:
        length, kind = HEAD.unpack_from(data, at)
        if kind not in self.kinds:
            raise MalformedFrame(f"a frame of kind {kind}")
        if length > self.frame_bytes_max:
            raise MalformedFrame(f"a frame of {length} bytes; at most {self.frame_bytes_max} are accepted")
        return length, kind

    def _begin(self, length: int, kind: int) -> None:
        self._begun = bytearray(min(length, _FRAME_BYTES_FIRST))
        self._filled = 0
        self._length = length
        self._kind = kind

    def _fill(self, start: int, end: int) -> None:
        """Moves [start, end) of the scratch buffer to the incomplete frame. Less than the scratch buffer,
        it fits.
        """
        assert self._begun is not None
        self._filled = end - start
        self._begun[: self._filled] = self._scratch[start:end]


def _extended(buffer: bytearray, count: int) -> bytearray:
    """Returns it with `count` bytes more. Moved by the kernel, unless the loop still holds the view it
    read into.
    """
    try:
        buffer.extend(bytes(count))
    except BufferError:
        return buffer + bytes(count)
    return buffer
