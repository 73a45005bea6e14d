"""docs/configuration.md is what the tables say."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "generate_config_docs.py"), "--check"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.stdout == "up to date\n", result.stderr
    assert result.returncode == 0
