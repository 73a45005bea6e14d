"""`chronik produce`: lines become records."""

from enum import StrEnum
from typing import Annotated

import typer

from chronik.cli.completion import topic_names
from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.guard import guarded
from chronik.cli.options import BOOTSTRAP_DEFAULT, BootstrapServer, Json, Timeout
from chronik.cli.parsing import parsed
from chronik.cli.units import parse_assignment


class Compression(StrEnum):
    NONE = "none"
    GZIP = "gzip"
    SNAPPY = "snappy"
    LZ4 = "lz4"
    ZSTD = "zstd"


class Input(StrEnum):
    """The form of an input line."""

    TEXT = "text"
    JSON = "json"


class Acks(StrEnum):
    """Kafka's numbers; -1 is `all`."""

    NONE = "0"
    LEADER = "1"
    ALL = "all"


@guarded
def produce(
    topic: Annotated[
        str, typer.Argument(metavar="TOPIC", help="Where the records go.", autocompletion=topic_names)
    ],
    file: Annotated[
        str | None, typer.Option("--file", "-f", metavar="FILE", help="Read lines here, not standard input.")
    ] = None,
    key_separator: Annotated[
        str | None,
        typer.Option("--key-separator", "-K", metavar="TEXT", help="A line's key ends before this text."),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", "-k", help="One key for all records.")] = None,
    null_marker: Annotated[
        str | None,
        typer.Option("--null-marker", metavar="TEXT", help="A key or value that is this text is null."),
    ] = None,
    lines_are: Annotated[
        Input,
        typer.Option(
            "--input",
            "-i",
            help="What a line is: text, or JSON as `chronik consume --json` prints it.",
        ),
    ] = Input.TEXT,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="NAME=VALUE", help="A header of every record; repeatable."),
    ] = None,
    partition: Annotated[
        int | None, typer.Option("--partition", "-p", min=0, help="One partition, whatever the keys.")
    ] = None,
    compression: Annotated[
        Compression, typer.Option("--compression", "-z", help="How batches are compressed.")
    ] = Compression.NONE,
    acks: Annotated[Acks, typer.Option("--acks", help="Who must have a record before it counts.")] = Acks.ALL,
    bootstrap_server: BootstrapServer = BOOTSTRAP_DEFAULT,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Send each line of standard input, or of a file, as a record.

    At a terminal every line is sent at once; Ctrl-D ends. An empty line is an empty record. A line of JSON
    is an object with "value" and, if wanted, "key", "headers" and "timestamp" (milliseconds); a value of null
    is a tombstone, bytes that are no text are {"base64": "..."}.
    """
    from chronik.cli.lines import reading
    from chronik.cli.output import print_json, print_note
    from chronik.cli.producing import send_lines
    from chronik.cli.record_lines import json_lines, text_lines
    from chronik.client.client import Client
    from chronik.client.producing import ALL_ACKS, Producer
    from chronik.records.batch import Codec

    _check(lines_are, key=key, key_separator=key_separator, null_marker=null_marker)
    headers = tuple(
        (name, value.encode()) for name, value in (parsed(parse_assignment, text) for text in header or ())
    )
    read_line = json_lines if lines_are is Input.JSON else text_lines(key_separator, key, null_marker)
    with reading(file) as lines, Client(bootstrap_server, timeout_s=timeout) as client:
        producer = Producer(
            client,
            topic,
            acks=ALL_ACKS if acks is Acks.ALL else int(acks),
            codec=Codec[compression.name],
            partition=partition,
        )
        try:
            send_lines(producer, lines, read_line, headers)
        finally:
            # Also for a failure: the user who corrects the line needs to know where to continue.
            if json:
                print_json({"topic": topic, "sent": producer.sent})
            else:
                print_note(f"{producer.sent} record{'s' if producer.sent != 1 else ''} sent to {topic}")


def _check(lines_are: Input, *, key: str | None, key_separator: str | None, null_marker: str | None) -> None:
    """Raises Failure for options that contradict each other."""
    if key is not None and key_separator is not None:
        raise _usage("--key and --key-separator say different things", "Give one of them.")
    if key_separator == "":
        raise _usage("--key-separator is empty", "Give the text that stands between key and value.")
    if lines_are is Input.JSON:
        given = {"--key": key, "--key-separator": key_separator, "--null-marker": null_marker}
        for option, value in given.items():
            if value is not None:
                raise _usage(f"{option} is for lines of text", "In JSON each record says it itself.")


def _usage(message: str, hint: str) -> Failure:
    return Failure(message, hint, ExitCode.USAGE)
