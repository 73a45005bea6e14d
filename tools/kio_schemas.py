"""Reads the schemas that kio carries, with the versions of each struct merged into one."""

import dataclasses
import datetime
import enum
import importlib
import typing
from collections.abc import Iterator

from kio.schema.index import schema_name_map
from kio.static.constants import EntityType

Kind = typing.Literal[EntityType.request, EntityType.response, EntityType.data]

# kio begins at Produce 3, as Kafka 4 does; 0-2 are answered too, with an error (KAFKA-18659). Their requests
# lack only the transactional id, their responses grow by one field per version.
EARLIER_VERSIONS = {"produce": (0, {"transactional_id": 3, "throttle_time_ms": 1, "log_append_time_ms": 2})}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LaterVersions:
    """What Kafka 4.4 has beyond kio: the last version, fields whose last version is kio's, and new fields.

    Keys are "Struct.field" with kio's names. A new field stands behind the field named by its key, and is in
    every version beyond kio's.
    """

    last: int
    ended: frozenset[str] = frozenset()
    added: dict[str, tuple[str, str, bool, str | None]] = dataclasses.field(default_factory=dict)


# Checked against the schemas inside Kafka 4.4's own clients (their bytes are in
# tests/unit/wire/test_later_than_kio.py). Name, type, nullable, default of what is new.
LATER_VERSIONS = {
    "api_versions": LaterVersions(
        last=5,
        added={
            "ApiVersionsRequest.client_software_version": ("cluster_id", "string", True, "None"),
            "ApiVersionsRequest.cluster_id": ("node_id", "int32", False, "-1"),
        },
    ),
    "delete_groups": LaterVersions(
        last=3,
        added={"DeletableGroupResult.error_code": ("error_message", "string", True, "None")},
    ),
    "txn_offset_commit": LaterVersions(
        last=6,
        ended=frozenset({"TxnOffsetCommitRequestTopic.name", "TxnOffsetCommitResponseTopic.name"}),
        added={
            "TxnOffsetCommitRequestTopic.name": ("topic_id", "uuid", False, None),
            "TxnOffsetCommitResponseTopic.name": ("topic_id", "uuid", False, None),
        },
    ),
}

# What travels for kio's richer types.
PLAIN_TYPES = {
    "error_code": "int16",
    "timedelta_i32": "int32",
    "timedelta_i64": "int64",
    "datetime_i64": "int64",
}


@dataclasses.dataclass(slots=True, kw_only=True)
class FieldSource:
    """One field, merged over the versions that have it. `default` is source text, None: the type's own."""

    name: str
    type: str
    is_array: bool
    is_struct: bool
    tag: int | None
    default: str | None
    versions: list[int]
    nullable: list[int]


@dataclasses.dataclass(slots=True, kw_only=True)
class StructSource:
    """One struct, merged over versions; `fields` in the order of the wire."""

    name: str
    fields: list[FieldSource]


@dataclasses.dataclass(slots=True, kw_only=True)
class MessageSource:
    """A request, response or data schema: its structs, those that others need first and itself last."""

    first: int
    last: int
    flexible_from: int | None
    structs: list[StructSource]


def read_message(schema: str, kind: Kind) -> MessageSource:
    """Merge all versions of one request, response or data schema."""
    versions = sorted(schema_name_map[schema])
    structs: dict[str, StructSource] = {}
    flexible_from = None
    for version in versions:
        module, _, name = schema_name_map[schema][version][kind].partition(":")
        entity = getattr(importlib.import_module(module), name)
        if entity.__flexible__ and flexible_from is None:
            flexible_from = version
        merge_entity(entity, version, structs)
    first = versions[0]
    if schema in EARLIER_VERSIONS:
        first, starts = EARLIER_VERSIONS[schema]
        add_earlier_versions(structs, first, versions[0], starts)
    last = versions[-1]
    if schema in LATER_VERSIONS:
        add_later_versions(structs, LATER_VERSIONS[schema], last)
        last = LATER_VERSIONS[schema].last
    return MessageSource(
        first=first, last=last, flexible_from=flexible_from, structs=in_order_of_need(structs, name)
    )


def merge_entity(entity: type, version: int, structs: dict[str, StructSource]) -> None:
    """Add what one version of a struct, and the structs in it, say."""
    struct = structs.setdefault(entity.__name__, StructSource(name=entity.__name__, fields=[]))
    position = 0
    for field in dataclasses.fields(entity):
        nested = next(entities_in(field.type), None)
        if nested is not None:
            merge_entity(nested, version, structs)
        position = merge_field(struct, read_field(field, nested), version, is_nullable(field), position)


def merge_field(struct: StructSource, field: FieldSource, version: int, nullable: bool, position: int) -> int:
    """Add one version of a field behind its predecessor's place; returns the place of the next."""
    known = next((known for known in struct.fields if known.name == field.name), None)
    if known is None:
        struct.fields.insert(position, field)
        known = field
    if (known.type, known.tag, known.default) != (field.type, field.tag, field.default):
        raise SystemExit(f"{struct.name}.{field.name} changes between versions: {known} {field}")
    if version not in known.versions:  # a struct used in two places is seen twice
        known.versions.append(version)
        if nullable:
            known.nullable.append(version)
    return struct.fields.index(known) + 1


def read_field(field: "dataclasses.Field[object]", nested: type | None) -> FieldSource:
    """One version of a field, with the values' own names for kio's richer types."""
    kafka_type = field.metadata.get("kafka_type", "")
    is_time = kafka_type in {"timedelta_i32", "timedelta_i64", "datetime_i64"}
    return FieldSource(
        name=f"{field.name}_ms" if is_time else field.name,  # kio takes the unit off
        type=nested.__name__ if nested else PLAIN_TYPES.get(kafka_type, kafka_type),
        is_array=typing.get_origin(without_none(field.type)) is tuple,
        is_struct=nested is not None,
        tag=field.metadata.get("tag"),
        default=default_text(field, kafka_type, nested),
        versions=[],
        nullable=[],
    )


def default_text(field: "dataclasses.Field[object]", kafka_type: str, nested: type | None) -> str | None:
    """Kafka's default as source text."""
    default = field.default
    if default is dataclasses.MISSING or default == () or kafka_type == "uuid":
        return None
    if default is None and kafka_type == "datetime_i64":
        return "-1"
    if nested is not None and default is not None:
        return None  # an instance of the struct with its own defaults
    if isinstance(default, datetime.timedelta):
        return str(round(default.total_seconds() * 1000))
    if isinstance(default, enum.Enum):
        return str(default.value)
    if isinstance(default, str):
        return f'"{default}"'
    return repr(default)


def entities_in(annotation: object) -> Iterator[type]:
    """The struct class inside an annotation such as `tuple[X, ...] | None`."""
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from entities_in(argument)


def without_none(annotation: object) -> object:
    if type(None) in typing.get_args(annotation):
        return typing.get_args(annotation)[0]
    return annotation


def is_nullable(field: "dataclasses.Field[object]") -> bool:
    """Whether null can travel. kio also says None for a zero uuid and for a time of -1."""
    inner = without_none(field.type)
    if field.metadata.get("kafka_type") in {"uuid", "datetime_i64"} and typing.get_origin(inner) is not tuple:
        return False
    return inner is not field.type


def add_earlier_versions(
    structs: dict[str, StructSource], first: int, known_from: int, starts: dict[str, int]
) -> None:
    """Stretch fields that exist from the first version kio knows back to where Kafka had them first."""
    for struct in structs.values():
        for field in struct.fields:
            if field.versions[0] == known_from:
                earlier = list(range(starts.get(field.name, first), known_from))
                nullable = earlier if field.nullable[:1] == [known_from] else []
                field.versions[:0] = earlier
                field.nullable[:0] = nullable


def add_later_versions(structs: dict[str, StructSource], later: LaterVersions, known_to: int) -> None:
    """Stretch fields that exist in the last version kio knows to where Kafka is, and add what is new."""
    news = list(range(known_to + 1, later.last + 1))
    for struct in structs.values():
        for field in struct.fields:
            if field.versions[-1] == known_to and f"{struct.name}.{field.name}" not in later.ended:
                field.nullable.extend(news if field.nullable[-1:] == [known_to] else [])
                field.versions.extend(news)
    for place, (name, type_name, is_nullable_field, default) in later.added.items():
        struct_name, _, before = place.partition(".")
        if struct_name not in structs:  # of the other side: request or response
            continue
        fields = structs[struct_name].fields
        position = [field.name for field in fields].index(before) + 1
        fields.insert(position, new_field(name, type_name, news, is_nullable_field, default))


def new_field(
    name: str, type_name: str, versions: list[int], is_nullable_field: bool, default: str | None
) -> FieldSource:
    """A field that kio does not know."""
    return FieldSource(
        name=name,
        type=type_name,
        is_array=False,
        is_struct=False,
        tag=None,
        default=default,
        versions=list(versions),
        nullable=list(versions) if is_nullable_field else [],
    )


def in_order_of_need(structs: dict[str, StructSource], root: str) -> list[StructSource]:
    """Structs such that each comes after those its fields are made of."""
    order: list[StructSource] = []

    def visit(name: str) -> None:
        for field in structs[name].fields:
            if field.is_struct:
                visit(field.type)
        if structs[name] not in order:
            order.append(structs[name])

    visit(root)
    return order


def disambiguate(request: MessageSource, response: MessageSource) -> None:
    """Name structs apart that occur on both sides, by the side."""
    both = {struct.name for struct in request.structs} & {struct.name for struct in response.structs}
    for message, side in ((request, "Request"), (response, "Response")):
        for struct in message.structs:
            for field in struct.fields:
                if field.type in both:
                    field.type += side
            if struct.name in both:
                struct.name += side
