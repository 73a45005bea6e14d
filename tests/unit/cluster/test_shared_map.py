"""A shared map is a dictionary that nobody changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.cluster.shared_map import SharedMap

keys = st.integers(0, 60)
steps = st.tuples(keys, st.none() | st.integers())
edits = st.lists(steps, max_size=50)


@given(st.lists(edits, max_size=15))
def test_each_version_is_its_dictionary(history: list[list[tuple[int, int | None]]]) -> None:
    model: dict[int, int] = {}
    versions: list[tuple[SharedMap[int, int], dict[int, int]]] = [(SharedMap(), {})]
    for steps_of_edit in history:
        edit = versions[-1][0].edit()
        for key, value in steps_of_edit:
            if value is None:
                edit.remove(key)
                model.pop(key, None)
            else:
                edit[key] = value
                model[key] = value
            assert edit.get(key) == model.get(key)
            assert (key in edit) == (key in model)
        versions.append((edit.finish(), dict(model)))
    for version, expected in versions:
        check(version, expected)


def check(version: SharedMap[int, int], expected: dict[int, int]) -> None:
    assert version == expected
    assert len(version) == len(expected)
    assert sorted(version) == sorted(expected)
    assert sorted(version.items()) == sorted(expected.items())
    assert all((key in version) == (key in expected) for key in range(-1, 62))
    assert all(version.get(key) == expected.get(key) for key in range(-1, 62))
    assert all(version.get(key, "none") == expected.get(key, "none") for key in range(-1, 62))


def test_an_edit_without_changes_is_the_map_itself() -> None:
    edit = SharedMap[int, int]().edit()
    edit[1] = 1
    before = edit.finish()
    assert before.edit().finish() is before
    nothing_to_remove = before.edit()
    nothing_to_remove.remove(2)
    assert nothing_to_remove.finish() is before


def test_what_is_not_there_raises() -> None:
    edit = SharedMap[str, int]().edit()
    edit["a"] = 1
    version = edit.finish()
    assert version["a"] == 1
    assert repr(version) == "{'a': 1}"
    removal = version.edit()
    removal.remove("a")
    for gone in (removal.finish(), SharedMap[str, int]()):
        with pytest.raises(KeyError, match="a"):
            gone["a"]
