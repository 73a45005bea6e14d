"""The name of a Raft group on the wire and in the store."""

from typing import NamedTuple

from chronik.vocab.ids import TopicId


class GroupId(NamedTuple):
    """One partition, by its topic's id: a topic deleted and made anew is another group."""

    topic_id: TopicId
    partition: int
