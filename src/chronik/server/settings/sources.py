"""The sources of settings: a file, variables and the command line, each read into named texts with their
origin.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from chronik.server.settings.file import FileSetting
from chronik.server.settings.ignored import ignored_reason, refused_reason
from chronik.vocab.config.names import BROKER_ALIASES, BROKER_CONFIGS, BROKER_FALLBACKS

KAFKA_PREFIX = "KAFKA_"
CHRONIK_PREFIX = "CHRONIK_"

# Names a file of settings when the command line does not.
CONFIG_FILE_VARIABLE = "CHRONIK_CONFIG"

_NEAR_MATCHES_MAX = 3
# 0 would be anything, 1 the name itself; from here on it looks like a slip of the pen.
_NEARNESS_MIN = 0.75


class Given(NamedTuple):
    """One setting as given by a source.

    `origin` is for people: a variable, a line of a file, the command line.
    """

    name: str
    text: str
    origin: str


class Findings:
    """Results of reading the sources. Filled step by step, then reported whole."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.notes: list[str] = []


def read_command_line(settings: Mapping[str, str]) -> list[Given]:
    return [Given(name, text, "command line") for name, text in settings.items()]


def read_file(path: str | os.PathLike[str], findings: Findings) -> list[Given]:
    """Reads the settings of a TOML file, or of one whose name ends in `.properties`, in Kafka's format."""
    is_properties = os.fspath(path).endswith(".properties")
    try:
        with open(path, "rb") as file:
            settings = _parse_file(file.read(), is_properties=is_properties)
    except OSError as error:
        findings.problems.append(f"{path} cannot be read: {error.strerror}")
        return []
    except ValueError as error:
        findings.problems.append(f"{path}: {error}{'' if is_properties else _advice(path)}")
        return []
    given = [
        Given(setting.name, setting.text, f"{path}, line {setting.line}" if setting.line else str(path))
        for setting in settings
    ]
    return list(_of_kafkas_file(given, findings)) if is_properties else given


def _parse_file(content: bytes, *, is_properties: bool) -> list[FileSetting]:
    # Starts without a file need not pay for either.
    if is_properties:
        from chronik.server.settings.properties import decode_properties, parse_properties

        return parse_properties(decode_properties(content))
    from chronik.server.settings.toml import parse_toml

    return parse_toml(content.decode())


def _advice(path: str | os.PathLike[str]) -> str:
    return f"; a file in Kafka's format is read when its name ends in .properties, and {path} is read as TOML"


def _check_role(setting: Given, findings: Findings) -> None:
    """A node that is to be no broker would be one."""
    if setting.name == "process.roles" and "broker" not in setting.text.replace(" ", "").split(","):
        findings.problems.append(
            f"{setting.origin}: {setting.name}={setting.text}: every node is a broker here, and the voters "
            "among them need no other controllers; leave this one out"
        )


def _of_kafkas_file(given: Iterable[Given], findings: Findings) -> Iterator[Given]:
    """Yields the settings of a file written for Kafka. Kafka ignores unknown names, and so does this;
    unsupported security settings stay, to be refused.
    """
    for setting in given:
        is_known = setting.name in BROKER_CONFIGS
        if is_known or refused_reason(setting.name) is not None:
            yield setting
            continue
        _check_role(setting, findings)
        variable = variable_of_setting(setting.name, KAFKA_PREFIX)
        reason = ignored_reason(variable, is_setting=False) or f"it is no setting{_near(setting.name)}"
        findings.notes.append(f"{setting.name} ({setting.origin}) is ignored: {reason}")


def read_variables(environment: Mapping[str, str], prefix: str, findings: Findings) -> list[Given]:
    """The settings in variables that begin with `prefix`.

    Kafka's image and clients have variables of their own: those are noted.
    """
    given = []
    for variable in sorted(environment):
        if not variable.startswith(prefix) or variable == CONFIG_FILE_VARIABLE:
            continue
        name = setting_of_variable(variable, prefix)
        _check_role(Given(name, environment[variable], variable), findings)
        reason = ignored_reason(variable, is_setting=name in BROKER_CONFIGS)
        if reason is None:
            given.append(Given(name, environment[variable], variable))
        else:
            findings.notes.append(f"{variable} is ignored: {reason}")
    return given


def setting_of_variable(variable: str, prefix: str) -> str:
    """The name that a variable means: `_` is a dot, `__` an underscore, `___` a dash, as in Kafka's image."""
    name = variable.removeprefix(prefix).lower()
    return "-".join(
        "_".join(part.replace("_", ".") for part in piece.split("__")) for piece in name.split("___")
    )


def variable_of_setting(name: str, prefix: str) -> str:
    """The inverse of `setting_of_variable`."""
    return prefix + "".join({".": "_", "_": "__", "-": "___"}.get(letter, letter) for letter in name).upper()


def known(given: Iterable[Given], findings: Findings) -> Iterator[Given]:
    """Yields those that name a setting; the others become problems."""
    for setting in given:
        if setting.name in BROKER_CONFIGS:
            yield setting
        else:
            findings.problems.append(_unknown(setting))


def _unknown(setting: Given) -> str:
    refusal = refused_reason(setting.name)
    if refusal is not None:
        return f"{setting.origin}: {setting.name} cannot be set: {refusal}"
    return f"{setting.origin}: there is no setting {setting.name}{_near(setting.name)}"


def _near(name: str) -> str:
    import difflib  # only where a person waits for an explanation anyway

    near = difflib.get_close_matches(name, BROKER_CONFIGS, _NEAR_MATCHES_MAX, _NEARNESS_MIN)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def merge(sources: Sequence[Iterable[Given]], findings: Findings) -> dict[str, Given]:
    """One value for each setting, later sources over earlier ones.

    A source that gives a setting under one of its names replaces what earlier ones gave under any of them.
    """
    merged: dict[str, Given] = {}
    for source in sources:
        layer = {setting.name: setting for setting in source}
        for group in (*BROKER_ALIASES, *BROKER_FALLBACKS):
            if any(name in layer for name in group):
                for name in group:
                    merged.pop(name, None)
        for group in BROKER_ALIASES:
            _check_agreement([layer[name] for name in group if name in layer], findings)
        merged.update(layer)
    for group in BROKER_ALIASES:
        first = next((merged[name] for name in group if name in merged), None)
        if first is not None:
            merged.update({name: first._replace(name=name) for name in group})
    return merged


def _check_agreement(aliases: Sequence[Given], findings: Findings) -> None:
    if len({setting.text.strip() for setting in aliases}) > 1:
        said = " and ".join(f"{setting.name}={setting.text} ({setting.origin})" for setting in aliases)
        findings.problems.append(f"{said} are the same setting and disagree")
