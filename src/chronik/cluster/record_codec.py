"""Metadata records as bytes: the key names the type, the value is one line of JSON that a person can read.

A value carries its version under `v`. Within a version fields may be added, and readers ignore those they do
not know; a version is raised when an old reader would be wrong to go on. A record that a reader does not
know, by its name or by its version, stops it with `UnreadableRecord`, unless the value has
`"ignorable":true`: then it is kept as it is and passed over (`metadata.passed_over`).
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from chronik.cluster.json_codec import stored_codec
from chronik.cluster.metadata.passed_over import UnknownRecord
from chronik.cluster.metadata.subject import MetadataRecord, RecordForm
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.cluster.metadata.table import SubjectTable


class UnreadableRecord(Exception):
    """The metadata log has a record that this release cannot read: damaged, or written by a newer release."""


Fields = Mapping[str, Any]

_VERSION, _IGNORABLE = "v", "ignorable"

# Made once: `json.dumps` makes one for each call.
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class _Codec(NamedTuple):
    key: bytes
    # The object's beginning, which a record's own fields follow.
    head: str
    write: Callable[[Any], Fields]
    read: Callable[[Fields], MetadataRecord]


def encode(record: MetadataRecord, subjects: SubjectTable | None = None) -> tuple[bytes, bytes]:
    """The key and value of the Kafka record that carries `record`."""
    if isinstance(record, UnknownRecord):
        return record.key, record.value
    codec = _codec((SUBJECTS if subjects is None else subjects).form_of(record))
    return codec.key, (codec.head + _to_json(codec.write(record))[1:]).encode()


def decode(key: bytes, value: bytes, subjects: SubjectTable | None = None) -> MetadataRecord:
    """The inverse of `encode`. Raises UnreadableRecord."""
    name = key.decode(errors="replace")
    form = (SUBJECTS if subjects is None else subjects).records.get(name)
    if form is None:
        return _unknown(
            name,
            key,
            value,
            f"metadata record type {name!r} is not known: the log was written by a newer release",
        )
    fields = _parse(name, value)
    version = fields.get(_VERSION)
    if not isinstance(version, int) or version > form.version:
        return _unknown(
            name,
            key,
            value,
            f"metadata record {name} has version {version!r}, this release reads up to {form.version}: "
            "start the release that wrote it, or a newer one",
        )
    try:
        return _codec(form).read(fields)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableRecord(f"metadata record {name} is damaged: {error!r} in {value!r}") from error


def _unknown(name: str, key: bytes, value: bytes, problem: str) -> UnknownRecord:
    """A record that may be passed over. Raises UnreadableRecord for one that may not."""
    try:
        fields = json.loads(value)
    except ValueError:
        fields = None
    if isinstance(fields, dict) and fields.get(_IGNORABLE) is True and isinstance(fields.get(_VERSION), int):
        return UnknownRecord(name=name, version=fields[_VERSION], key=key, value=value)
    raise UnreadableRecord(problem)


def _parse(name: str, value: bytes) -> Fields:
    try:
        fields = json.loads(value)
    except ValueError as error:
        raise UnreadableRecord(f"metadata record {name} is not JSON: {value!r}") from error
    if not isinstance(fields, dict):
        raise UnreadableRecord(f"metadata record {name} is not a JSON object: {value!r}")
    return fields


@cache
def _codec(form: RecordForm) -> _Codec:
    """Worked out at its first use: a node that starts again needs few of them."""
    kind: type[Any] = form.kind
    write, read = stored_codec(kind)
    head = {_VERSION: form.version, **({_IGNORABLE: True} if form.is_ignorable else {})}
    return _Codec(form.name.encode(), _to_json(head)[:-1] + ",", form.write or write, form.read or read)
