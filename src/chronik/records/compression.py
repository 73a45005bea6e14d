"""The four codecs over a batch's payload, as Kafka's clients write and read them.

The library is imported with the first compressed batch that must be opened; most never are.
"""

import struct
from collections.abc import Callable
from types import ModuleType

from chronik.records.batch import Buffer, Codec
from chronik.vocab.errors import ErrorCode, KafkaError

# A payload that could not have been sent uncompressed: Kafka's default for socket.request.max.bytes.
# Without a bound a request of some kilobytes could ask for gigabytes of memory.
DECOMPRESSED_BYTES_MAX = 100 * 1024 * 1024

# The first guess of a decompressed size, and how much larger the next one is.
_GUESS_BYTES_MIN = 64 * 1024
_GUESS_FACTOR = 8

# Snappy as Java writes it (xerial): a header with version and compatible version, then blocks with their
# length. librdkafka and others also write one raw block.
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + struct.pack(">ii", 1, 1)
_XERIAL_BLOCK_BYTES = 32 * 1024
_LENGTH = struct.Struct(">i")


class DecompressedTooLarge(KafkaError):
    """A payload unpacks to more bytes than the caller takes."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(ErrorCode.CORRUPT_MESSAGE, f"more than {bytes_max} bytes decompressed")


def decompress(codec: Codec, payload: Buffer, *, bytes_max: int = DECOMPRESSED_BYTES_MAX) -> Buffer:
    """Returns the records' bytes. Raises KafkaError CORRUPT_MESSAGE for a payload in another format, and
    its subclass DecompressedTooLarge.
    """
    match codec:
        case Codec.NONE:
            return payload
        case Codec.GZIP:
            return _decompress_into(_cramjam().gzip.decompress_into, payload, bytes_max)
        case Codec.SNAPPY:
            return _decompress_snappy(payload, bytes_max)
        case Codec.LZ4:
            return _decompress_into(_cramjam().lz4.decompress_into, payload, bytes_max)
        case Codec.ZSTD:
            return _decompress_into(_cramjam().zstd.decompress_into, payload, bytes_max)


def compress(codec: Codec, payload: Buffer, level: int | None = None) -> Buffer:
    """Compress a payload; `level` None is the codec's default."""
    match codec:
        case Codec.NONE:
            return payload
        case Codec.GZIP:
            return bytes(_cramjam().gzip.compress(payload, level=level))
        case Codec.SNAPPY:
            return _compress_snappy(memoryview(payload))
        case Codec.LZ4:
            # Java's reader takes independent blocks only.
            compressor = _cramjam().lz4.Compressor(level=level, content_checksum=False, block_linked=False)
            compressor.compress(bytes(payload))
            return bytes(compressor.finish())
        case Codec.ZSTD:
            return bytes(_cramjam().zstd.compress(payload, level=level))


def _cramjam() -> ModuleType:
    import cramjam

    module: ModuleType = cramjam
    return module


def _decompress_into(
    decompress_into: Callable[[Buffer, bytearray], int], payload: Buffer, bytes_max: int
) -> Buffer:
    """Decompresses with guesses of the size, because no codec has it reliably beforehand."""
    size = min(max(_GUESS_BYTES_MIN, len(payload) * _GUESS_FACTOR), bytes_max)
    while True:
        out = bytearray(size)
        try:
            return memoryview(out)[: decompress_into(payload, out)]
        except _cramjam().DecompressionError as error:
            # The only word the library has for a full buffer is in its text.
            if "write whole buffer" not in str(error):
                raise _corrupt(f"cannot decompress: {error}") from error
        if size == bytes_max:
            raise DecompressedTooLarge(bytes_max)
        size = min(size * _GUESS_FACTOR, bytes_max)


def _decompress_snappy(payload: Buffer, bytes_max: int) -> Buffer:
    data = memoryview(payload)
    if data[: len(_XERIAL_MAGIC)] != _XERIAL_MAGIC:
        return _decompress_block(data, bytes_max)
    blocks = []
    position, left = len(_XERIAL_HEADER), bytes_max
    while position < len(data):
        if len(data) - position < _LENGTH.size:
            raise _corrupt("a snappy block without its length")
        (size,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        if not 0 <= size <= len(data) - position:
            raise _corrupt(f"a snappy block of {size} bytes in {len(data) - position}")
        block = _decompress_block(data[position : position + size], left)
        blocks.append(block)
        left -= len(block)
        position += size
    return b"".join(blocks)


def _decompress_block(block: memoryview, bytes_max: int) -> bytes:
    snappy = _cramjam().snappy
    try:
        size = snappy.decompress_raw_len(block)
        if size > bytes_max:
            raise DecompressedTooLarge(bytes_max)
        return bytes(snappy.decompress_raw(block))
    except _cramjam().DecompressionError as error:
        raise _corrupt(f"cannot decompress: {error}") from error


def _compress_snappy(payload: memoryview) -> bytes:
    snappy = _cramjam().snappy
    parts = [_XERIAL_HEADER]
    for start in range(0, len(payload), _XERIAL_BLOCK_BYTES):
        block = bytes(snappy.compress_raw(payload[start : start + _XERIAL_BLOCK_BYTES]))
        parts += (_LENGTH.pack(len(block)), block)
    return b"".join(parts)


def _corrupt(message: str) -> KafkaError:
    return KafkaError(ErrorCode.CORRUPT_MESSAGE, message)
