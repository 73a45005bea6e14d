import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronik.server.settings.file import FileSetting
from chronik.server.settings.toml import parse_toml


def flat(content: str) -> dict[str, str]:
    return {setting.name: setting.text for setting in parse_toml(content)}


@pytest.mark.parametrize(
    "content",
    [
        "num.partitions = 3",
        '"num.partitions" = 3',
        "num.'partitions' = 3",
        "[num]\npartitions = 3",
        "[ num ]  # a table\npartitions=3",
        "num = {partitions = 3}",
    ],
)
def test_dotted_quoted_and_nested_names_are_the_same(content: str) -> None:
    assert flat(content) == {"num.partitions": "3"}


def test_each_setting_knows_its_line() -> None:
    assert parse_toml("\n# comment\nnode.id = 2\n\n[log.retention]\nms = 5\n'check.interval.ms' = 6\n") == [
        FileSetting("node.id", "2", 3),
        FileSetting("log.retention.ms", "5", 6),
        FileSetting("log.retention.check.interval.ms", "6", 7),
    ]


def test_a_setting_inside_of_an_inline_table_has_no_line() -> None:
    assert parse_toml("log = {level = 'debug'}") == [FileSetting("log.level", "debug", 0)]


def test_a_name_may_begin_with_another_name() -> None:
    # As dotted keys these would contradict each other.
    assert flat("max.connections = 5\nmax.connections.per.ip = 2\nwrite.caching = true\n") == {
        "max.connections": "5",
        "max.connections.per.ip": "2",
        "write.caching": "true",
    }
    assert flat("[write]\ncaching = true\ncaching.flush.ms = 1\n") == {
        "write.caching": "true",
        "write.caching.flush.ms": "1",
    }


def test_values_of_every_kind() -> None:
    content = """
        a = true
        b = -5
        c = 0.5
        d = "text # no comment"
        e = ["PLAINTEXT://:1", 2, false]
        f = [
            "x",
            "y",
        ]
        g = 1_000
    """
    assert flat(content) == {
        "a": "true",
        "b": "-5",
        "c": "0.5",
        "d": "text # no comment",
        "e": "PLAINTEXT://:1,2,false",
        "f": "x,y",
        "g": "1000",
    }


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_inside_of_a_long_string_nothing_is_a_key(quotes: str) -> None:
    content = f"a = {quotes}\nx.y = 1\n[z]\n{quotes}\nb.c = 2\n"
    assert flat(content) == {"a": "x.y = 1\n[z]\n", "b.c": "2"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a.b = 1\n[a]\nb = 2", "a.b is set twice"),
        ("a = 1\na = 2", "Cannot overwrite a value"),
        ("a = ", "Invalid value"),
        ("a = 2020-01-01", "a has a value of a kind that no setting has: 2020-01-01"),
        ("a = [[1], {b = 2}]", "a has a value of a kind that no setting has"),
        ("[[a]]\nb = 1", "a has a value of a kind that no setting has"),
        ("just text", "Expected '='"),
    ],
)
def test_what_is_wrong_is_said(content: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_toml(content)


names = st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){0,3}", fullmatch=True)


@given(st.dictionaries(names, st.integers(-(2**63), 2**63 - 1)))
def test_a_flat_file_says_what_it_says(settings: dict[str, int]) -> None:
    content = "\n".join(f"{name} = {value}" for name, value in settings.items())
    parsed = parse_toml(content)
    assert {setting.name: int(setting.text) for setting in parsed} == settings
    assert [setting.line for setting in parsed] == list(range(1, len(settings) + 1))


@given(st.text())
def test_any_text_is_settings_or_a_value_error(content: str) -> None:
    try:
        parsed = parse_toml(content)
    except ValueError:
        return
    assert len({setting.name for setting in parsed}) == len(parsed)
