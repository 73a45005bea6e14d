"""A snapshot of `__meta`: the whole image as metadata records, and the offset up to which it counts.

A line of text for each record, its type and its JSON as in the log, so that the same rules hold for what
other releases wrote; a header in front with the offset and a checksum. Files are the server's business.
"""

import struct
import zlib
from collections.abc import Iterator

from chronik.cluster.image import ClusterImage
from chronik.cluster.image_draft import apply_records
from chronik.cluster.metadata.subject import MetadataRecord
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.cluster.metadata.table import SubjectTable
from chronik.cluster.record_codec import UnreadableRecord, decode, encode
from chronik.vocab.ids import Offset

_MAGIC = b"chronik-meta"
_VERSION = 1

# Magic, version, offset, CRC-32 of all that follows.
_HEADER = struct.Struct(">12sBqI")


class UnreadableSnapshot(UnreadableRecord):
    """The snapshot is damaged, or written by a newer release."""


def image_records(image: ClusterImage, subjects: SubjectTable | None = None) -> Iterator[MetadataRecord]:
    """Yields records that build `image` from nothing: one for each thing, whatever its history."""
    for subject in (SUBJECTS if subjects is None else subjects).subjects:
        yield from image.of(subject.image).records()


def encode_snapshot(image: ClusterImage, offset: Offset, subjects: SubjectTable | None = None) -> bytes:
    """Encodes a snapshot of `image`, the sum of the records below `offset`. May run in a thread."""
    body = b"\n".join(b"%b %b" % encode(record, subjects) for record in image_records(image, subjects))
    return _HEADER.pack(_MAGIC, _VERSION, offset, zlib.crc32(body)) + body


def decode_snapshot(data: bytes, subjects: SubjectTable | None = None) -> tuple[ClusterImage, Offset]:
    """The image and its offset. Raises UnreadableSnapshot."""
    if len(data) < _HEADER.size:
        raise UnreadableSnapshot("a metadata snapshot is cut short")
    magic, version, offset, crc = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise UnreadableSnapshot("this is no metadata snapshot")
    if version > _VERSION:
        raise UnreadableSnapshot(f"a metadata snapshot has version {version}: a newer release wrote it")
    body = data[_HEADER.size :]
    if zlib.crc32(body) != crc:
        raise UnreadableSnapshot("a metadata snapshot is damaged")
    try:
        lines = body.split(b"\n") if body else ()
        records = (_decode_line(line, subjects) for line in lines)
        image, _ = apply_records(ClusterImage(), records, subjects)
    except UnreadableRecord as error:
        raise UnreadableSnapshot(f"a metadata snapshot cannot be read: {error}") from error
    return image, Offset(offset)


def _decode_line(line: bytes, subjects: SubjectTable | None) -> MetadataRecord:
    key, _, value = line.partition(b" ")
    return decode(key, value, subjects)
