"""Codecs: round trips, what clients write, and bounds."""

import gzip
import struct
from random import Random

import cramjam
import pytest

from chronik.records.batch import Codec
from chronik.records.compression import compress, decompress
from chronik.vocab.errors import ErrorCode, KafkaError

_random = Random(1)
_words = [_random.randbytes(_random.randrange(3, 9)) for _ in range(300)]
# Like prose: words that come again, without a pattern.
TEXT = b" ".join(_random.choice(_words) for _ in range(30_000))
COMPRESSED = [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]


def code_of(codec: Codec, payload: bytes, bytes_max: int = 1 << 20) -> ErrorCode:
    with pytest.raises(KafkaError) as error:
        decompress(codec, payload, bytes_max=bytes_max)
    return error.value.code


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize(
    "payload", [b"", b"x", TEXT, bytes(10_000_000)], ids=["none", "one", "text", "zeros"]
)
def test_round_trip(codec: Codec, payload: bytes) -> None:
    assert bytes(decompress(codec, compress(codec, payload))) == payload


@pytest.mark.parametrize("codec", COMPRESSED)
def test_compresses(codec: Codec) -> None:
    assert len(compress(codec, TEXT)) < len(TEXT) / 2


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.LZ4, Codec.ZSTD])
def test_levels_differ(codec: Codec) -> None:
    fast, small = compress(codec, TEXT, 1), compress(codec, TEXT, 9)
    assert len(small) < len(fast)
    assert bytes(decompress(codec, small)) == TEXT


class TestFormats:
    def test_gzip_is_gzip(self) -> None:
        assert gzip.decompress(compress(Codec.GZIP, TEXT)) == TEXT
        assert bytes(decompress(Codec.GZIP, gzip.compress(TEXT))) == TEXT

    def test_snappy_writes_javas_framing(self) -> None:
        framed = bytes(compress(Codec.SNAPPY, TEXT))
        assert framed[:16] == b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)
        (size,) = struct.unpack_from(">i", framed, 16)
        assert bytes(cramjam.snappy.decompress_raw(framed[20 : 20 + size])) == TEXT[: 32 * 1024]

    def test_snappy_reads_a_raw_block(self) -> None:
        assert bytes(decompress(Codec.SNAPPY, bytes(cramjam.snappy.compress_raw(TEXT)))) == TEXT

    def test_lz4_has_independent_blocks_which_java_demands(self) -> None:
        frame = bytes(compress(Codec.LZ4, TEXT))
        assert frame[:4] == b"\x04\x22\x4d\x18"
        assert frame[4] >> 6 == 1, "version"
        assert frame[4] & 0x20, "block independence"


class TestBounds:
    @pytest.mark.parametrize("codec", COMPRESSED)
    def test_bomb(self, codec: Codec) -> None:
        bomb = bytes(compress(codec, bytes(5_000_000)))
        assert code_of(codec, bomb) is ErrorCode.CORRUPT_MESSAGE
        assert len(decompress(codec, bomb, bytes_max=5_000_000)) == 5_000_000

    @pytest.mark.parametrize("codec", COMPRESSED)
    def test_garbage(self, codec: Codec) -> None:
        assert code_of(codec, b"\xff garbage, not compressed at all \xff" * 10) is ErrorCode.CORRUPT_MESSAGE

    @pytest.mark.parametrize("codec", COMPRESSED)
    def test_cut_short(self, codec: Codec) -> None:
        assert code_of(codec, bytes(compress(codec, TEXT))[:-5]) is ErrorCode.CORRUPT_MESSAGE

    @pytest.mark.parametrize("tail", [b"\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"])
    def test_snappy_block_length(self, tail: bytes) -> None:
        assert code_of(Codec.SNAPPY, bytes(compress(Codec.SNAPPY, b"")) + tail) is ErrorCode.CORRUPT_MESSAGE

    def test_a_raw_snappy_block_that_claims_too_much(self) -> None:
        assert code_of(Codec.SNAPPY, b"\xff\xff\xff\xff\x0f") is ErrorCode.CORRUPT_MESSAGE
