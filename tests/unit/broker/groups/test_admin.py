"""Describing, listing and deleting groups: plays over the pure shard."""

from .play import perform


def test_assignments_are_shown_only_while_the_group_is_stable() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        x describe
            x: CompletingRebalance a-1=
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        x describe
            x: Stable range a-1=x
        b join v=3
        x describe
            x: PreparingRebalance a-1= b-1=
        x list
            x: g/consumer/PreparingRebalance
        """
    )


def test_a_group_that_does_not_exist_is_dead() -> None:
    perform(
        """
        x describe
            x: GROUP_ID_NOT_FOUND Dead
        x list
            x: no groups
        x delete
            x: GROUP_ID_NOT_FOUND
        """
    )


def test_only_a_group_without_members_can_be_deleted() -> None:
    play = perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        a commit t-0=1 t-1=1
            log: g t-0 at 1
            log: g t-1 at 1
            a: fine, fine
        x delete
            x: NON_EMPTY_GROUP
        a leave
            log: g generation 2 empty
            a: left
        x delete
            log: g t-0 gone
            log: g t-1 gone
            log: g gone
            x: fine
        x list
            x: no groups
        reload
        x list
            x: no groups
        """
    )
    assert play.shard.groups == {}


def test_deleting_a_simple_group_deletes_its_offsets() -> None:
    perform(
        """
        c commit t-0=1
            log: g t-0 at 1
            c: fine
        x delete
            log: g t-0 gone
            x: fine
        """
    )


def test_a_deleted_group_s_pending_member_is_unknown() -> None:
    perform(
        """
        a join
            a: MEMBER_ID_REQUIRED a-1
        x delete
            x: fine
        a join
            a: UNKNOWN_MEMBER_ID a-1
        """
    )
