"""Foreign clients, unmodified and with their default settings, against one broker.

    python -m tests.proofs.clients [--records 100000] [--client kafka-python] [--codec lz4] [--json]

For each client and codec: 100,000 records are written to six partitions and read by a group of three, of
which one leaves and a fourth joins while records keep coming; then the other Python clients read the same
topic. Counts, order in each partition and bytes are compared. KafkaJS (Node.js), kcat, the Java client,
franz-go, Sarama (Go) and rskafka (Rust, which has no groups and reads alone) write and read a tenth of that,
and are left out, with the reason, where they are not to be had. What needs a compiler is compiled on first
use. Exit code 1 when anything differs.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.proofs.clients.catalogue import available
from tests.proofs.clients.client import Client
from tests.proofs.clients.missing import Missing
from tests.proofs.clients.rounds import Outcome, run_round
from tests.support.broker_process import BrokerProcess

# The clients that run in processes of their own get a smaller run.
SMALLER = dict.fromkeys(("kafkajs", "kcat", "java", "franz-go", "sarama", "rskafka"), 10)


def main() -> int:
    arguments = _arguments()
    console = Console(stderr=arguments.json)
    clients, missing = available(arguments.client)
    for absent in missing:
        console.print(f"[yellow]left out[/]: {absent.name}: {absent.reason}")
    with (
        tempfile.TemporaryDirectory(prefix="chronik-clients-") as directory,
        Progress(console=console, transient=True) as progress,
    ):
        outcomes = _run(clients, arguments.codec, arguments.records, Path(directory), progress)
    if arguments.json:
        print(json.dumps({"rounds": list(map(asdict, outcomes)), "missing": [m.name for m in missing]}))
    else:
        _show(console, outcomes, missing)
    return 1 if not outcomes or any(outcome.problems for outcome in outcomes) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--client", action="append", help="only these; may be repeated")
    parser.add_argument("--codec", action="append", help="only these; may be repeated")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _run(
    clients: Sequence[Client], codecs: Sequence[str] | None, records: int, directory: Path, progress: Progress
) -> list[Outcome]:
    rounds = [
        (client, codec) for client in clients for codec in client.codecs if codecs is None or codec in codecs
    ]
    task = progress.add_task("rounds", total=len(rounds))
    outcomes = []
    broker = BrokerProcess(directory)
    broker.start()
    try:
        for client, codec in rounds:
            progress.update(task, description=f"{client.name} {codec}")
            others = [other for other in clients if other is not client and other.name not in SMALLER]
            count = records // SMALLER.get(client.name, 1)
            outcomes.append(run_round(broker.bootstrap_servers, client, codec, count, others))
            progress.advance(task)
    finally:
        broker.stop()
    return outcomes


def _show(console: Console, outcomes: Sequence[Outcome], missing: Sequence[Missing]) -> None:
    table = Table(
        "client", "codec", "records", "seconds", "by member", "read again", "also read by", "result"
    )
    for outcome in outcomes:
        table.add_row(
            outcome.client,
            outcome.codec,
            f"{outcome.records:,}",
            f"{outcome.seconds:.1f}",
            " ".join(map(str, outcome.by_member)),
            str(outcome.read_again),
            ", ".join(outcome.also_read_by),
            "[red]" + "; ".join(outcome.problems) if outcome.problems else "[green]equal",
        )
    for absent in missing:
        table.add_row(absent.name, "", "", "", "", "", "", f"[yellow]left out: {absent.reason}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
