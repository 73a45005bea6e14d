"""In-sync followers."""

from chronik.raft.core.progress import FollowerState, Mode
from chronik.raft.core.types import RaftIndex
from chronik.raft.follower_status import QUIET_MS, LagWatch
from chronik.vocab.ids import NodeId

TWO, THREE = NodeId(2), NodeId(3)
LAG_MS = 10_000
# Looked at so often while there is work.
LOOK_MS = 500


class Followers:
    """Looked at every LOOK_MS."""

    def __init__(self) -> None:
        self.watch = LagWatch()
        self.now_ms = 50_000
        self.match = {TWO: 0, THREE: 0}
        self.voteless: set[NodeId] = set()

    def look(self, last: int, *, passed_ms: int = LOOK_MS) -> bool:
        self.now_ms += passed_ms
        states = {node: state(match) for node, match in self.match.items()}
        return self.watch.look(states, RaftIndex(last), self.now_ms, LAG_MS, self.voteless)


def state(match: int) -> FollowerState:
    return FollowerState(
        match=RaftIndex(match),
        next_index=RaftIndex(match + 1),
        mode=Mode.REPLICATE,
        is_active=True,
        is_lost=False,
    )


def test_all_are_in_sync_when_a_term_begins() -> None:
    followers = Followers()
    assert not followers.look(1000)
    assert followers.watch.lagging == frozenset()


def test_who_gets_nothing_is_out_of_sync_after_the_lag_and_not_before() -> None:
    followers = Followers()
    followers.match[TWO] = 1
    followers.look(1)
    for number in range(LAG_MS // LOOK_MS):
        followers.match[TWO] = number + 2
        assert not followers.look(number + 2)
    assert followers.look(100)
    assert followers.watch.lagging == {THREE}


def test_who_is_always_a_little_behind_is_in_sync() -> None:
    followers = Followers()
    for number in range(100):
        followers.match = {TWO: number, THREE: max(number - 2, 0)}
        followers.look(number)
    assert followers.watch.lagging == frozenset()


def test_who_catches_up_is_in_sync_again() -> None:
    followers = Followers()
    for _ in range(LAG_MS // LOOK_MS + 2):
        followers.look(5)
    assert followers.watch.lagging == {TWO, THREE}
    followers.match = {TWO: 5, THREE: 4}
    assert followers.look(9)
    assert followers.watch.lagging == {THREE}
    assert followers.watch.caught_up_ms(TWO) == followers.now_ms
    assert followers.watch.caught_up_ms(THREE) < followers.now_ms - LAG_MS


def test_time_in_which_nobody_wrote_is_no_lag() -> None:
    followers = Followers()
    followers.match = {TWO: 5, THREE: 5}
    followers.look(5)
    assert not followers.look(6, passed_ms=QUIET_MS + LAG_MS)
    assert followers.watch.lagging == frozenset()


def test_who_has_no_vote_is_not_in_sync_whatever_it_has() -> None:
    followers = Followers()
    followers.match = {TWO: 5, THREE: 5}
    followers.voteless = {THREE}
    assert followers.look(5)
    assert followers.watch.lagging == {THREE}
    followers.voteless = set()
    assert followers.look(5)
    assert followers.watch.lagging == frozenset()


def test_nothing_is_known_of_who_was_never_seen() -> None:
    assert LagWatch().caught_up_ms(TWO) == -1
