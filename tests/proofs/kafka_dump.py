"""Have Apache Kafka's own dump tool read what a broker of ours wrote.

    mvn dependency:copy-dependencies ...      # org.apache.kafka:kafka_2.13 and kafka-tools, into a directory
    python -m tests.proofs.kafka_dump --jars DIRECTORY

Writes records with each codec, with and without idempotence, over several segments, and offsets of a group;
stops the broker, and runs `kafka.tools.DumpLogSegments` over every segment, index, time index and snapshot.
Each batch must be valid, each record there, each index free of mismatches.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from confluent_kafka import Consumer, Producer

from tests.support.broker_process import BrokerProcess

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
RECORDS = 5_000
DUMPED = (".log", ".index", ".timeindex", ".snapshot")
# What the tool prints when an index and its log disagree, or a file is not what its name says.
COMPLAINTS = re.compile(
    r"mismatch|non-monotonic|out of order|invalid|corrupt|Could not|Exception", re.IGNORECASE
)


def write(broker: BrokerProcess) -> None:
    for codec in CODECS:
        for is_idempotent in (False, True):
            producer = Producer(
                {
                    "bootstrap.servers": broker.bootstrap_servers,
                    "compression.type": codec,
                    "enable.idempotence": is_idempotent,
                    "batch.size": 16_384,
                }
            )
            topic = f"{codec}-{'idempotent' if is_idempotent else 'plain'}"
            for number in range(RECORDS):
                producer.produce(topic, key=b"k%d" % (number % 10), value=b"value-%d" % number)
            producer.flush(30)
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "dumped", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["none-plain"])
    read = 0
    while read < RECORDS:
        read += len(consumer.consume(1_000, 5))
    consumer.commit(asynchronous=False)
    consumer.close()


def dump(jars: Path, files: list[Path], *options: str) -> str:
    command = ["java", "-cp", f"{jars}/*", "kafka.tools.DumpLogSegments", *options]
    command += ["--files", ",".join(map(str, files))]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def problems_in(jars: Path, directory: Path, expected: int) -> list[str]:
    """What is wrong with one partition's files."""
    files = sorted(path for path in directory.iterdir() if path.suffix in DUMPED)
    text = dump(jars, files, "--deep-iteration", "--index-sanity-check")
    lines = text.splitlines()
    problems = [line for line in lines if COMPLAINTS.search(line) and "isvalid: true" not in line]
    batches = [line for line in lines if line.startswith("baseOffset:")]
    problems += [line for line in batches if "isvalid: true" not in line]
    records = sum(line.startswith("| offset:") for line in lines)
    if records != expected:
        problems.append(f"{directory.name}: {records} records instead of {expected}")
    return problems


def offsets_in(jars: Path, data: Path) -> int:
    """How many committed offsets Kafka's decoder finds in the internal topic."""
    logs = sorted(path for path in data.glob("__consumer_offsets-*/*.log") if path.stat().st_size)
    text = dump(jars, logs, "--offsets-decoder")
    return sum('"group":"dumped","topic":"none-plain"' in line for line in text.splitlines())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jars", type=Path, required=True, help="directory with Kafka's jars")
    jars = parser.parse_args().jars
    with tempfile.TemporaryDirectory(prefix="chronik-dump-") as directory:
        broker = BrokerProcess(Path(directory), "log.segment.bytes=1048576")
        broker.start()
        try:
            write(broker)
        finally:
            broker.stop()
        data = Path(directory) / "data"
        partitions = [data / f"{codec}-{kind}-0" for codec in CODECS for kind in ("plain", "idempotent")]
        problems = [problem for path in partitions for problem in problems_in(jars, path, RECORDS)]
        offsets = offsets_in(jars, data)
    if not offsets:
        problems.append("Kafka's decoder found no committed offset")
    print(
        f"{len(partitions)} partitions of {RECORDS} records, {offsets} committed offsets, "
        f"{len(problems)} problems"
    )
    for problem in problems[:20]:
        print(f"  PROBLEM {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
