"""`python -m tests.proofs.loop_holds [--all COUNT]`: how long each attack holds the loop, as a table."""

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.proofs.loop_holds import attacks
from tests.proofs.loop_holds.attacks import Attack
from tests.proofs.loop_holds.watching import WatchedNode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=int, metavar="COUNT", help="so many elements in each array of each API")
    count = parser.parse_args().all
    show(attacks.named() if count is None else attacks.filled(count))


def show(all_of_them: Iterable[Attack]) -> None:
    """Each on a node of its own: what an earlier one left behind does not count."""
    print("| request | longest hold, ms | peak of memory, MB |\n| --- | --- | --- |")
    for attack in all_of_them:
        with tempfile.TemporaryDirectory() as directory:
            node = WatchedNode(Path(directory))
            node.start()
            try:
                attack.run(node)
                seen = node.report()
            finally:
                node.kill()
        print(f"| {attack.name} | {seen.longest_ms:.0f} | {seen.peak_mb:.0f} |", flush=True)


if __name__ == "__main__":
    main()
