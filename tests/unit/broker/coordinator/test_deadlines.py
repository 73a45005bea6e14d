from hypothesis import given
from hypothesis import strategies as st

from chronik.broker.coordinator.deadlines import Deadlines

Key = tuple[int, str]


def _key(name: str) -> Key:
    return (0, name)


def test_nothing_is_due_when_nothing_is_set() -> None:
    deadlines = Deadlines[Key]()
    assert deadlines.next_ms() is None
    assert list(deadlines.pop_due(10**12)) == []


def test_they_come_in_order_and_once() -> None:
    deadlines = Deadlines[Key]()
    deadlines.set(_key("late"), 30)
    deadlines.set(_key("early"), 10)
    deadlines.set(_key("middle"), 20)
    assert deadlines.next_ms() == 10
    assert list(deadlines.pop_due(20)) == [_key("early"), _key("middle")]
    assert list(deadlines.pop_due(20)) == []
    assert deadlines.get(_key("late")) == 30


def test_one_set_while_others_are_handled_is_seen() -> None:
    deadlines = Deadlines[Key]()
    deadlines.set(_key("first"), 10)
    seen = []
    for key in deadlines.pop_due(10):
        seen.append(key)
        if key == _key("first"):
            deadlines.set(_key("second"), 10)
    assert seen == [_key("first"), _key("second")]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), st.integers(0, 4), st.integers(0, 50)),
            st.tuples(st.just("cancel"), st.integers(0, 4), st.just(0)),
            st.tuples(st.just("pop"), st.just(0), st.integers(0, 60)),
        ),
        max_size=60,
    )
)
def test_they_behave_like_a_dictionary_that_is_searched(steps: list[tuple[str, int, int]]) -> None:
    deadlines, model = Deadlines[Key](), dict[Key, int]()
    for step, number, ms in steps:
        key = _key(str(number))
        if step == "set":
            deadlines.set(key, ms)
            model[key] = ms
        elif step == "cancel":
            deadlines.cancel(key)
            model.pop(key, None)
        else:
            due = {key for key, due_ms in model.items() if due_ms <= ms}
            popped = list(deadlines.pop_due(ms))
            assert [model[key] for key in popped] == sorted(model[key] for key in due)
            assert set(popped) == due
            for key in due:
                del model[key]
        assert deadlines.next_ms() == min(model.values(), default=None)


def test_renewing_a_session_for_ever_does_not_grow_the_heap() -> None:
    deadlines = Deadlines[Key]()
    for now_ms in range(10_000):
        deadlines.set(_key("a"), now_ms + 100)
        deadlines.cancel(_key("b"))
        deadlines.set(_key("b"), now_ms + 50)
        assert list(deadlines.pop_due(now_ms)) == []
    assert len(deadlines._heap) <= 4
