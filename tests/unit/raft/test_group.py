"""The name of a group in log lines."""

from chronik.raft.group import GroupId
from chronik.vocab.ids import TopicId


def test_it_prints_as_kafkas_tools_print_topic_ids() -> None:
    assert str(GroupId(TopicId(bytes(range(16))), 3)) == "AAECAwQFBgcICQoLDA0ODw-3"
