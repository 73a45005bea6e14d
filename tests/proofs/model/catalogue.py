"""The configurations of docs/model, and the errors that can be planted in the protocol."""

from typing import NamedTuple

# What is checked when nothing is said, in this order; docs/model has larger ones.
CONFIGURATIONS = ("elections", "crashes", "log_start", "disks", "lowering", "raising", "returning")


class Mutant(NamedTuple):
    """A planted error."""

    # The value of `Mutant` in the specification.
    name: str
    # Of docs/model, in which it matters.
    configuration: str
    what: str
    # Others of its kind that must find it, too.
    also: tuple[str, ...] = ()

    @property
    def configurations(self) -> tuple[str, ...]:
        return (self.configuration, *self.also)


MUTANTS = (
    Mutant("ack_before_fsync", "crashes", "a follower accepts before its fsync"),
    Mutant("leader_counts_unsynced", "crashes", "the leader counts itself before its fsync"),
    Mutant("vote_not_persisted", "crashes", "a vote leaves before its fsync"),
    Mutant("any_log_wins", "elections", "a vote for a candidate whose log is behind"),
    Mutant("leads_again", "crashes", "the designated leader leads in term 1 again after a crash"),
    Mutant("made_without_vote", "elections", "replicas are made without a vote for the designated leader"),
    Mutant("no_join_check", "elections", "a follower does not compare the term before an entry"),
    Mutant(
        "conflict_kept", "elections", "a follower keeps an entry of another term, and accepts the leader's"
    ),
    Mutant("commit_old_term", "old_terms", "a leader commits by counting what is not of its term"),
    Mutant("trims_uncommitted", "log_start", "a log start beyond what is committed"),
    Mutant("restarts_at_end", "log_start", "a follower's log restarts at the leader's end, not at its start"),
    Mutant("wiped_votes", "disks", "a replica on a replaced disk votes at once"),
    Mutant("wiped_counts", "disks", "an acceptance of a replica on a replaced disk counts at once"),
    Mutant("membership_in_force", "disks", "a membership gives a vote before it is committed"),
    Mutant(
        "returns_unrevised",
        "lowering",
        "a removed replica that returns votes: its name has no revision",
        also=("returning",),
    ),
    Mutant(
        "made_of_present",
        "lowering",
        "a replica that returns begins with a membership that names it",
        also=("returning",),
    ),
    Mutant("two_at_once", "lowering", "a membership with two voters less"),
)
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
