"""`chronik produce`: lines become records."""

from enum import StrEnum
from typing import Annotated

import typer

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


class Acks(StrEnum):
    """Kafka's numbers; -1 is `all`."""

    NONE = "0"
    LEADER = "1"
    ALL = "all"


@guarded
def produce(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Where the records go.")],
    file: Annotated[
        str | None, typer.Option("--file", "-f", metavar="FILE", help="Read lines here, not standard input.")
    ] = None,
    key_separator: Annotated[
        str | None,
        typer.Option("--key-separator", "-K", metavar="TEXT", help="A line's key ends before this text."),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", "-k", help="One key for all records.")] = None,
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

    At a terminal every line is sent at once; Ctrl-D ends. An empty line is an empty record.
    """
    from chronik.cli.client import Client
    from chronik.cli.client.producing import ALL_ACKS, Producer
    from chronik.cli.lines import reading
    from chronik.cli.output import print_json, print_note
    from chronik.records.batch import Codec

    if key is not None and key_separator is not None:
        raise Failure("--key and --key-separator say different things", "Give one of them.")
    headers = tuple(
        (name, value.encode()) for name, value in (parsed(parse_assignment, text) for text in header or ())
    )
    separator = None if key_separator is None else key_separator.encode()
    with reading(file) as lines, Client(bootstrap_server, timeout_s=timeout) as client:
        producer = Producer(
            client,
            topic,
            acks=ALL_ACKS if acks is Acks.ALL else int(acks),
            codec=Codec[compression.name],
            partition=partition,
        )
        try:
            for line in lines:
                if line is None:
                    producer.flush()
                    continue
                record_key, value = _split(line, separator)
                if key is not None:
                    record_key = key.encode()
                producer.send(value, key=record_key, headers=headers)
        except KeyboardInterrupt:
            pass  # what was typed is sent
        producer.flush()
    if json:
        print_json({"topic": topic, "sent": producer.sent})
    else:
        print_note(f"{producer.sent} record{'s' if producer.sent != 1 else ''} sent to {topic}")


def _split(line: bytes, separator: bytes | None) -> tuple[bytes | None, bytes]:
    if separator is None:
        return None, line
    key, found, value = line.partition(separator)
    if not found:
        raise Failure(
            f"a line has no {separator.decode()!r}: {line[:60].decode(errors='replace')}",
            "Every line must be KEY, separator, VALUE.",
        )
    return key, value
