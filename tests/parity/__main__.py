"""Record answers of Apache Kafka, and compare Chronik's with them.

python -m tests.parity record --jars DIR           start Kafka, play all scenarios, write golden/
python -m tests.parity record --jars DIR metadata  only one area, or names that begin so
python -m tests.parity compare metadata            what differs, known or not, in Chronik in this process
python -m tests.parity show --at HOST:PORT NAME    what any broker answers
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from chronik.testing import Broker, Cluster
from tests.parity import golden, runner
from tests.parity.apache_kafka.server import ApacheKafka, fetch_jars, version_of
from tests.parity.differences import differences
from tests.parity.golden import Origin, Transcript
from tests.parity.intended import INTENDED
from tests.parity.open_differences import OPEN
from tests.parity.registry import Scenario, all_scenarios
from tests.parity.session import SetupFailed, Target


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.parity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    record = commands.add_parser("record", help="from Apache Kafka")
    record.add_argument(
        "--jars", type=Path, required=True, help="directory of Kafka's jars; filled when empty"
    )
    compare = commands.add_parser("compare", help="Chronik with what is recorded")
    show = commands.add_parser("show", help="answers of a broker that runs")
    show.add_argument("--at", required=True, metavar="HOST:PORT")
    for command in (record, compare):
        command.add_argument("--nodes", type=int, choices=(1, 3), default=None, help="only this many nodes")
    for command in (record, compare, show):
        command.add_argument("names", nargs="*", help="areas, or beginnings of names; all without any")
    asked = parser.parse_args()
    chosen = _chosen(asked.names)
    match asked.command:
        case "record":
            jars = fetch_jars(asked.jars)
            for nodes in [asked.nodes] if asked.nodes else [1, 3]:
                _record(jars, nodes, chosen)
        case "compare":
            for nodes in [asked.nodes] if asked.nodes else [1]:
                _compare(nodes, chosen)
        case _:
            _show(runner.target({1: asked.at}, "/nowhere"), chosen)


def _chosen(names: list[str]) -> list[Scenario]:
    found = [
        scenario
        for scenario in all_scenarios().values()
        if not names or any(scenario.area == name or scenario.name.startswith(name) for name in names)
    ]
    if not found:
        raise SystemExit("no such scenario")
    return found


def _record(jars: Path, nodes: int, chosen: list[Scenario]) -> None:
    origin = Origin(kafka=version_of(jars), command="python -m tests.parity record --jars DIR")
    with (
        tempfile.TemporaryDirectory(prefix="parity-kafka-") as directory,
        ApacheKafka(jars, nodes, Path(directory)) as kafka,
    ):
        where = runner.target(kafka.addresses, directory)
        runner.warm_up(where)
        played = _play(where, [each for each in chosen if each.runs_on(nodes)])
    for area in dict.fromkeys(scenario.area for scenario in chosen):
        # A partial recording keeps the rest; records of removed scenarios are deleted.
        names = [name for name, each in all_scenarios().items() if each.area == area and each.runs_on(nodes)]
        known = golden.load(area, nodes) | played
        golden.store(area, nodes, origin, {name: known[name] for name in names if name in known})


def _compare(nodes: int, chosen: list[Scenario]) -> None:
    with tempfile.TemporaryDirectory(prefix="parity-chronik-") as directory:
        if nodes == 1:
            with Broker(data_dir=directory) as broker:
                _print_differences(runner.target({1: broker.bootstrap_servers}, directory), chosen)
        else:
            with Cluster(nodes, data_dir=directory) as cluster:
                addresses = {node.node_id: node.bootstrap_servers for node in cluster.nodes}
                _print_differences(runner.target(addresses, directory), chosen)


def _print_differences(where: Target, chosen: list[Scenario]) -> None:
    runner.warm_up(where)
    for name, transcript in _play(where, [each for each in chosen if each.runs_on(where.nodes)]).items():
        recorded = golden.load(name.partition(".")[0], where.nodes).get(name)
        if recorded is None:
            print(f"  not recorded: {name}")
            continue
        for found in differences(name, recorded, transcript):
            is_intended = any(entry.covers(found, where.nodes) for entry in INTENDED)
            is_open = any(entry.covers(found, where.nodes) for entry in OPEN)
            print("intended" if is_intended else "open" if is_open else "NEW", found)


def _show(where: Target, chosen: list[Scenario]) -> None:
    for name, transcript in _play(where, chosen).items():
        print(golden.text({name: transcript}))


def _play(where: Target, chosen: Iterable[Scenario]) -> dict[str, Transcript]:
    played = {}
    for scenario in chosen:
        try:
            played[scenario.name] = runner.play(scenario, where)
        except (SetupFailed, OSError, KeyError, ValueError, AssertionError) as error:
            print(f"could not be played: {scenario.name}: {error!r}", file=sys.stderr)
    return played


if __name__ == "__main__":
    main()
