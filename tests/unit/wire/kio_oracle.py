"""What kio says a message is: values of its classes, their bytes, and the same values in ours."""

import dataclasses
import datetime
import io
import typing
import uuid
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from hypothesis import strategies as st
from kio.schema.errors import ErrorCode
from kio.schema.index import api_key_map, schema_name_map
from kio.serial import entity_reader, entity_writer
from kio.static.constants import EntityType

from chronik.wire.apis import SCHEMAS
from chronik.wire.messages.consumer_protocol_assignment import ConsumerProtocolAssignment
from chronik.wire.messages.consumer_protocol_subscription import ConsumerProtocolSubscription
from chronik.wire.schema import ZERO_UUID, Message, Struct, fields
from tests.parity.schemas import request_layout, response_layout

Kind = typing.Literal[EntityType.request, EntityType.response, EntityType.data]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)
LAST_MOMENT_MS = 2**41  # the year 2039; kio goes through floats, which the last years do not survive


class Case(NamedTuple):
    """A message class of ours and kio's for one of its versions."""

    ours: type[Message]
    kio: Any
    version: int

    def __str__(self) -> str:
        return f"{self.ours.__name__}-{self.version}"


def all_cases() -> Iterator[Case]:
    """Every class and version that kio has of what we have."""
    for key in SCHEMAS:
        yield from _cases(api_key_map[key], EntityType.request, request_layout(key).message)
        yield from _cases(api_key_map[key], EntityType.response, response_layout(key).message)
    yield from _cases("consumer_protocol_assignment", EntityType.data, ConsumerProtocolAssignment)
    yield from _cases("consumer_protocol_subscription", EntityType.data, ConsumerProtocolSubscription)


def _cases(schema: str, kind: Kind, ours: type[Message]) -> Iterator[Case]:
    for version, kinds in schema_name_map[schema].items():
        module, _, name = kinds[kind].partition(":")
        yield Case(ours, getattr(import_module(module), name), version)


def to_bytes(message: Any) -> bytes:
    """kio's encoding."""
    buffer = io.BytesIO()
    entity_writer(type(message))(buffer, message)
    return buffer.getvalue()


def from_bytes(kio_class: Any, data: bytes) -> Any:
    """kio's decoding, of all of the bytes."""
    message, size = entity_reader(kio_class)(data, 0)
    assert size == len(data)
    return message


def to_ours(value: Any, ours: type[Struct]) -> Any:
    """A value of kio's as one of ours. Fields that this version lacks stay at their defaults."""
    values = {}
    table = {field.name: field for field in fields(ours)}
    for field in dataclasses.fields(value):
        kafka_type = field.metadata.get("kafka_type", "struct")
        is_time = kafka_type.startswith(("timedelta", "datetime"))
        name = f"{field.name}_ms" if is_time else field.name
        if "tag" in field.metadata and getattr(value, field.name) == field.default:
            continue  # not on the wire, where a struct of defaults and none are the same
        values[name] = _plain(getattr(value, field.name), kafka_type, table[name].struct)
    return ours(**values)


def _plain(value: Any, kafka_type: str, struct: type[Struct] | None) -> Any:
    if isinstance(value, tuple):
        return [_plain(item, kafka_type, struct) for item in value]
    if value is None:
        return {"uuid": ZERO_UUID, "datetime_i64": -1}.get(kafka_type)
    if struct is not None:
        return to_ours(value, struct)
    match value:
        case datetime.timedelta():
            return value // MILLISECOND
        case datetime.datetime():
            return (value - EPOCH) // MILLISECOND
        case uuid.UUID():
            return value.bytes
        case ErrorCode():
            return value.value
        case _:
            return value


# Values.


def _bits(count: int) -> st.SearchStrategy[int]:
    """Signed integers, the edges among them."""
    return st.integers(-(2 ** (count - 1)), 2 ** (count - 1) - 1)


def _durations(bits: int) -> st.SearchStrategy[datetime.timedelta]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).map(
        lambda ms: datetime.timedelta(milliseconds=ms)
    )


# A name in a few scripts, or one that needs a length of two bytes.
TEXTS = st.text(alphabet="aé語😀\0", max_size=4) | st.just("long" * 50)

SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int8": _bits(8),
    "int16": _bits(16),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": _bits(32),
    "int64": _bits(64),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "string": TEXTS,
    "bytes": st.binary(max_size=4) | st.just(bytes(200)),
    "records": st.binary(max_size=4) | st.just(bytes(5000)),
    "uuid": st.none() | st.binary(min_size=16, max_size=16).filter(any).map(lambda raw: uuid.UUID(bytes=raw)),
    "error_code": st.sampled_from(ErrorCode),
    "timedelta_i32": _durations(32),
    # Longer ones do not survive kio, which goes through floats.
    "timedelta_i64": _durations(48),
    "datetime_i64": st.integers(0, LAST_MOMENT_MS).map(lambda ms: EPOCH + ms * MILLISECOND),
}


@cache
def values(kio_class: Any) -> st.SearchStrategy[Any]:
    """Instances of a class of kio's, with all that its fields can hold."""
    return st.builds(
        kio_class, **{field.name: _field_values(field) for field in dataclasses.fields(kio_class)}
    )


def _field_values(field: "dataclasses.Field[Any]") -> st.SearchStrategy[Any]:
    annotation, is_optional = _without_none(field.type)
    is_array = typing.get_origin(annotation) is tuple
    element = _without_none(typing.get_args(annotation)[0])[0] if is_array else annotation
    kafka_type = field.metadata.get("kafka_type")
    found = SCALARS[kafka_type] if kafka_type else values(element)
    if is_array:
        found = st.lists(found, max_size=2).map(tuple)
    return st.none() | found if is_optional else found


def _without_none(annotation: Any) -> tuple[Any, bool]:
    arguments = typing.get_args(annotation)
    if type(None) not in arguments:
        return annotation, False
    return next(argument for argument in arguments if argument is not type(None)), True
