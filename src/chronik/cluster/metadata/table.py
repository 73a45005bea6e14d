"""The generic part of subjects: the owner of each record, the decision on each command, and the levels."""

from collections.abc import Mapping, Sequence

from chronik.cluster.metadata import passed_over
from chronik.cluster.metadata.subject import (
    FIRST_LEVEL,
    Command,
    CommandForm,
    MetadataRecord,
    RecordForm,
    Subject,
)
from chronik.vocab.invariant import invariant


class SubjectTable:
    """Made once, of all subjects that a release has. Tests make others, for releases that are not there."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        # Unknown records come last, in the table and in snapshots.
        self.subjects = (*subjects, passed_over.SUBJECT)
        self.records: Mapping[str, RecordForm] = {
            form.name: form for subject in subjects for form in subject.records
        }
        self.commands: Mapping[str, CommandForm] = {
            form.name: form for subject in subjects for form in subject.commands
        }
        invariant(
            len(self.records) == sum(len(subject.records) for subject in subjects)
            and len(self.commands) == sum(len(subject.commands) for subject in subjects),
            "two kinds of records or commands have one name",
        )
        # The last level that something of this table needs.
        levels = [form.level for form in self.records.values()]
        levels += [form.level for form in self.commands.values()]
        self.last_level = max(levels, default=FIRST_LEVEL)
        self._routes: dict[type, tuple[type, ...]] = {}
        for subject in self.subjects:
            for form in subject.records:
                self._routes[form.kind] = (*self._followers(form.kind), subject.image)

    def with_subject(self, subject: Subject) -> "SubjectTable":
        """Returns the table that has `subject` as well."""
        return SubjectTable((*self.subjects[:-1], subject))

    def route(self, record: MetadataRecord) -> tuple[type, ...]:
        """The sub-images that take in `record`, that of its owner last."""
        return self._routes[type(record)]

    def form_of(self, record: MetadataRecord) -> RecordForm:
        """Returns the stored form of a record."""
        return self.records[type(record).__name__]

    def command_form(self, command: Command) -> CommandForm:
        """Returns the form that decides on a command."""
        return self.commands[type(command).__name__]

    def level_of(self, records: Sequence[MetadataRecord]) -> int:
        """The cluster's level from which all of them may be written."""
        return max((self.form_of(record).level for record in records), default=FIRST_LEVEL)

    def _followers(self, kind: type) -> tuple[type, ...]:
        return tuple(subject.image for subject in self.subjects if kind in subject.follows)
