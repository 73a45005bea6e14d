"""A replica that is removed from its group and made again in the same directory: it has forgotten what it
promised, and the founding membership names its node.
"""

import pytest

from chronik.raft.core.types import Membership, ReplicaId
from chronik.vocab.ids import NodeId
from tests.unit.raft.core.group import Group, directory_of, membership, nodes


def named(*voters: int, learners: tuple[int, ...] = (), third: int = 0) -> Membership:
    """With node 3 as of its `third`th revision."""
    replicas = (
        ReplicaId(NodeId(node), directory_of(node, 0), third if node == 3 else 0)
        for node in (*voters, *learners)
    )
    return Membership(voters=nodes(*voters), learners=nodes(*learners), replicas=frozenset(replicas))


FOUNDERS = named(1, 2, 3)


def lowered(revision: int) -> Group:
    """Node 1 alone is left of three and has committed something. Node 2 has heard of none of it; node 3 was
    removed, and made again as this revision.
    """
    group = Group(FOUNDERS)
    group.bootstrap(1)
    group.wait_until_idle()
    group.isolate(2)
    for left in (named(1, 3), named(1)):
        group.change(1, left)
        group.wait_until_idle()
    group.propose(1, "alone")
    group.wait_until_idle()
    assert group.texts(1, is_committed=True) == ["alone"]
    group[3].crash()
    group[3].make_again(FOUNDERS, revision)
    group[3].restart()
    return group


def test_it_does_not_vote_with_a_founder_that_heard_of_no_removal() -> None:
    """What `returns_unrevised` of docs/model leads to."""
    group = lowered(revision=1)
    group.isolate(1)
    group.campaign(2)
    assert group.leaders() == [1]
    assert group.core(3).hard_state.voted_for is None


def test_as_the_founder_it_was_it_would_elect_one_that_lacks_what_is_committed() -> None:
    group = lowered(revision=0)
    group.isolate(1)
    with pytest.raises(AssertionError):
        group.campaign(2)


def test_it_neither_begins_the_group_again_nor_campaigns() -> None:
    group = lowered(revision=1)
    group.isolate(3)
    group.core(3).bootstrap(NodeId(3))
    group.tick(3, times=100)
    group.wait_until_idle()
    assert (group.core(3).term, group.leaders()) == (0, [1])


def test_who_is_left_alone_counts_for_itself() -> None:
    """It was elected by others, which are no members any more."""
    group = lowered(revision=1)
    assert group.core(1).begin_own_appends()
    group.core(1).end_own_appends(group.core(1).committed)
    group.change(1, named(1, learners=(3,), third=1))
    group.wait_until_idle()
    assert not group.core(1).begin_own_appends()


def test_it_votes_once_its_revision_is_a_committed_member() -> None:
    group = lowered(revision=1)
    group.isolate(2)
    group.find_peer(1, 3, is_restarted=True)
    group.change(1, named(1, learners=(3,), third=1))
    group.wait_until_idle()
    group.change(1, named(1, 3, third=1))
    group.wait_until_idle()
    assert group.core(3).may_vote
    group.propose(1, "both")
    group.wait_until_idle()
    assert group.texts(3, is_committed=True) == ["alone", "both"]
    group.transfer(1, 3)
    group.wait_until_idle()
    assert group.leader().id == 3


def test_a_member_of_another_revision_is_another_replica() -> None:
    """The leader may not have heard of the latest."""
    group = lowered(revision=2)
    group.isolate(2)
    group.find_peer(1, 3, is_restarted=True)
    group.change(1, named(1, learners=(3,), third=1))
    group.wait_until_idle()
    assert group.texts(3) == ["alone"]
    assert not group.core(3).may_vote


@pytest.mark.parametrize(("revision", "may_vote"), [(0, True), (1, False)])
def test_a_member_without_a_name_is_a_founder(revision: int, may_vote: bool) -> None:
    core = Group(membership(1, 2, 3)).core(3)
    assert core.is_replica_committed(ReplicaId(NodeId(3), "any", revision)) is may_vote


def test_who_is_no_member_is_not_committed() -> None:
    core = Group(named(1, 2), extra=(3,)).core(3)
    assert not core.is_replica_committed(ReplicaId(NodeId(3), directory_of(3, 0)))
