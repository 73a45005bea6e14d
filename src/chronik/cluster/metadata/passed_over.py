"""Records of later releases that are marked ignorable for releases that do not know them.

They are kept as they are, in their order, for the snapshots of this node: a later release on the same data
directory applies them when it reads them from there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from chronik.cluster.metadata.subject import Edits, MetadataRecord, RecordForm, Subject
from chronik.vocab.errors import ErrorCode, KafkaError

# A node with this many of them should be upgraded, rather than keep more.
PASSED_OVER_MAX = 100_000


class UnknownRecord(NamedTuple):
    """A record as it was stored."""

    name: str
    version: int
    key: bytes
    value: bytes


class PassedOverChanges(NamedTuple):
    """Changes of the records that are passed over."""

    # Names of kinds of which there was none before.
    kinds_passed_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """All of them since the metadata began."""

    kept: tuple[UnknownRecord, ...] = ()

    def edit(self) -> "PassedOverEdit":
        return PassedOverEdit(self)

    def records(self) -> Iterator[MetadataRecord]:
        yield from self.kept

    def changes_since(self, old: "PassedOver") -> PassedOverChanges:
        known = {record.name for record in old.kept}
        news = dict.fromkeys(record.name for record in self.kept if record.name not in known)
        return PassedOverChanges(kinds_passed_over=tuple(news))


class PassedOverEdit:
    """See `subject.Edit`."""

    def __init__(self, base: PassedOver) -> None:
        self._base = base
        self._added: list[UnknownRecord] = []

    def apply(self, record: UnknownRecord, edits: Edits) -> None:
        if len(self._base.kept) + len(self._added) >= PASSED_OVER_MAX:
            raise KafkaError(
                ErrorCode.UNSUPPORTED_VERSION,
                f"more than {PASSED_OVER_MAX} metadata records of later releases, the last one "
                f"{record.name}: start a release that knows them",
            )
        self._added.append(record)

    def finish(self) -> tuple[PassedOver, PassedOverChanges]:
        image = PassedOver(kept=(*self._base.kept, *self._added))
        return image, image.changes_since(self._base)


SUBJECT = Subject(
    name="passed_over",
    image=PassedOver,
    changes=PassedOverChanges,
    records=(RecordForm(kind=UnknownRecord),),
)
