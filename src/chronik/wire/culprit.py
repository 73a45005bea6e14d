"""Finds what in a message cannot be written. Called after an encoder has failed, never before."""

from chronik.wire.schema import Field, Message, Struct, fields_in

_INTEGER_BITS = {
    "int8": range(-(2**7), 2**7),
    "int16": range(-(2**15), 2**15),
    "uint16": range(2**16),
    "int32": range(-(2**31), 2**31),
    "uint32": range(2**32),
    "int64": range(-(2**63), 2**63),
}


class EncodeError(TypeError):
    """A message holds a value that its class does not allow. The program is at fault, not its peer."""


def find_culprit(message: Message, version: int) -> str:
    """Returns the first field whose value its type does not allow in this version, in words."""
    what = f"{type(message).__name__} version {version}"
    return f"{what}: {_in_struct(message, version, '') or 'cannot be encoded'}"


def _in_struct(struct: Struct, version: int, path: str) -> str | None:
    for field in fields_in(type(struct), version):
        found = _in_field(field, getattr(struct, field.name, None), version, f"{path}{field.name}")
        if found is not None:
            return found
    return None


def _in_field(field: Field, value: object, version: int, path: str) -> str | None:
    if value is None:
        return None if field.nullable.last >= 0 or field.tag is not None else f"{path} is None"
    if not field.is_array:
        return _in_value(field, value, version, path)
    if not isinstance(value, list | tuple):
        return f"{path} is {value!r}, not a list"
    for number, item in enumerate(value):
        found = _in_value(field, item, version, f"{path}[{number}]")
        if found is not None:
            return found
    return None


def _in_value(field: Field, value: object, version: int, path: str) -> str | None:
    if field.struct is not None:
        if type(value) is not field.struct:
            return f"{path} is {value!r}, not a {field.struct.__name__}"
        return _in_struct(value, version, f"{path}.")
    if field.type_name in _INTEGER_BITS:
        allowed = isinstance(value, int) and value in _INTEGER_BITS[field.type_name]
    elif field.type_name == "string":
        allowed = isinstance(value, str) and _is_encodable(value)
    elif field.type_name in {"bytes", "uuid"}:
        allowed = isinstance(value, bytes)
    else:
        return None
    return None if allowed else f"{path} is {value!r}, not {field.type_name}"


def _is_encodable(value: str) -> bool:
    try:
        return len(value.encode()) < 2**15  # the longest string before flexible versions
    except UnicodeEncodeError:
        return False
