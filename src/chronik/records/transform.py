"""Rewriting a batch for its topic: another codec (`compression.type`), the broker's time
(`message.timestamp.type`).

The records themselves are not decoded: a codec is a wrapping of their bytes, and LogAppendTime stands in
the header.
"""

from chronik.records.batch import (
    CODEC_MASK,
    HEADER_BYTES,
    LOG_APPEND_TIME_BIT,
    Batch,
    Codec,
    pack_header,
    seal,
)
from chronik.records.compression import compress
from chronik.records.record import decode_payload


def with_codec(batch: Batch, codec: Codec, level: int | None = None) -> Batch:
    """The batch compressed so; itself when it is already. Raises what `decode_payload` does."""
    header = batch.header
    if header.codec_id == codec:
        return batch
    attributes = (header.attributes & ~CODEC_MASK) | codec
    data = bytearray(pack_header(header._replace(attributes=attributes)))
    data += compress(codec, decode_payload(batch), level)
    return seal(data)


def with_log_append_time(batch: Batch, now_ms: int) -> Batch:
    """Returns a copy whose records all have the timestamp `now_ms`."""
    header = batch.header
    attributes = header.attributes | LOG_APPEND_TIME_BIT
    data = bytearray(batch.data)
    data[:HEADER_BYTES] = pack_header(header._replace(attributes=attributes, max_timestamp=now_ms))
    return seal(data)
