"""Static membership (KIP-345) and what KIP-814 added to it: plays over the pure shard."""

from .play import perform

# Two static members, stable in generation 2; a leads.
_TWO = """
        a join instance=A
            a: generation 1, leads A-1
        b join instance=B
        a join instance=A
            a: generation 2, leads A-1 B-1
            b: generation 2, follows A-1 as B-1
        a sync instance=A A-1=x B-1=y
            log: g generation 2 stable, range, led by A-1: A-1=x B-1=y
            a: assignment x
        b sync instance=B
            b: assignment y
"""


def test_a_static_member_needs_no_second_join() -> None:
    perform(
        """
        a join instance=A
            a: generation 1, leads A-1
        """
    )


def test_a_follower_that_restarts_gets_its_assignment_back_without_a_rebalance() -> None:
    perform(
        _TWO
        + """
        b join instance=B id=
            log: g generation 2 stable, range, led by A-1: A-1=x B-2=y
            b: generation 2, follows A-1 as B-2
        b sync instance=B
            b: assignment y
        a beat instance=A
            a: fine
        """
    )


def test_a_leader_that_restarts_is_told_to_skip_the_assignment() -> None:
    perform(
        _TWO
        + """
        a join instance=A id=
            log: g generation 2 stable, range, led by A-3: A-3=x B-1=y
            a: generation 2, leads A-3 B-1, skips assignment
        a sync instance=A
            a: assignment x
        b beat instance=B
            b: fine
        """
    )


def test_an_older_client_that_led_is_told_that_its_former_self_leads() -> None:
    perform(
        _TWO
        + """
        a join instance=A id= v=8
            log: g generation 2 stable, range, led by A-3: A-3=x B-1=y
            a: generation 2, follows A-1 as A-3
        a sync instance=A
            a: assignment x
        """
    )


def test_the_former_owner_of_an_instance_id_is_fenced() -> None:
    perform(
        _TWO
        + """
        b join instance=B id=
            log: g generation 2 stable, range, led by A-1: A-1=x B-2=y
            b: generation 2, follows A-1 as B-2
        old beat instance=B id=B-1 generation=2
            old: FENCED_INSTANCE_ID
        old sync instance=B id=B-1 generation=2
            old: FENCED_INSTANCE_ID
        old commit instance=B id=B-1 generation=2 t-0=1
            old: FENCED_INSTANCE_ID
        old join instance=B id=B-1
            old: FENCED_INSTANCE_ID B-1
        old leave instance=B id=B-1
            old: FENCED_INSTANCE_ID
        old beat instance=C id=B-1 generation=2
            old: UNKNOWN_MEMBER_ID
        """
    )


def test_a_waiting_join_of_the_former_owner_is_fenced_at_once() -> None:
    perform(
        _TWO
        + """
        c join v=3
        b join instance=B
        # The same instance, started twice.
        twin join instance=B protocols=range:t v=9 id=
            b: FENCED_INSTANCE_ID B-1
        """
    )


def test_a_waiting_sync_of_the_former_owner_is_fenced_and_the_group_rebalances() -> None:
    perform(
        """
        a join instance=A
            a: generation 1, leads A-1
        b join instance=B
        a join instance=A
            a: generation 2, leads A-1 B-1
            b: generation 2, follows A-1 as B-1
        b sync instance=B
        # In CompletingRebalance the leader may be assigning to the old id.
        twin join instance=B id=
            b: FENCED_INSTANCE_ID
        a sync instance=A A-1=x B-1=y
            a: REBALANCE_IN_PROGRESS
        """
    )


def test_a_restart_with_another_subscription_is_a_rebalance() -> None:
    perform(
        _TWO
        + """
        b join instance=B id= protocols=range:t+u
        a beat instance=A
            a: REBALANCE_IN_PROGRESS
        """
    )


def test_a_restart_that_changes_the_common_protocol_is_a_rebalance() -> None:
    perform(
        """
        a join instance=A protocols=range,sticky
            a: generation 1, leads A-1
        a sync instance=A A-1=x
            log: g generation 1 stable, range, led by A-1: A-1=x
            a: assignment x
        a join instance=A id= protocols=other
            a: INCONSISTENT_GROUP_PROTOCOL
        a join instance=A id= protocols=sticky
            a: generation 2, leads A-3
        """
    )


def test_a_static_member_keeps_its_place_until_its_session_times_out() -> None:
    perform(
        _TWO
        + """
        time 9000
        # b is being restarted while a asks for a rebalance.
        a join instance=A
        time 999
        b join instance=B id=
            a: generation 3, leads A-1 B-2
            b: generation 3, follows A-1 as B-2
        a sync instance=A A-1=x B-2=y
            log: g generation 3 stable, range, led by A-1: A-1=x B-2=y
            a: assignment x
        b sync instance=B
            b: assignment y
        time 9000
        a join instance=A
        time 1000
            at 19999
            a: generation 4, leads A-1
        """
    )


def test_a_rebalance_that_times_out_does_not_drop_static_members() -> None:
    perform(
        """
        a join instance=A rebalance=2000
            a: generation 1, leads A-1
        b join instance=B rebalance=2000
        a join instance=A rebalance=2000
            a: generation 2, leads A-1 B-1
            b: generation 2, follows A-1 as B-1
        a sync instance=A A-1=x B-1=y
            log: g generation 2 stable, range, led by A-1: A-1=x B-1=y
            a: assignment x
        b sync instance=B
            b: assignment y
        a join instance=A rebalance=2000
        time 2000
            at 2000
            a: generation 3, leads A-1 B-1
        """
    )


def test_a_static_member_leaves_only_when_told_to_by_its_instance_id_or_its_own() -> None:
    perform(
        _TWO
        + """
        admin leave @B @nobody
            admin: left, UNKNOWN_MEMBER_ID
        a beat instance=A
            a: REBALANCE_IN_PROGRESS
        b beat instance=B
            b: UNKNOWN_MEMBER_ID
        """
    )


def test_a_full_group_has_room_for_its_own_static_members() -> None:
    perform(
        _TWO
        + """
        b join instance=B id=
            log: g generation 2 stable, range, led by A-1: A-1=x B-2=y
            b: generation 2, follows A-1 as B-2
        c join instance=C
            c: GROUP_MAX_SIZE_REACHED
        """,
        members_max=2,
    )


def test_static_members_survive_a_restart_of_the_coordinator() -> None:
    perform(
        _TWO
        + """
        reload
        b join instance=B id=
            log: g generation 2 stable, range, led by A-1: A-1=x B-2=y
            b: generation 2, follows A-1 as B-2
        """
    )


def test_a_pending_id_cannot_become_static() -> None:
    perform(
        """
        a join
            a: MEMBER_ID_REQUIRED a-1
        a join instance=A
            a: INVALID_REQUEST a-1
        """
    )


def test_a_static_member_that_restarts_while_its_first_join_waits_is_not_taken_for_lost() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join instance=B session=6000
        twin join instance=B session=6000 id=
            b: FENCED_INSTANCE_ID B-1
        time 6000
        a join
            a: generation 2, leads a-1 B-2
            twin: generation 2, follows a-1 as B-2
        """
    )


def test_a_rebalance_timeout_of_nothing_does_not_keep_the_coordinator_busy() -> None:
    perform(
        """
        a join instance=A rebalance=0
            a: generation 1, leads A-1
        a sync instance=A A-1=x
            log: g generation 1 stable, range, led by A-1: A-1=x
            a: assignment x
        b join instance=B rebalance=0 session=6000
        admin leave @B
            b: UNKNOWN_MEMBER_ID
            admin: left
        # Nobody has joined; every millisecond is looked whether somebody has, until the session of a ends.
        time 50
        a join instance=A rebalance=0
            a: generation 2, leads A-1
        """
    )
