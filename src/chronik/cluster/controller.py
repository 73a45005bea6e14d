"""The pure controller: takes an image and a command, returns the records that carry it out or raises
KafkaError.

It decides everything two clients could disagree about: names, placement, ids. It changes nothing itself; the
records count once they are committed and applied. The subjects make the decisions.
"""

from collections.abc import Sequence

from chronik.cluster.image import ClusterDelta, ClusterImage
from chronik.cluster.metadata.features import check_level, first_records
from chronik.cluster.metadata.premises import Premises
from chronik.cluster.metadata.subject import Command, MetadataRecord
from chronik.cluster.metadata.subjects import SUBJECTS
from chronik.cluster.metadata.table import SubjectTable


def decide(
    image: ClusterImage, command: Command, premises: Premises, subjects: SubjectTable | None = None
) -> Sequence[MetadataRecord]:
    """The records that carry out `command`, to be committed together; empty when it is so already.

    Raises KafkaError when the command is refused, also because it, or a record of it, needs a later level of
    the metadata than is in force.
    """
    table = SUBJECTS if subjects is None else subjects
    form = table.command_form(command)
    check_level(image, form.level, form.name)
    decided = form.decide(image, command, premises)
    check_level(image, table.level_of(decided), form.name)
    return [*first_records(image, command, premises), *decided]


def change_made_already(
    image: ClusterImage, command: Command, subjects: SubjectTable | None = None
) -> ClusterDelta:
    """Returns the change of a command that leaves no records: none, or that of its first execution."""
    form = (SUBJECTS if subjects is None else subjects).command_form(command)
    if form.repeated is None:
        return ClusterDelta()
    return ClusterDelta.made_of(form.repeated(image, command))
