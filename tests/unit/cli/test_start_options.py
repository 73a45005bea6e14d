import pytest

from chronik.cli.start_options import START_OPTIONS, Kind, StartArguments, parse


def settings_of(*words: str) -> dict[str, str]:
    return understood(*words).settings


def understood(*words: str) -> StartArguments:
    arguments = parse(words)
    assert arguments is not None
    return arguments


def test_settings_by_their_names() -> None:
    words = ["--data-dir", "/data", "--node-id=3", "--listeners", "A://:1,B://:2", "--log-level", "debug"]
    assert settings_of(*words) == {
        "data.dir": "/data",
        "node.id": "3",
        "listeners": "A://:1,B://:2",
        "log.level": "debug",
    }


def test_nothing_is_a_start_with_defaults() -> None:
    arguments = understood()
    assert arguments.settings == {}
    assert arguments.config_file is None
    assert not arguments.until_stdin_closes


def test_http_off_is_left_to_the_settings() -> None:
    assert settings_of("--http", "off") == {"http.address": "off"}


def test_set_is_repeatable_and_keeps_what_follows_the_first_equals_sign() -> None:
    settings = settings_of("--set", "a=1", "--set", "b=x=y", "--set=c=", "--set", "a=2")
    assert settings == {"a": "2", "b": "x=y", "c": ""}


def test_the_last_of_two_that_say_the_same_counts() -> None:
    assert settings_of("--set", "node.id=1", "--node-id", "2") == {"node.id": "2"}


def test_a_file_and_a_switch() -> None:
    arguments = understood("--config", "node.toml", "--until-stdin-closes")
    assert arguments.config_file == "node.toml"
    assert arguments.until_stdin_closes


def test_a_value_may_begin_with_one_dash() -> None:
    assert settings_of("--set", "-x=1") == {"-x": "1"}


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["-h"],
        ["orders"],
        ["--data-dir"],
        ["--data-dir", "--http"],
        ["--datadir", "x"],
        ["--set", "x"],
        ["--set", "=x"],
        ["--until-stdin-closes=yes"],
        ["--"],
    ],
)
def test_what_is_not_understood_is_left_to_the_slow_way(words: list[str]) -> None:
    assert parse(words) is None


def test_options_are_told_apart() -> None:
    assert len({option.flag for option in START_OPTIONS}) == len(START_OPTIONS)
    for option in START_OPTIONS:
        assert option.parameter.isidentifier()
        assert (option.kind is Kind.SETTING) == bool(option.setting)


def test_settings_exist() -> None:
    from chronik.vocab.config.names import BROKER_CONFIGS

    assert {option.setting for option in START_OPTIONS if option.setting} <= BROKER_CONFIGS.keys()
