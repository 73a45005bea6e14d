"""The name of a Raft group on the wire and in the store."""

from typing import NamedTuple

from chronik.vocab.ids import TopicId, format_topic_id


class GroupId(NamedTuple):
    """One partition, by its topic's id: a topic deleted and made anew is another group."""

    topic_id: TopicId
    partition: int

    def __str__(self) -> str:
        return f"{format_topic_id(self.topic_id)}-{self.partition}"
