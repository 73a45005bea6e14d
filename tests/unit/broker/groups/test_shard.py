"""Replay, and what a shard does with records it did not write."""

from dataclasses import replace

import pytest

from chronik.broker.coordinator.log import RECORDS_BYTES_MAX, EndOfTransaction, ProducerStamp
from chronik.broker.coordinator.primitives import MalformedRecord
from chronik.broker.coordinator.shard import UnknownRecordKind
from chronik.broker.groups.config import GroupConfig
from chronik.broker.groups.record_format import encode_group_key, encode_group_value
from chronik.broker.groups.shard import Shard
from chronik.records.build import BatchOptions, build_batch
from chronik.records.record import Record
from chronik.vocab.ids import TopicPartition

from .known_topics import KnownTopics
from .play import Play, perform
from .test_record_format import GROUP, GROUP_KEY, GROUP_VALUE, MEMBER, OFFSET_KEY, OFFSET_VALUE


def test_records_of_other_group_types_are_not_passed_over() -> None:
    shard = Shard(GroupConfig(), KnownTopics())
    with pytest.raises(UnknownRecordKind):
        shard.replay(b"\x00\x03\x00\x01g", b"whatever")


def test_offsets_of_a_transaction_are_not_taken_for_committed() -> None:
    shard = Shard(GroupConfig(), KnownTopics())
    transactional = BatchOptions(producer_id=7, producer_epoch=0, is_transactional=True)
    batch = build_batch([Record(OFFSET_KEY, OFFSET_VALUE, 0)], transactional)
    with pytest.raises(UnknownRecordKind):
        shard.replay(OFFSET_KEY, OFFSET_VALUE, batch.header)
    # A transaction that wrote nothing here leaves nothing.
    shard.replay_marker(
        EndOfTransaction(ProducerStamp(7, 0), is_commit=True, coordinator_epoch=1), batch.header
    )
    assert shard.groups == {}


def test_a_tombstone_of_a_group_that_still_has_offsets_leaves_a_simple_group() -> None:
    shard = Shard(GroupConfig(), KnownTopics())
    shard.replay(GROUP_KEY, GROUP_VALUE)
    shard.replay(OFFSET_KEY, OFFSET_VALUE)
    shard.replay(GROUP_KEY, None)
    assert shard.groups["g"].is_simple
    assert not shard.groups["g"].members
    assert shard.groups["g"].offsets.get(TopicPartition("t1", 7)) is not None
    shard.replay(OFFSET_KEY, None)
    assert shard.groups == {}


def test_tombstones_of_what_is_not_there_change_nothing() -> None:
    shard = Shard(GroupConfig(), KnownTopics())
    shard.replay(GROUP_KEY, None)
    shard.replay(OFFSET_KEY, None)
    assert shard.groups == {}


def test_two_members_with_one_id_are_malformed() -> None:
    twins = replace(GROUP, members=(MEMBER, MEMBER))
    shard = Shard(GroupConfig(), KnownTopics())
    with pytest.raises(MalformedRecord):
        shard.replay(encode_group_key("g"), encode_group_value(twins))


def test_a_group_that_outgrew_its_maximum_rebalances_when_it_is_loaded() -> None:
    play = perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join v=3
        a join
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        a sync a-1=x b-1=y
            log: g generation 2 stable, range, led by a-1: a-1=x b-1=y
            a: assignment x
        """
    )
    smaller = Play(GroupConfig(members_max=1))
    smaller.log, smaller.clients = play.log, play.clients
    assert smaller.act("reload") == "reload"
    assert smaller.act("a beat").endswith("REBALANCE_IN_PROGRESS")
    assert smaller.act("b join").endswith("b join")
    assert "a: GROUP_MAX_SIZE_REACHED" in smaller.act("a join")


def test_an_assignment_that_does_not_fit_in_a_record_is_refused() -> None:
    play = perform(
        """
        a join v=3
            a: generation 1, leads a-1
        """
    )
    told = play.act(f"a sync a-1={'x' * RECORDS_BYTES_MAX}")
    assert told.endswith("a: UNKNOWN_SERVER_ERROR")
    assert play.log == []
    assert play.act("a beat").endswith("REBALANCE_IN_PROGRESS")
    assert play.act("a join").endswith("a: generation 2, leads a-1")
