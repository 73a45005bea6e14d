"""What was committed for a topic is never given for another one of its name."""

import pytest

from chronik.broker.coordinator.shard import Now, Ticket
from chronik.broker.groups.commands import (
    Commit,
    CommitAnswer,
    FetchOffsets,
    ForgetTopics,
    ForgetTopicsAnswer,
    OffsetsAnswer,
    OffsetToCommit,
)
from chronik.broker.groups.config import FORGET_AFTER_LOAD_MS, FORGOTTEN_OFFSETS_PER_TURN, GroupConfig
from chronik.broker.groups.offsets import CommittedOffset
from chronik.broker.groups.record_format import encode_offset_key, encode_offset_value
from chronik.broker.groups.shard import Shard
from chronik.broker.groups.state import GroupState
from chronik.broker.groups.turn import Outcome
from chronik.vocab.errors import ErrorCode
from chronik.vocab.ids import NO_TOPIC_ID, Offset, TopicId, TopicPartition

from .known_topics import KnownTopics

NOW = Now(1_700_000_000_000, 1_000)
T0 = TopicPartition("t", 0)


class Room:
    """A shard, its log and the topics it knows."""

    def __init__(self) -> None:
        self.topics = KnownTopics()
        self.shard = Shard(GroupConfig(), self.topics)
        self.log: list[tuple[bytes, bytes | None]] = []
        self.take(self.shard.on_loaded(NOW))

    def take(self, outcome: Outcome) -> Outcome:
        self.log += outcome.records
        return outcome

    def commit(self, offset: int, *, leader_epoch: int = -1, topic_id: TopicId = NO_TOPIC_ID) -> ErrorCode:
        to_commit = OffsetToCommit(partition=T0, offset=offset, leader_epoch=leader_epoch, topic_id=topic_id)
        outcome = self.take(self.shard.handle(Commit("g", offsets=(to_commit,)), Ticket(1), NOW))
        ((_, answer),) = outcome.answers
        assert isinstance(answer, CommitAnswer)
        return answer.errors[0]

    def fetch(self) -> int | None:
        answers = []
        for partitions in ((T0,), None):
            command = FetchOffsets("g", partitions=partitions)
            ((_, answer),) = self.shard.handle(command, Ticket(2), NOW).answers
            assert isinstance(answer, OffsetsAnswer)
            answers.append(answer.offsets.get(T0))
        assert answers[0] == answers[1]
        return None if answers[0] is None else answers[0].offset

    def forget(self, topic: str = "t") -> int:
        command = ForgetTopics(topics=frozenset({topic}))
        ((_, answer),) = self.take(self.shard.handle(command, Ticket(3), NOW)).answers
        assert isinstance(answer, ForgetTopicsAnswer)
        return answer.offsets_removed

    def reload(self) -> None:
        self.shard = Shard(GroupConfig(), self.topics)
        for key, value in self.log:
            self.shard.replay(key, value)
        assert self.take(self.shard.on_loaded(NOW)).records == []
        self.take(self.shard.tick(Now(NOW.wall_ms, NOW.monotonic_ms + FORGET_AFTER_LOAD_MS)))

    def expire(self) -> None:
        """One pass over expired offsets, and over groups that have nothing left."""
        due_ms = NOW.monotonic_ms + GroupConfig().expiry_interval_ms
        self.take(self.shard.tick(Now(NOW.wall_ms, due_ms)))

    def write(self, committed: CommittedOffset) -> None:
        """As another release does."""
        self.log.append((encode_offset_key("g", T0), encode_offset_value(committed)))
        self.reload()


def of_earlier_release(offset: int, leader_epoch: int = -1) -> CommittedOffset:
    return CommittedOffset(offset=offset, leader_epoch=leader_epoch, commit_timestamp_ms=1)


def test_an_offset_is_hidden_as_soon_as_its_topic_is_another() -> None:
    """Before anybody told the shard to forget."""
    room = Room()
    assert room.commit(5) is ErrorCode.NONE
    room.topics.make_again("t")
    assert room.fetch() is None
    room.topics.delete("t")
    assert room.fetch() is None


def test_what_is_committed_for_the_new_topic_is_kept_when_the_old_one_is_forgotten() -> None:
    """The deletion may be worked off only when the topic is there again."""
    room = Room()
    room.commit(5)
    room.topics.make_again("t")
    room.commit(7)
    assert room.forget() == 0
    assert room.fetch() == 7


def test_a_load_forgets_offsets_of_topics_that_were_deleted_meanwhile() -> None:
    room = Room()
    room.commit(5)
    room.topics.make_again("t")
    room.reload()
    assert room.fetch() is None
    assert room.log[-1] == (encode_offset_key("g", T0), None)
    room.expire()
    assert room.shard.groups == {}


def test_a_group_whose_topic_is_gone_is_there_until_the_next_pass() -> None:
    """As in Kafka: an administrator who looks at once sees it, empty."""
    room = Room()
    room.commit(5)
    room.topics.delete("t")
    assert room.forget() == 1
    written = len(room.log)
    assert room.shard.groups["g"].state is GroupState.EMPTY
    room.expire()
    assert room.shard.groups == {}
    assert len(room.log) == written, "nothing of it is in the log"


def test_a_load_keeps_offsets_of_topics_that_are_there() -> None:
    room = Room()
    room.commit(5)
    room.topics.move(Offset(20))
    room.reload()
    assert room.fetch() == 5
    assert len(room.log) == 1


def test_a_shard_says_what_it_must_know_before_it_can_forget() -> None:
    room = Room()
    room.topics.move(Offset(20))
    room.commit(5)
    assert room.shard.metadata_required() == 0
    room.topics.delete("t")
    assert room.shard.metadata_required() == 20


def test_a_commit_for_a_topic_that_is_gone_is_refused() -> None:
    """It was found when the request came, and deleted before the shard was asked."""
    room = Room()
    old_id = room.topics.id_of("t")
    assert old_id is not None
    room.topics.make_again("t")
    assert room.commit(5, topic_id=old_id) is ErrorCode.UNKNOWN_TOPIC_ID
    room.topics.delete("t")
    assert room.commit(5) is ErrorCode.UNKNOWN_TOPIC_ID
    assert room.log == []
    assert room.shard.groups == {}


@pytest.mark.parametrize(
    ("leader_epoch", "error"),
    [
        (-1, ErrorCode.NONE),
        (5, ErrorCode.UNKNOWN_TOPIC_ID),
        (14, ErrorCode.UNKNOWN_TOPIC_ID),
        # Of a group of one on a node that was started once.
        (15, ErrorCode.NONE),
        (16, ErrorCode.NONE),
    ],
)
def test_a_late_commit_of_who_stood_on_the_old_topic_is_refused(leader_epoch: int, error: ErrorCode) -> None:
    """By name it would be for the new one; the epoch of what it read last is below all of that."""
    room = Room()
    room.topics.make_again("t", first_epoch=16)
    assert room.commit(100, leader_epoch=leader_epoch) is error
    assert room.fetch() == (100 if error is ErrorCode.NONE else None)


def test_an_offset_of_an_earlier_release_is_kept_while_nothing_speaks_against_it() -> None:
    room = Room()
    room.write(of_earlier_release(5))
    assert room.fetch() == 5
    assert len(room.log) == 1


def test_nor_is_it_taken_for_deleted_when_the_topic_is_not_known_yet() -> None:
    room = Room()
    room.topics.delete("t")
    room.write(of_earlier_release(5))
    assert len(room.log) == 1


def test_one_of_an_epoch_before_the_topic_is_forgotten() -> None:
    room = Room()
    room.topics.make_again("t", first_epoch=16)
    room.write(of_earlier_release(5, leader_epoch=4))
    assert room.fetch() is None
    assert room.log[-1][1] is None


def test_one_is_forgotten_when_its_topic_is_seen_to_be_deleted() -> None:
    room = Room()
    room.write(of_earlier_release(5))
    room.topics.make_again("t")
    assert room.forget() == 1
    assert room.fetch() is None


def test_very_many_are_removed_in_turns() -> None:
    room = Room()
    count = 2 * FORGOTTEN_OFFSETS_PER_TURN + 5
    for start in range(0, count, 1000):
        offsets = tuple(
            OffsetToCommit(partition=TopicPartition("t", n), offset=n)
            for n in range(start, min(start + 1000, count))
        )
        room.take(room.shard.handle(Commit("g", offsets=offsets), Ticket(1), NOW))
    room.topics.delete("t")
    written = len(room.log)
    assert room.forget() == count
    assert len(room.log) == written + FORGOTTEN_OFFSETS_PER_TURN
    turns = 0
    while (due_ms := room.shard.next_deadline_ms) is not None and room.shard.groups["g"].offsets:
        room.take(room.shard.tick(Now(NOW.wall_ms, due_ms)))
        turns += 1
    assert turns == 2
    assert len(room.log) == written + count
    assert {value for _, value in room.log[written:]} == {None}
