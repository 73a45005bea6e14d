"""Worker processes end with their parent."""

import subprocess
import sys
from pathlib import Path

SECONDS_MAX = 30

POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from chronik.sim.workers import end_with_parent

def begin():
    print("began", flush=True)

if __name__ == "__main__":
    with ProcessPoolExecutor(1, initializer=end_with_parent, initargs=(begin,)) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(600)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "began\n"
        parent.stdout.readline()
        parent.kill()
        # The worker has the other end of the pipe, too: it is closed when both have ended.
        assert parent.communicate(timeout=SECONDS_MAX)[0] == ""
