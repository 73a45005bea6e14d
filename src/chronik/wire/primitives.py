"""Functions called by compiled decoders and encoders: the parts of the format that do not fit on a line of
theirs.
"""

from chronik.wire.schema import Buffer, Records

# Elements of all arrays of a message together. Metadata of 50,000 partitions with three replicas has 400,000,
# a request of a client hardly a tenth of that. Three bytes can become an object of 170, ten one of 190
# (measured): without a bound a frame of 100 MiB could demand 5 GiB, with it some 100 MB.
ARRAY_ELEMENTS_MAX = 500_000

# Tagged fields of one struct, as in Kafka's readers. Each one also counts as an element of the message.
TAGGED_FIELDS_MAX = 10_000

# Records shorter than this are copied into the bytes around them: a buffer of its own costs the socket more.
RECORDS_APART_MIN = 4096

# Lengths and tag counts are mostly below 127.
ONE_BYTE = tuple(bytes((value,)) for value in range(128))


class MalformedMessage(ValueError):
    """The bytes are not a message of the expected class and version. The sender is at fault."""


def read_uvarint(buffer: Buffer, position: int, first: int) -> tuple[int, int]:
    """Returns value and end of an unsigned varint whose first byte, before `position`, has the
    continuation bit.
    """
    value = first & 127
    for shift in (7, 14, 21, 28):
        byte = buffer[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise MalformedMessage("a varint is longer than 5 bytes")


def skip_tagged_fields(buffer: Buffer, position: int, count: int) -> int:
    """The position behind `count` tagged fields, of which none is known. The caller has bounded the count."""
    end = len(buffer)
    for _ in range(count):
        byte = buffer[position]
        position += 1
        if byte > 127:
            _, position = read_uvarint(buffer, position, byte)
        size = buffer[position]
        position += 1
        if size > 127:
            size, position = read_uvarint(buffer, position, size)
        position += size
        if position > end:
            raise MalformedMessage("a tagged field ends behind the message")
    return position


def uvarint(value: int) -> bytes:
    """An unsigned varint."""
    if value < 128:
        return ONE_BYTE[value]
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def records_size(records: Records) -> int:
    """Bytes in one buffer or several."""
    if isinstance(records, bytes | memoryview):
        return len(records)
    return sum(map(len, records))


def add_records(records: Records, pieces: list[Buffer], parts: list[Buffer]) -> None:
    """Pass records on: long buffers as parts of their own, short ones as pieces."""
    for buffer in (records,) if isinstance(records, bytes | memoryview) else records:
        if len(buffer) < RECORDS_APART_MIN:
            pieces.append(buffer)
        else:
            if pieces:
                parts.append(b"".join(pieces))
                pieces.clear()
            parts.append(buffer)
