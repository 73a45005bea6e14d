"""Cuts a byte stream into Kafka frames: a four-byte big-endian length, then that many bytes.

Sans-IO. One `FrameReader` per connection; the connection lends it the data of each read, in a buffer that may
be shared by all connections, and takes frames until there is none. Only the rest of an unfinished or not yet
wanted frame is copied, into a buffer that grows with the bytes that arrive, not with the length that was
announced.
"""

import struct

_LENGTH = struct.Struct(">i")
_HEADER_BYTES_MIN = 8  # api key, api version, correlation id: nothing shorter can be a request.
_BUFFER_BYTES_MIN = 64 * 1024
# A buffer is at most this multiple of the bytes received: large frames are copied once or twice on their way
# in, and a client that announces much and sends little holds little.
_GROWTH = 4


class BadFrame(ValueError):
    """The stream is not Kafka frames, or one is larger than allowed. There is no way to go on: close."""


_NOTHING = memoryview(b"")


class FrameReader:
    """Frames of one connection, in order."""

    __slots__ = ("_data", "_end", "_frame_bytes_max", "_own", "_start")

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame_bytes_max = frame_bytes_max
        # Invariant: bytes [start, end) of data are received and not yet handed out.
        self._data = _NOTHING
        self._start = 0
        self._end = 0
        # The reader's own buffer, None while it borrows or holds nothing.
        self._own: bytearray | None = None

    @property
    def buffered_bytes(self) -> int:
        """Memory this connection holds for received, unhandled bytes."""
        return len(self._own) if self._own is not None else 0

    @property
    def is_inside_frame(self) -> bool:
        """True if a frame has begun and not ended."""
        return self._end > self._start

    def space(self) -> memoryview | None:
        """Returns the target of the next read, or None when any buffer will do (then call `lend`)."""
        if self._own is None:
            return None
        self._make_room()
        return self._data[self._end :]

    def received(self, count: int) -> None:
        """`count` bytes were read into `space()`."""
        self._end += count

    def lend(self, data: memoryview) -> None:
        """`data` was read into a buffer of the caller's; call `keep` before it is reused."""
        self._data = data
        self._start = 0
        self._end = len(data)

    def append(self, data: bytes) -> None:
        """Takes data read elsewhere, which follows the bytes here. Call `keep` as after `lend`."""
        if self._own is None:
            self.lend(memoryview(data))
            return
        while data:
            self._make_room()
            count = min(len(data), len(self._data) - self._end)
            self._data[self._end : self._end + count] = data[:count]
            self._end += count
            data = data[count:]

    def next_frame(self) -> memoryview | None:
        """The next whole frame without its length, valid until the next `space` or `keep`; None when there is
        none.

        Raises BadFrame for a length below a request header or above the limit.
        """
        start = self._start
        have = self._end - start
        if have < 4:
            return None
        (length,) = _LENGTH.unpack_from(self._data, start)
        if not _HEADER_BYTES_MIN <= length <= self._frame_bytes_max:
            raise BadFrame(
                f"frame of {length} bytes; {_HEADER_BYTES_MIN} to {self._frame_bytes_max} are accepted"
            )
        if have < 4 + length:
            return None
        self._start = start + 4 + length
        return self._data[start + 4 : self._start]

    def unread(self, frame: memoryview) -> None:
        """Put the frame that `next_frame` returned last back, to be returned again."""
        self._start -= 4 + len(frame)

    def keep(self) -> None:
        """Copies the rest out of a lent buffer; drops the own buffer once it is used up."""
        left = self._end - self._start
        if left == 0:
            # `drop`, without the call: most requests come here.
            self._own = None
            self._data = _NOTHING
            self._start = self._end = 0
        elif self._own is None or len(self._own) > max(_BUFFER_BYTES_MIN, _GROWTH * left):
            self._adopt(self._useful_bytes())

    def drop(self) -> None:
        """Drops all bytes that are not handed out, and their memory: no more frames will be taken."""
        self._own = None
        self._data = _NOTHING
        self._start = self._end = 0

    def _make_room(self) -> None:
        """Room for at least one byte more, by moving the rest to the front of a larger buffer."""
        if self._end == len(self._data):
            self._adopt(max(self._useful_bytes(), self._end - self._start + 1))

    def _useful_bytes(self) -> int:
        """Returns the size of a buffer for the frame in progress, as far as the received part of it
        justifies one.
        """
        left = self._end - self._start
        wanted = _BUFFER_BYTES_MIN
        if left >= 4:
            (length,) = _LENGTH.unpack_from(self._data, self._start)
            wanted = 4 + max(0, int(length))
        return max(_BUFFER_BYTES_MIN, min(wanted, _GROWTH * left))

    def _adopt(self, size: int) -> None:
        """Move the unhandled bytes to the front of a new own buffer of `size` bytes."""
        left = self._end - self._start
        own = bytearray(max(size, left))
        own[:left] = self._data[self._start : self._end]
        self._own = own
        self._data = memoryview(own)
        self._start, self._end = 0, left
