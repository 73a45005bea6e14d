"""Mistakes on the command line, in the same words as every other error.

The library that reads it has exceptions for them; its texts speak of its own types, differ between its
releases and come in boxes. So only the kind of the mistake and the place are taken from it, and what would
have been right from the command's own signature.
"""

import difflib
import inspect
import typing
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

import typer

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure

# The library keeps the class to itself in some releases.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]

_NEAR_MATCHES_MAX = 2


class Wanted(NamedTuple):
    """The required form of an option's or argument's value."""

    text: str
    accepts: Callable[[str], bool]


def explain(error: Any, words: Sequence[str]) -> Failure:
    """A usage error as a failure. `words` are the command line's."""
    context = error.ctx
    path = "chronik" if context is None else context.command_path
    message = _message(error, context, words)
    return Failure(message, f"`{path} --help` shows what there is.", ExitCode.USAGE)


def _message(error: Any, context: Any, words: Sequence[str]) -> str:
    match type(error).__name__:
        case "NoSuchOption":
            known = [] if context is None else _options_of(context.command)
            return f"there is no option {error.option_name}{_near(error.option_name, known)}"
        case "MissingParameter":
            return f"{_name_of(error.param)} is missing"
        case "BadOptionUsage":
            return _bad_usage(error, words)
        case "BadParameter":
            return _bad_value(error, context, words)
    commands = list(getattr(getattr(context, "command", None), "commands", ()))
    unknown = _quoted(error.message)
    if commands and unknown:
        return f"there is no command {unknown!r}{_near(unknown, commands)}"
    return f"too many words: {_extra(error.message)}"


def _bad_usage(error: Any, words: Sequence[str]) -> str:
    name = str(error.option_name)
    takes_none = any(word.startswith(f"{name}=") for word in words)
    return f"{name} takes no value" if takes_none else f"{name} needs a value"


def _bad_value(error: Any, context: Any, words: Sequence[str]) -> str:
    parameter = error.param
    if parameter is None or context is None:
        hint = error.param_hint
        return f"{hint}: {error.message}" if isinstance(hint, str) else str(error.message)
    name, wanted = _name_of(parameter), _wanted(context.command.callback, parameter.name)
    # Those before are the command's own name.
    words = words[len(context.command_path.split()) - 1 :]
    if wanted is None:
        return f"{name}: {error.message}"
    given = next((value for value in _values(parameter, words) if not wanted.accepts(value)), None)
    return f"{name}: {wanted.text} is expected" + ("" if given is None else f", not {given!r}")


def _name_of(parameter: Any) -> str:
    """`--partitions` of an option, `TOPIC` of an argument."""
    options = [option for option in parameter.opts if option.startswith("--")]
    return str(options[0] if options else parameter.metavar or parameter.name.upper())


def _values(parameter: Any, words: Sequence[str]) -> Iterable[str]:
    """Returns its values among the words, as far as that can be determined; for an argument any word may
    be one.
    """
    flags = [option for option in parameter.opts if option.startswith("-")]
    if not flags:
        yield from words
    for number, word in enumerate(words):
        for flag in flags:
            if word == flag and number + 1 < len(words):
                yield words[number + 1]
            elif flag.startswith("--") and word.startswith(f"{flag}="):
                yield word.removeprefix(f"{flag}=")
            elif not flag.startswith("--") and word.startswith(flag) and word != flag:
                yield word.removeprefix(flag)


def _wanted(command: Callable[..., Any] | None, parameter: str) -> Wanted | None:
    """Derived from the parameter's annotation in the command's own signature."""
    if command is None:
        return None
    signature = inspect.signature(inspect.unwrap(command))
    hints = typing.get_type_hints(inspect.unwrap(command), include_extras=True)
    if parameter not in signature.parameters or parameter not in hints:
        return None
    annotation = hints[parameter]
    declared: Any = next(
        (one for one in getattr(annotation, "__metadata__", ()) if hasattr(one, "min")), None
    )
    types = set(_leaves(annotation))
    choices = next((one for one in types if isinstance(one, type) and issubclass(one, Enum)), None)
    if choices is not None:
        values = [str(member.value) for member in choices]
        return Wanted(f"one of {', '.join(values)}", values.__contains__)
    for kind, name in ((int, "a whole number"), (float, "a number")):
        if kind in types:
            least, most = getattr(declared, "min", None), getattr(declared, "max", None)
            accepts = partial(_is_within, kind=kind, least=least, most=most)
            return Wanted(name + _range(least, most), accepts)
    return None


def _leaves(annotation: Any) -> Iterable[Any]:
    """The types an annotation is made of."""
    inner = typing.get_args(annotation)
    if not inner or isinstance(annotation, type):
        yield annotation
    for one in inner:
        yield from _leaves(one)


def _range(least: float | None, most: float | None) -> str:
    match least, most:
        case None, None:
            return ""
        case _, None:
            return f" from {least} on"
        case None, _:
            return f" up to {most}"
    return f" from {least} to {most}"


def _is_within(text: str, *, kind: type[int] | type[float], least: float | None, most: float | None) -> bool:
    try:
        value = kind(text)
    except ValueError:
        return False
    return (least is None or value >= least) and (most is None or value <= most)


def _options_of(command: Any) -> list[str]:
    return [option for parameter in command.params for option in parameter.opts if option.startswith("--")]


def _near(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, _NEAR_MATCHES_MAX)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _quoted(message: str) -> str:
    """Returns the quoted part of a text that names one word."""
    parts = message.split("'")
    return parts[1] if len(parts) >= 3 else ""


def _extra(message: str) -> str:
    """Returns the part in parentheses at the end of a text about unexpected words."""
    return message.rpartition("(")[2].rstrip(").") if "(" in message else message
