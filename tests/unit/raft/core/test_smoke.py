from tests.unit.raft.core.group import Group, membership


def test_first_leader_leads_and_commits() -> None:
    group = Group(membership(1, 2, 3))
    group.bootstrap(2)
    group.settle()
    assert group.leaders() == [2]
    assert group.core(2).term == 1
    group.propose(2, "a", 3)
    group.settle()
    for node in (1, 2, 3):
        assert group.texts(node, is_committed=True) == ["a"]
    group.isolate(2)
    group.campaign(1)
    assert group.leader().id != 2
