"""Commits, fetches and deletions of offsets: plays over the pure shard."""

from chronik.broker.coordinator.shard import Ticket
from chronik.broker.groups.commands import Commit, CommitAnswer, OffsetToCommit
from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.offset_commands import commit_bytes_bound
from chronik.broker.groups.record_format import decode_offset_value
from chronik.broker.groups.shard import Shard
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import TopicPartition

from .known_topics import KnownTopics
from .play import Play, perform


def test_a_simple_consumer_commits_without_a_group() -> None:
    play = perform(
        """
        c commit t-0=5 t-1=7/note u-0=0
            log: g t-0 at 5
            log: g t-1 at 7 'note'
            log: g u-0 at 0
            c: fine, fine, fine
        c fetch t-1 t-0 t-2
            c: t-1=7/note t-0=5
        c fetch
            c: t-0=5 t-1=7/note u-0=0
        c describe
            c: Empty
        c list
            c: g//Empty
        """
    )
    assert play.shard.groups["g"].is_simple


def test_a_group_that_does_not_exist_has_no_offsets_and_takes_no_members_commits() -> None:
    play = perform(
        """
        c fetch
            c: no offsets
        c fetch t-0
            c: no offsets
        c commit id=m generation=3 t-0=1
            c: GROUP_ID_NOT_FOUND
        """
    )
    assert play.shard.groups == {}


def test_while_there_are_members_only_they_commit() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        c commit t-0=1
            c: UNKNOWN_MEMBER_ID
        c commit id=a-1 t-0=1
            c: ILLEGAL_GENERATION
        c commit id=stranger generation=1 t-0=1
            c: UNKNOWN_MEMBER_ID
        a commit t-0=2
            log: g t-0 at 2
            a: fine
        a leave
            log: g generation 2 empty
            a: left
        # An administrator resets the offsets.
        c commit t-0=0
            log: g t-0 at 0
            c: fine
        """
    )


def test_members_may_commit_while_the_others_rejoin() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        b join v=3
        a commit t-0=2
            log: g t-0 at 2
            a: fine
        """
    )


def test_metadata_has_a_limit_for_each_partition() -> None:
    perform(
        """
        c commit t-0=1/12345 t-1=1/1234
            log: g t-1 at 1 '1234'
            c: OFFSET_METADATA_TOO_LARGE, fine
        c commit group=other t-0=1/12345
            c: OFFSET_METADATA_TOO_LARGE
        c list
            c: g//Empty
        """,
        offset_metadata_max=4,
    )


def test_a_commit_too_large_for_a_batch_is_refused_whole() -> None:
    offsets = tuple(
        OffsetToCommit(partition=TopicPartition("t" * 200, partition), offset=1, metadata="m" * 4000)
        for partition in range(300)
    )
    shard = Shard(GroupConfig(), KnownTopics())
    play = Play(GroupConfig())
    outcome = shard.handle(Commit("g", offsets=offsets), Ticket(1), play.now)
    assert outcome.answers == [(Ticket(1), CommitAnswer(error=ErrorCode.INVALID_COMMIT_OFFSET_SIZE))]
    assert not outcome.records
    assert shard.groups == {}


def test_the_bound_of_a_commit_covers_its_records() -> None:
    offsets = tuple(
        OffsetToCommit(partition=TopicPartition("tü", partition), offset=partition, metadata="é" * partition)
        for partition in range(50)
    )
    command = Commit("grüppe", offsets=offsets, retention_ms=1)
    outcome = Shard(GroupConfig(), KnownTopics()).handle(command, Ticket(1), Play(GroupConfig()).now)
    written = sum(len(key) + len(value or b"") for key, value in outcome.records)
    assert written <= commit_bytes_bound(command)


def test_offsets_of_topics_in_use_are_not_deleted() -> None:
    perform(
        """
        c commit t-0=1 u-0=1
            log: g t-0 at 1
            log: g u-0 at 1
            c: fine, fine
        a join v=3 protocols=range:t
            a: generation 1, leads a-1
        admin forget-offsets t-0 u-0 u-1
            log: g u-0 gone
            admin: GROUP_SUBSCRIBED_TO_TOPIC, fine, fine
        a leave
            log: g generation 2 empty
            a: left
        admin forget-offsets t-0
            log: g t-0 gone
            admin: fine
        admin forget-offsets group=other t-0
            admin: GROUP_ID_NOT_FOUND
        """
    )


def test_offsets_of_a_group_that_is_not_of_consumers_are_deleted_only_when_it_is_empty() -> None:
    perform(
        """
        c commit t-0=1
            log: g t-0 at 1
            c: fine
        a join v=3 as=connect
            a: generation 1, leads a-1
        admin forget-offsets t-0
            admin: NON_EMPTY_GROUP
        a leave
            log: g generation 2 empty
            a: left
        admin forget-offsets t-0
            log: g t-0 gone
            admin: fine
        """
    )


def test_a_deleted_topic_takes_its_offsets_along() -> None:
    perform(
        """
        c commit t-0=1 t-1=1 u-0=1
            log: g t-0 at 1
            log: g t-1 at 1
            log: g u-0 at 1
            c: fine, fine, fine
        c commit group=h t-0=1
            log: h t-0 at 1
            c: fine
        broker forget-topics t
            log: g t-0 gone
            log: g t-1 gone
            log: h t-0 gone
            broker: 3 offsets removed
        c fetch
            c: u-0=1
        c describe group=h
            c: Empty
        """
    )


def test_offsets_survive_a_restart_of_the_coordinator() -> None:
    perform(
        """
        c commit t-0=1 t-1=4/here
            log: g t-0 at 1
            log: g t-1 at 4 'here'
            c: fine, fine
        c commit t-0=2
            log: g t-0 at 2
            c: fine
        c commit group=h t-0=9
            log: h t-0 at 9
            c: fine
        admin forget-offsets group=h t-0
            log: h t-0 gone
            admin: fine
        reload
        c fetch
            c: t-0=2 t-1=4/here
        c list
            c: g//Empty
        """
    )


def test_a_retention_longer_than_time_is_for_ever() -> None:
    shard = Shard(GroupConfig(), KnownTopics())
    command = Commit(
        "g", offsets=(OffsetToCommit(partition=TopicPartition("t", 0), offset=5),), retention_ms=2**63 - 1
    )
    outcome = shard.handle(command, Ticket(1), Play(GroupConfig()).now)
    ((_, value),) = outcome.records
    assert value is not None
    assert decode_offset_value(value).expire_timestamp_ms == 2**63 - 1
