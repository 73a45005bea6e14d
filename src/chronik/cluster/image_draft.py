"""Builds the next image.

A draft edits the sub-images that its records concern, copies nothing else, and is dropped at the end.
"""

from collections.abc import Iterable
from typing import Any, cast

from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.metadata.subject import E, Edit, MetadataRecord, SubImage
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.cluster.metadata.table import SubjectTable


def apply_records(
    image: ClusterImage, records: Iterable[MetadataRecord], subjects: SubjectTable | None = None
) -> tuple[ClusterImage, ClusterDelta]:
    """Returns the image after `records`, and their changes.

    Its cost is proportional to the records, and hardly depends on the image. Raises InvariantViolation for
    records that do not fit the image: the controller never creates such, so the log is damaged or was applied
    wrongly.
    """
    draft = ImageDraft(image, subjects)
    for record in records:
        draft.apply(record)
    return draft.finish()


class ImageDraft:
    """One step from an image to the next. Created by `apply_records`; unusable after `finish`."""

    def __init__(self, base: ClusterImage, subjects: SubjectTable | None = None) -> None:
        self._base = base
        self._subjects = SUBJECTS if subjects is None else subjects
        # In the order of first use: an edit that looks at another one has it finish after itself, which is
        # all the same to both.
        self._edits: dict[type, Edit] = {}

    def apply(self, record: MetadataRecord) -> None:
        for kind in self._subjects.route(record):
            cast(Edit, self.edit(kind)).apply(record, self)

    def edit(self, kind: type[SubImage[E]]) -> E:
        """Returns the edit of the subject whose sub-image is of `kind`."""
        edit = self._edits.get(kind)
        if edit is None:
            edit = self._edits[kind] = cast(Edit, self._base.of(kind).edit())
        return cast(E, edit)

    def finish(self) -> tuple[ClusterImage, ClusterDelta]:
        parts, changes = dict[type, Any](self._base.parts), dict[type, Any]()
        for kind, edit in self._edits.items():
            parts[kind], change = edit.finish()
            changes[type(change)] = change
        return ClusterImage(parts), ClusterDelta(changes)
