"""The committed message modules are what the generator writes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.long
def test_generated_modules_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "generate_messages.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "up to date\n", result.stderr
    assert result.returncode == 0
