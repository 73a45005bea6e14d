from chronik.broker.groups.state import TRANSITIONS, GroupState


def test_every_state_is_in_the_table_and_can_be_reached_and_ended() -> None:
    assert set(TRANSITIONS) == set(GroupState)
    assert set().union(*TRANSITIONS.values()) == set(GroupState)
    assert all(
        GroupState.DEAD in after for state, after in TRANSITIONS.items() if state is not GroupState.DEAD
    )
    assert not TRANSITIONS[GroupState.DEAD]


def test_a_rebalance_can_begin_in_every_state_but_its_own() -> None:
    begins = {state for state, after in TRANSITIONS.items() if GroupState.PREPARING_REBALANCE in after}
    assert begins == {GroupState.EMPTY, GroupState.COMPLETING_REBALANCE, GroupState.STABLE}
