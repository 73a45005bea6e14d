"""A subject of its own for tests: named flags. All that a subject is, in one module."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from chronik.cluster.image import ClusterImage
from chronik.cluster.metadata.premises import Premises
from chronik.cluster.metadata.subject import CommandForm, Edits, MetadataRecord, RecordForm, Subject
from chronik.vocab.errors import ErrorCode, KafkaError


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSet:
    name: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagChanges:
    flags_set: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    values: Mapping[str, int] = field(default_factory=dict)

    def edit(self) -> "FlagsEdit":
        return FlagsEdit(self)

    def records(self) -> Iterator[MetadataRecord]:
        for name, value in self.values.items():
            yield FlagSet(name=name, value=value)

    def changes_since(self, old: "Flags") -> FlagChanges:
        return FlagChanges(
            flags_set=tuple(name for name, value in self.values.items() if old.values.get(name) != value)
        )


class FlagsEdit:
    def __init__(self, base: Flags) -> None:
        self._base = base
        self._values = dict(base.values)

    def apply(self, record: FlagSet, edits: Edits) -> None:
        self._values[record.name] = record.value

    def finish(self) -> tuple[Flags, FlagChanges]:
        flags = Flags(values=self._values)
        return flags, flags.changes_since(self._base)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFlag:
    name: str
    value: int


def set_flag(image: ClusterImage, command: SetFlag, premises: Premises) -> list[MetadataRecord]:
    if not command.name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "A flag has a name")
    if image.of(Flags).values.get(command.name) == command.value:
        return []
    return [FlagSet(name=command.name, value=command.value)]


def flags_subject(*, level: int = 1, is_ignorable: bool = False) -> Subject:
    """As a release has it in which its records are of `level`."""
    return Subject(
        name="flags",
        image=Flags,
        changes=FlagChanges,
        records=(RecordForm(kind=FlagSet, level=level, is_ignorable=is_ignorable),),
        commands=(CommandForm(kind=SetFlag, decide=set_flag, is_repeatable=True),),
    )
