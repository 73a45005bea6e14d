"""Retention of offsets (KIP-211): plays over the pure shard."""

from chronik.broker.coordinator.shard import Ticket
from chronik.broker.groups.commands import Commit, OffsetToCommit
from chronik.broker.groups.config import EXPIRED_OFFSETS_PER_TURN, GroupConfig
from chronik.vocab.ids import TopicPartition

from .play import Play, perform

# Looked for every second, kept for ten.
_SHORT = {"offsets_retention_ms": 10_000, "expiry_interval_ms": 1_000}


def test_a_simple_group_s_offsets_expire_after_their_commit_and_the_group_with_them() -> None:
    play = perform(
        """
        c commit t-0=1
            log: g t-0 at 1
            c: fine
        time 5500
        c commit t-1=1
            log: g t-1 at 1
            c: fine
        time 10000
            at 10000
            log: g t-0 gone
        time 1000
            at 16000
            log: g t-1 gone
        """,
        **_SHORT,
    )
    assert play.shard.groups == {}


def test_the_time_of_a_group_with_members_starts_when_it_becomes_empty() -> None:
    play = perform(
        """
        a join v=3 session=1800000
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        a commit t-0=1
            log: g t-0 at 1
            a: fine
        time 100000
        a leave
            log: g generation 2 empty
            a: left
        time 9999
        # The time goes on over a restart.
        reload
        time 1001
            at 110999
            log: g t-0 gone
            log: g gone
        """,
        **_SHORT,
    )
    assert play.shard.groups == {}


def test_offsets_that_are_set_for_an_empty_group_live_as_long_as_any() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a commit id= generation=-1 t-0=1
            a: UNKNOWN_MEMBER_ID
        a leave
            log: g generation 2 empty
            a: left
        admin commit t-0=0
            log: g t-0 at 0
            admin: fine
        time 9999
        admin commit t-0=5
            log: g t-0 at 5
            admin: fine
        time 10000
        time 1
            at 20000
            log: g t-0 gone
            log: g gone
        """,
        **_SHORT,
    )


def test_in_a_stable_group_only_topics_nobody_subscribes_to_expire() -> None:
    perform(
        """
        a join v=3 session=1800000 protocols=range:t+u
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        a commit t-0=1 u-0=1
            log: g t-0 at 1
            log: g u-0 at 1
            a: fine, fine
        time 50000
        a join session=1800000 protocols=range:t
            a: generation 2, leads a-1
        # While a rebalance is on nothing expires.
        time 5000
        a sync a-1=x
            log: g generation 2 stable, range, led by a-1: a-1=x
            a: assignment x
        time 1000
            at 56000
            log: g u-0 gone
        """,
        **_SHORT,
    )


def test_offsets_of_members_that_are_no_consumers_stay_while_they_are_there() -> None:
    perform(
        """
        a join v=3 session=1800000 as=connect
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        a commit t-0=1
            log: g t-0 at 1
            a: fine
        time 50000
        """,
        **_SHORT,
    )


def test_a_retention_time_that_the_client_brings_overrules_the_broker_s() -> None:
    perform(
        """
        c commit retention=2000 t-0=1
            log: g t-0 at 1
            c: fine
        c commit retention=20000 t-1=1
            log: g t-1 at 1
            c: fine
        reload
        time 20000
            at 2000
            log: g t-0 gone
            at 20000
            log: g t-1 gone
        """,
        **_SHORT,
    )


def test_an_empty_group_without_offsets_is_deleted() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a leave
            log: g generation 2 empty
            a: left
        time 1000
            at 1000
            log: g gone
        a list
            a: no groups
        """,
        **_SHORT,
    )


def test_a_large_expiry_is_done_in_turns() -> None:
    play = Play(GroupConfig(**_SHORT))
    count = EXPIRED_OFFSETS_PER_TURN * 2 + 1
    for group_id, first in (("g", 0), ("h", count)):
        for start in range(0, count, 500):
            offsets = tuple(
                OffsetToCommit(partition=TopicPartition("t", first + partition), offset=1)
                for partition in range(start, min(start + 500, count))
            )
            play.shard.handle(Commit(group_id, offsets=offsets), Ticket(1), play.now)
    play.passed_ms += 20_000
    turns = []
    while play.shard.groups:
        turns.append(len(play.shard.tick(play.now).records))
        play.passed_ms += 1
    assert turns == [EXPIRED_OFFSETS_PER_TURN] * 4 + [2]
