"""`chronik cluster start`: checks, progress, the table, and waiting for the end."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from chronik.cli.exit_codes import ExitCode
from chronik.cli.failure import Failure
from chronik.cli.local_cluster.plan import LocalNode, node_settings, nodes_there
from chronik.cli.local_cluster.ports import is_free
from chronik.cli.local_cluster.running import RunningCluster, StopSignals
from chronik.cli.local_cluster.secret_file import secret_settings
from chronik.cli.output import console, left, print_done, print_error, print_note, print_table, right

NODES_DEFAULT = 3


def count_nodes(data_dir: Path, wanted: int | None) -> int:
    """Returns the number wanted or existing. Raises Failure when these differ."""
    there = nodes_there(data_dir)
    if wanted is not None and there not in (0, wanted):
        raise Failure(
            f"{data_dir} holds a cluster of {there} node{'s' if there != 1 else ''}, not {wanted}",
            "Leave out --nodes, or choose another directory with --data-dir.",
            ExitCode.USAGE,
        )
    return wanted or there or NODES_DEFAULT


def start(nodes: Sequence[LocalNode], given: Mapping[str, str], *, as_json: bool, seconds: float) -> None:
    """Run the cluster until a signal ends it. Raises Failure when it does not start or no node is left."""
    root = nodes[0].data_dir.parent
    try:
        # One node needs no secret.
        given = {**given, **(secret_settings(root, given) if len(nodes) > 1 else {})}
    except OSError as error:
        raise Failure(f"{error.filename or root}: {error.strerror}") from error
    _check(nodes, given)
    cluster = RunningCluster(nodes, StopSignals())
    try:
        try:
            cluster.spawn(given)
        except OSError as error:
            raise Failure(f"{error.filename or nodes[0].data_dir}: {error.strerror}") from error
        with _progress(len(nodes)) as on_progress:
            is_ready = cluster.wait_ready(seconds, on_progress)
        if is_ready:
            _show(cluster, as_json=as_json)
            cluster.watch(lambda node: _report_end(cluster, node))
            if len(cluster.ended()) == len(nodes):
                raise Failure("no node is left")
        print_note("Stopping, one node after the other; Ctrl-C again kills.")
    finally:
        for node in cluster.stop():
            print_error(f"node {node.id} was killed: it had not stopped in time")


def _check(nodes: Sequence[LocalNode], given: Mapping[str, str]) -> None:
    """Raises Failure for what every node would complain about."""
    from chronik.cli.start import settings_environment
    from chronik.server.settings.loading import Settings, SettingsError

    try:
        Settings.load(node_settings(nodes[0], nodes, given), environment=settings_environment())
    except SettingsError as error:
        raise Failure(str(error), exit_code=ExitCode.USAGE) from error
    for node in nodes:
        for option, port in node.ports.items():
            if not is_free(port):
                raise Failure(
                    f"port {port}, for node {node.id}, is in use",
                    f"Stop what listens there, or choose others with {option}.",
                )


@contextmanager
def _progress(count: int) -> Iterator[Callable[[int], None]]:
    """Shows how many nodes are ready: on a terminal in place, else a line for each step."""
    screen = console(is_error=True)
    shown = -1

    def text(ready: int) -> str:
        return f"Starting {count} node{'s' if count != 1 else ''}: {ready} ready"

    if not screen.is_terminal:

        def note(ready: int) -> None:
            nonlocal shown
            if ready > shown:
                print_note(text(ready))
            shown = ready

        yield note
        return
    with screen.status(text(0)) as status:
        yield lambda ready: status.update(text(ready))


def _show(cluster: RunningCluster, *, as_json: bool) -> None:
    servers = ",".join(node.bootstrap_servers for node in cluster.nodes)
    if as_json:
        nodes = [
            {
                "id": node.id,
                "bootstrap_servers": node.bootstrap_servers,
                "raft": node.raft_address,
                "http": node.http_address,
                "pid": cluster.pid(node),
                "data_dir": str(node.data_dir),
                "log": str(node.log_path),
            }
            for node in cluster.nodes
        ]
        print_done(json.dumps({"bootstrap_servers": servers, "nodes": nodes}))
    else:
        print_table(
            [
                right("Node"),
                left("PID"),
                left("Kafka"),
                left("Raft"),
                left("HTTP"),
                left("Log", is_folded=True),
            ],
            [
                (
                    node.id,
                    str(cluster.pid(node)),
                    node.bootstrap_servers,
                    node.raft_address,
                    node.http_address,
                    node.log_path,
                )
                for node in cluster.nodes
            ],
        )
        print_done(f"\nReady: {servers}. Ctrl-C stops all; the data stays.")
    sys.stdout.flush()


def _report_end(cluster: RunningCluster, node: LocalNode) -> None:
    print_error(cluster.obituary(node), "The others go on. Start the cluster again to have it back.")
