"""The command line as typer has it: all commands, their help, and `run`."""

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from chronik.cli.commands import cluster, config, group, log, topic
from chronik.cli.commands.completion import completion
from chronik.cli.commands.consume import consume
from chronik.cli.commands.health import health
from chronik.cli.commands.perf import perf
from chronik.cli.commands.produce import produce
from chronik.cli.commands.version import version
from chronik.cli.exit_codes import ExitCode
from chronik.cli.start_options import START_OPTIONS, Kind, StartArguments, StartOption
from chronik.cli.usage import UsageError, explain

_EPILOG = (
    "Exit codes: 0 done; 1 refused or failed; 2 wrong usage or settings; 3 no broker answered; "
    "130 ended by Ctrl-C."
)

app = typer.Typer(
    name="chronik",
    help="Chronik: a durable streaming platform that speaks the Apache Kafka protocol.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(words: Sequence[str]) -> int:
    """Run one command; its exit code."""
    try:
        ended = app(args=list(words), prog_name="chronik", standalone_mode=False)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except UsageError as error:
        return _report(error, words)
    # What `typer.Exit` was raised with; commands themselves return nothing.
    return ended if isinstance(ended, int) else ExitCode.OK


def _report(error: Exception, words: Sequence[str]) -> int:
    from chronik.cli.output import print_error

    if not words or type(error).__name__ == "NoArgsIsHelpError":
        # A group of commands was named without one of them, and its help is the message.
        error.show()  # type: ignore[attr-defined]  # all of the library's have it
    else:
        failure = explain(error, words)
        print_error(failure.message, failure.hint)
    return ExitCode.USAGE


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from chronik import __version__

        print(f"chronik {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    """Chronik: a durable streaming platform that speaks the Apache Kafka protocol."""


def _start(**values: Any) -> None:
    """Start a node: one durable broker, ready when it says `Kafka Server started`."""
    arguments = StartArguments()
    for option in START_OPTIONS:
        value = values[option.parameter]
        for text in value if isinstance(value, list) else [value]:
            if text is None or text is False:
                continue
            try:
                arguments.take(option, "" if text is True else text)
            except ValueError as error:
                raise typer.BadParameter(str(error), param_hint=option.flag) from None
    from chronik.cli.start import start

    raise typer.Exit(start(arguments))


def _with_start_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives the command the signature of the table of options, for typer to read."""
    parameters = [_parameter(option) for option in START_OPTIONS]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameter(option: StartOption) -> inspect.Parameter:
    default: object = None
    kind: object = str | None
    if option.kind is Kind.SWITCH:
        kind, default = bool, False
    elif option.kind is Kind.ASSIGNMENT:
        kind = list[str] | None
    metavar = option.metavar or None
    declared = typer.Option(option.flag, metavar=metavar, help=option.help, show_default=False)
    annotation = Annotated[kind, declared]  # type: ignore[valid-type]  # made at run time, for typer
    return inspect.Parameter(
        option.parameter, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


app.command("start")(_with_start_options(_start))
for command in (produce, consume, perf, health, completion, version):
    app.command()(command)
for commands in (topic.app, group.app, cluster.app, config.app, log.app):
    app.add_typer(commands)
