"""Joining, syncing, heartbeats and leaving of dynamic members: plays over the pure shard."""

from .play import perform


def test_the_first_consumer_of_a_group_waits_for_nobody() -> None:
    perform(
        """
        a join
            a: MEMBER_ID_REQUIRED a-1
        a join
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        a beat
            a: fine
        """
    )


def test_before_version_4_a_member_gets_its_id_with_its_first_generation() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        """
    )


def test_a_second_member_joins_as_soon_as_the_first_has_rejoined() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        b join
            b: MEMBER_ID_REQUIRED b-1
        a beat
            a: fine
        b join
        a beat
            a: REBALANCE_IN_PROGRESS
        a join
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        b sync
        a sync a-1=x b-1=y
            log: g generation 2 stable, range, led by a-1: a-1=x b-1=y
            a: assignment x
            b: assignment y
        """
    )


def test_members_that_start_together_share_their_first_generation() -> None:
    perform(
        """
        a join
            a: MEMBER_ID_REQUIRED a-1
        b join
            b: MEMBER_ID_REQUIRED b-1
        a join
        b join
            a: generation 1, leads a-1 b-1
            b: generation 1, follows a-1 as b-1
        """
    )


def test_an_id_that_is_never_used_holds_nobody_up_for_long() -> None:
    perform(
        """
        a join
            a: MEMBER_ID_REQUIRED a-1
        b join
            b: MEMBER_ID_REQUIRED b-1
        a join
        time 499
        time 1
            at 500
            a: generation 1, leads a-1
        # It stays good for a session timeout, though.
        b join
        """
    )


def test_an_id_that_is_never_used_expires() -> None:
    play = perform(
        """
        a join session=10000
            a: MEMBER_ID_REQUIRED a-1
        time 10000
        a join
            a: UNKNOWN_MEMBER_ID a-1
        """
    )
    assert play.shard.groups == {}


def test_an_id_that_is_never_used_does_not_live_as_long_as_a_long_session() -> None:
    perform(
        """
        a join session=1800000
            a: MEMBER_ID_REQUIRED a-1
        time 59999
        x list
            x: g//Empty
        time 1
        x list
            x: no groups
        """
    )


def test_the_initial_delay_gathers_members_and_grows_with_each_until_the_rebalance_timeout() -> None:
    perform(
        """
        a join v=3 rebalance=8000
        time 2000
        b join v=3 rebalance=8000
        time 3999
        time 1
            at 6000
            a: generation 1, leads a-1 b-1
            b: generation 1, follows a-1 as b-1
        """,
        initial_rebalance_delay_ms=3000,
    )
    perform(
        """
        a join v=3 rebalance=4000
        time 2000
        b join v=3 rebalance=4000
        time 1500
        c join v=3 rebalance=4000
        time 499
        time 1
            at 4000
            a: generation 1, leads a-1 b-1 c-1
            b: generation 1, follows a-1 as b-1
            c: generation 1, follows a-1 as c-1
        """,
        initial_rebalance_delay_ms=3000,
    )


def test_a_member_that_does_not_rejoin_is_left_behind_after_the_rebalance_timeout() -> None:
    perform(
        """
        a join v=3 rebalance=5000
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        b join v=3 rebalance=5000
        time 2500
        a beat
            a: REBALANCE_IN_PROGRESS
        time 2500
            at 5000
            b: generation 2, leads b-1
        a beat
            a: UNKNOWN_MEMBER_ID
        """
    )


def test_a_member_that_falls_silent_is_removed_and_the_others_rebalance() -> None:
    perform(
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
        b sync
            b: assignment y
        time 6000
        a beat
            a: fine
        time 4000
        a beat
            a: REBALANCE_IN_PROGRESS
        b beat
            b: UNKNOWN_MEMBER_ID
        a join
            a: generation 3, leads a-1
        """
    )


def test_when_the_last_member_falls_silent_the_group_is_empty() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        time 10000
            at 10000
            log: g generation 2 empty
        x describe
            x: Empty
        """
    )


def test_offset_commits_and_syncs_renew_the_session() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        time 9000
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        time 9000
        a commit t-0=1
            log: g t-0 at 1
            a: fine
        time 9000
        a beat
            a: fine
        """
    )


def test_a_leader_that_does_not_sync_is_removed_and_its_followers_rejoin() -> None:
    perform(
        """
        a join v=3 rebalance=5000
            a: generation 1, leads a-1
        b join v=3 rebalance=5000
        a join rebalance=5000
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        b sync
        time 4999
        time 1
            at 5000
            b: REBALANCE_IN_PROGRESS
        a beat
            a: UNKNOWN_MEMBER_ID
        b join
            b: generation 3, leads b-1
        """
    )


def test_commits_between_join_and_sync_are_told_to_wait() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a commit t-0=1
            a: REBALANCE_IN_PROGRESS
        """
    )


def test_a_member_leaving_lets_the_waiting_ones_go_on() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join v=3
        a leave
            a: left
            b: generation 2, leads b-1
        """
    )


def test_a_member_that_leaves_while_its_own_join_waits_is_answered() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join
            b: MEMBER_ID_REQUIRED b-1
        b join
        x leave b-1
            b: UNKNOWN_MEMBER_ID
            x: left
        a join
            a: generation 2, leads a-1
        """
    )


def test_a_pending_member_can_leave() -> None:
    perform(
        """
        a join
            a: MEMBER_ID_REQUIRED a-1
        a leave
            a: left
        x list
            x: no groups
        """
    )


def test_leaving_one_by_one_and_together() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join v=3
        a join
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        x leave b-1 nobody a-1
            log: g generation 3 empty
            x: left, UNKNOWN_MEMBER_ID, left
        """
    )


def test_a_new_member_whose_connection_closes_is_gone_at_once() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join v=3
        b gone
            b: UNKNOWN_MEMBER_ID
            b: removed
        a join
            a: generation 2, leads a-1
        """
    )


def test_a_known_member_whose_connection_closes_keeps_its_place() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join v=3
        a join
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        b sync
        b gone
            b: kept
        """
    )


def test_a_follower_that_rejoins_unchanged_is_told_the_generation_again() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join v=3
        a join
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        # The answer was lost.
        b join
            b: generation 2, follows a-1 as b-1
        a sync a-1=x b-1=y
            log: g generation 2 stable, range, led by a-1: a-1=x b-1=y
            a: assignment x
        b join
            b: generation 2, follows a-1 as b-1
        b sync
            b: assignment y
        # With another subscription it is a rebalance.
        b join protocols=range:t+u
        a beat
            a: REBALANCE_IN_PROGRESS
        """
    )


def test_a_stable_leader_that_rejoins_asks_for_a_rebalance() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        a join
            a: generation 2, leads a-1
        """
    )


def test_a_leader_that_does_not_rejoin_in_time_is_replaced() -> None:
    perform(
        """
        a join v=3 rebalance=5000
            a: generation 1, leads a-1
        b join v=3 rebalance=5000
        time 5000
            at 5000
            b: generation 2, leads b-1
        """
    )


def test_the_protocol_with_the_most_votes_among_the_common_ones_wins() -> None:
    play = perform(
        """
        a join v=3 protocols=range,sticky
            a: generation 1, leads a-1
        b join v=3 protocols=sticky,range,other
        c join v=3 protocols=sticky,range
        a join protocols=range,sticky
            a: generation 2, leads a-1 b-1 c-1
            b: generation 2, follows a-1 as b-1
            c: generation 2, follows a-1 as c-1
        """
    )
    assert play.shard.groups["g"].protocol_name == "sticky"


def test_a_member_without_a_common_protocol_is_refused() -> None:
    perform(
        """
        a join v=3 protocols=range
            a: generation 1, leads a-1
        b join v=3 protocols=sticky
            b: INCONSISTENT_GROUP_PROTOCOL
        c join v=3 as=connect
            c: INCONSISTENT_GROUP_PROTOCOL
        """
    )


def test_sync_compares_the_protocol_when_the_client_names_it() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a sync as=connect
            a: INCONSISTENT_GROUP_PROTOCOL
        a sync as=consumer protocols=sticky
            a: INCONSISTENT_GROUP_PROTOCOL
        a sync as=consumer protocols=range a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        """
    )


def test_generations_fence_members_that_missed_a_rebalance() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        a beat generation=0
            a: ILLEGAL_GENERATION
        a commit generation=7 t-0=1
            a: ILLEGAL_GENERATION
        a sync generation=2
            a: ILLEGAL_GENERATION
        a beat id=stranger
            a: UNKNOWN_MEMBER_ID
        x beat group=nowhere id=stranger generation=1
            x: UNKNOWN_MEMBER_ID
        x sync group=nowhere id=stranger generation=1
            x: UNKNOWN_MEMBER_ID
        x leave group=nowhere stranger
            x: UNKNOWN_MEMBER_ID
        """
    )


def test_session_timeouts_have_bounds() -> None:
    perform(
        """
        a join v=3 session=5999
            a: INVALID_SESSION_TIMEOUT
        a join v=3 session=1800001
            a: INVALID_SESSION_TIMEOUT
        x list
            x: no groups
        """
    )


def test_a_full_group_takes_nobody_in() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join v=3
        c join v=3
        a join
            a: GROUP_MAX_SIZE_REACHED
            b: generation 2, leads b-1 c-1
            c: generation 2, follows b-1 as c-1
        d join v=3
            d: GROUP_MAX_SIZE_REACHED
        """,
        members_max=2,
    )


def test_a_retried_join_takes_the_place_of_the_one_that_waits() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join
            b: MEMBER_ID_REQUIRED b-1
        b join
        b join
            b: REBALANCE_IN_PROGRESS b-1
        a join
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        """
    )


def test_a_join_during_the_sync_phase_sends_the_syncing_members_back() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join v=3
        a join
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        b sync
        c join v=3
            b: REBALANCE_IN_PROGRESS
        a sync a-1=x b-1=y
            a: REBALANCE_IN_PROGRESS
        b join
        a join
            a: generation 3, leads a-1 b-1 c-1
            b: generation 3, follows a-1 as b-1
            c: generation 3, follows a-1 as c-1
        """
    )


def test_the_leader_may_assign_nothing_to_some() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join v=3
        a join
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        a sync a-1=x stranger=z
            log: g generation 2 stable, range, led by a-1: a-1=x b-1=
            a: assignment x
        b sync
            b: assignment of nothing
        """
    )


def test_a_coordinator_that_starts_again_knows_the_members_and_their_assignments() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        a sync a-1=x
            log: g generation 1 stable, range, led by a-1: a-1=x
            a: assignment x
        reload
        a beat
            a: fine
        a sync
            a: assignment x
        time 10000
            at 10000
            log: g generation 2 empty
        """
    )


def test_a_new_member_that_gives_up_and_is_not_seen_again_does_not_stay_for_ever() -> None:
    perform(
        """
        a join v=3 rebalance=400000 session=400000
            a: generation 1, leads a-1
        b join v=3
        time 300000
            at 300000
            b: UNKNOWN_MEMBER_ID
        """
    )


def test_a_session_that_ended_while_its_sync_waited_begins_again_with_the_assignment() -> None:
    perform(
        """
        a join v=3 session=6000
            a: generation 1, leads a-1
        b join v=3 session=6000
        a join session=6000
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        b sync
        time 4000
        a beat
            a: fine
        time 4000
        a sync a-1=x b-1=y
            log: g generation 2 stable, range, led by a-1: a-1=x b-1=y
            a: assignment x
            b: assignment y
        time 5999
        a beat
            a: fine
        time 1
        a beat
            a: REBALANCE_IN_PROGRESS
        b beat
            b: UNKNOWN_MEMBER_ID
        """
    )


def test_a_member_that_is_removed_while_its_sync_waits_is_answered() -> None:
    perform(
        """
        a join v=3
            a: generation 1, leads a-1
        b join v=3
        a join
            a: generation 2, leads a-1 b-1
            b: generation 2, follows a-1 as b-1
        b sync
        admin leave b-1
            b: UNKNOWN_MEMBER_ID
            admin: left
        """
    )


def test_a_pending_member_that_leaves_or_expires_is_not_waited_for() -> None:
    perform(
        """
        b join
            b: MEMBER_ID_REQUIRED b-1
        a join v=3
        b leave
            b: left
            a: generation 1, leads a-1
        """
    )
    perform(
        """
        b join session=6000
            b: MEMBER_ID_REQUIRED b-1
        time 5800
        a join v=3
        time 200
            at 6000
            a: generation 1, leads a-1
        """
    )
