"""Requests with very many elements in one of their arrays: one for each array of each API that is served."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from chronik.wire.apis import SUPPORTED, ApiKey, request_class
from chronik.wire.schema import Field, Message, Struct, fields_in

_NUMBERS = {"int8", "int16", "uint16", "int32", "uint32", "int64"}
_TEXTS = {"string", "uuid"}


class Filled(NamedTuple):
    """One of the requests, made with `message`: each is large."""

    api_key: ApiKey
    version: int
    # Fields from the request to the array.
    path: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.api_key.name}.{'.'.join(self.path)}"

    def message(self, count: int) -> Message:
        made: Message = _fill(request_class(self.api_key), self.version, self.path, count)
        return made


def filled_requests() -> Iterator[Filled]:
    """Of the oldest and of the newest version of each API."""
    for api_key, versions in SUPPORTED.items():
        for version in sorted({versions.first, versions.last}):
            for path in _array_paths(request_class(api_key), version):
                yield Filled(api_key, version, path)


def _array_paths(struct: type[Struct], version: int) -> Iterator[tuple[str, ...]]:
    for field in fields_in(struct, version):
        if field.is_array:
            yield (field.name,)
        if field.struct is not None:
            for path in _array_paths(field.struct, version):
                yield (field.name, *path)


def _fill(struct: Any, version: int, path: tuple[str, ...], count: int) -> Any:
    """An instance that has one element in the arrays on the way, and `count` in the last one."""
    made = struct()
    for field in fields_in(struct, version):
        if field.name != path[0]:
            if not field.is_array:
                _set_plain(made, field, 0)
            continue
        if not field.is_array:
            setattr(made, field.name, _fill(field.struct, version, path[1:], count))
        elif len(path) > 1:
            setattr(made, field.name, [_fill(field.struct, version, path[1:], count)])
        else:
            setattr(made, field.name, [_element(field, version, number) for number in range(count)])
    return made


def _element(field: Field, version: int, number: int) -> Any:
    if field.struct is None:
        return _value(field, number)
    made = field.struct()
    for inner in fields_in(field.struct, version):
        if not inner.is_array:
            _set_plain(made, inner, number)
    return made


def _set_plain(struct: Struct, field: Field, number: int) -> None:
    is_filled = field.struct is None and (field.type_name in _NUMBERS or field.type_name in _TEXTS)
    if is_filled and field.name != "acks" and "timeout" not in field.name and "epoch" not in field.name:
        setattr(struct, field.name, _value(field, number))


def _value(field: Field, number: int) -> object:
    if field.type_name == "string":
        return f"x{number}"
    if field.type_name == "uuid":
        return number.to_bytes(16, "big")
    if field.type_name in _NUMBERS:
        return number % 100 if field.type_name in ("int8", "int16") else number
    return False
