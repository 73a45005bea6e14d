"""The processing of lines by `chronik produce`."""

from collections.abc import Iterator

from chronik.cli.failure import Failure
from chronik.cli.record_lines import BadLine, ReadLine
from chronik.client.producing import Producer
from chronik.records.record import Headers


def send_lines(
    producer: Producer, lines: Iterator[bytes | None], read_line: ReadLine, headers: Headers
) -> None:
    """Send a record for each line, with `headers` before its own; None among the lines is a pause.

    Raises Failure for a line that is none, with its number, when the lines before it are sent; ClientError
    when the broker takes them not, with their numbers.
    """
    number = 0
    try:
        for line in lines:
            if line is None:
                producer.flush()
                continue
            number += 1
            record = read_line(line)
            producer.send(
                record.value,
                key=record.key,
                headers=(*headers, *record.headers),
                timestamp_ms=record.timestamp_ms,
                line=number,
            )
    except KeyboardInterrupt:
        pass  # typed lines are sent
    except BadLine as bad:
        producer.flush()
        raise Failure(f"line {number}: {bad}", "The lines before it are sent, and none after it.") from None
    producer.flush()
