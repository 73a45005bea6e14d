"""CRC-32C, and what it costs to have it."""

import subprocess
import sys

import crc32c as package

from chronik.records.crc import crc32c


def test_it_is_crc_32c() -> None:
    # The check value of the catalogue of CRC algorithms, and that of the packaged function.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(memoryview(b"abc")) == package.crc32c(b"abc")


def test_the_package_around_it_is_not_imported() -> None:
    """It imports email, zipfile, argparse and others, a tenth of the time of a node's start."""
    program = (
        "import sys; import chronik.records.crc; "
        "print(*({'crc32c', 'importlib.metadata', 'email', 'zipfile', 'argparse'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
