"""A node that watches its event loop: `python -m tests.proofs.loop_holds.watched_node start ...`.

A callback that schedules itself again is called once in each turn of the loop. What the loop's thread spends
of the processor between two such calls is what one turn held the loop for. It is processor time, so that
other processes on the machine do not matter; waiting in a blocking call does not show.

Commands come on standard input, a line each, and are answered by a line of JSON on standard output: `reset`
forgets what was seen, `report` says it.
"""

import asyncio
import json
import os
import sys
import threading
import time
import traceback
from collections import Counter

from chronik.broker.dispatch import import_handlers
from chronik.cli.main import main
from chronik.server import node as node_module

# A stack is looked at so often, when that is asked for; and only in turns that are this long already.
_SAMPLE_SECONDS = 0.002
_LONG_SECONDS = 0.002


# When the handlers are there: the first tenth of a second after the start is not measured.
has_imported = threading.Event()


class Watch:
    """Lives as long as the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._turn_began = time.thread_time()
        self._turn_began_wall = time.monotonic()
        self.longest_seconds = 0.0
        # Of the longest turn, and of the one that is going on.
        self.stacks: Counter[str] = Counter()
        self._sampled: Counter[str] = Counter()
        self._thread = threading.get_ident()

    def turn(self) -> None:
        now = time.thread_time()
        if now - self._turn_began > self.longest_seconds:
            self.longest_seconds = now - self._turn_began
            self.stacks = self._sampled
        self._sampled = Counter()
        self._turn_began = now
        self._turn_began_wall = time.monotonic()
        self._loop.call_soon(self.turn)

    def sample(self) -> None:
        """Where the loop is in its long turns. In a thread of its own."""
        while True:
            time.sleep(_SAMPLE_SECONDS)
            if time.monotonic() - self._turn_began_wall > _LONG_SECONDS:
                frame = sys._current_frames().get(self._thread)
                entries = traceback.extract_stack(frame)[-6:]
                self._sampled[" < ".join(f"{e.name}:{e.lineno}" for e in reversed(entries))] += 1

    def on_command(self) -> None:
        for command in os.read(0, 4096).split():
            print(json.dumps(self._obey(command.decode())), flush=True)

    def _obey(self, command: str) -> dict[str, object]:
        if command == "reset":
            self.longest_seconds = 0.0
            self.stacks.clear()
            with open("/proc/self/clear_refs", "w") as peak:
                peak.write("5")  # the peak of resident memory starts again
        return {
            "longest_ms": self.longest_seconds * 1000,
            "peak_mb": _status_mb("VmHWM"),
            "resident_mb": _status_mb("VmRSS"),
            "has_imported": has_imported.is_set(),
            "stacks": self.stacks.most_common(6),
        }


def _status_mb(name: str) -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))


def _watch() -> None:
    loop = asyncio.get_running_loop()
    watch = Watch(loop)
    loop.add_reader(0, watch.on_command)
    if os.environ.get("LOOP_HOLDS_WHERE"):
        threading.Thread(target=watch.sample, daemon=True).start()
    watch.turn()


def _watch_when_ready() -> None:
    announce = node_module._announce

    def announce_and_watch(node: node_module.Node) -> None:
        announce(node)
        _watch()

    def import_and_say_so() -> None:
        import_handlers()
        has_imported.set()

    node_module._announce = announce_and_watch
    node_module.import_handlers = import_and_say_so  # type: ignore[attr-defined]


if __name__ == "__main__":
    _watch_when_ready()
    sys.exit(main())
