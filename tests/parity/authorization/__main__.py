"""usage: python -m tests.parity.authorization --jars DIR      records golden.json again

Starts Apache Kafka with an authorizer (Java 17, Maven; DIR is filled when empty).
"""

import argparse
import tempfile
from pathlib import Path

from tests.parity import runner
from tests.parity.apache_kafka.server import fetch_jars, version_of
from tests.parity.authorization.golden import store
from tests.parity.authorization.kafkas import KafkaWithAuthorizer
from tests.parity.authorization.permissions import EVERYTHING
from tests.parity.authorization.play import names, play
from tests.parity.golden import Origin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jars", type=Path, required=True)
    jars = fetch_jars(parser.parse_args().jars)
    origin = Origin(kafka=version_of(jars), command="python -m tests.parity.authorization --jars DIR")
    with (
        tempfile.TemporaryDirectory(prefix="parity-kafka-") as directory,
        KafkaWithAuthorizer(jars, Path(directory)) as kafka,
    ):
        where = runner.target(kafka.addresses, directory)
        kafka.allow(EVERYTHING)
        runner.warm_up(where)
        store(origin, {name: play(name, where, kafka.allow) for name in names()})


if __name__ == "__main__":
    main()
