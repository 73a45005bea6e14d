"""What a figure depends on beside the code: processor, memory, disk, versions."""

import os
import platform
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path

from chronik.cli.perf.figure import percentile

_SYNC_SAMPLES = 200
_SYNC_BYTES = 4096


def machine_facts(data_parent: Path | None) -> dict[str, str]:
    """Facts by name, for a report; nothing in them tells whose machine it is or where things are on it."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "data directory": f"{_file_system(data_parent)}, 4 KiB append and sync {_sync_figures(data_parent)}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "client": f"confluent-kafka {metadata.version('confluent-kafka')}",
        "chronik commit": _commit(),
        "load average at start": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(data_parent: Path | None) -> str:
    """Its type by the mount the directory is on; a figure for syncs from a tmpfs would mean nothing."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "file system unknown"
    directory = os.path.realpath(data_parent or tempfile.gettempdir())
    points = (line.split()[1:3] for line in mounts.read_text().splitlines())
    on = [(point, kind) for point, kind in points if os.path.commonpath([point, directory]) == point]
    return max(on, key=lambda entry: len(entry[0]))[1]


def _sync_figures(data_parent: Path | None) -> str:
    sync = getattr(os, "fdatasync", os.fsync)
    took_ms = []
    with tempfile.TemporaryFile(dir=data_parent, buffering=0) as file:
        for _ in range(_SYNC_SAMPLES):
            file.write(bytes(_SYNC_BYTES))
            start = time.perf_counter()
            sync(file.fileno())
            took_ms.append((time.perf_counter() - start) * 1000)
    return f"p50 {percentile(took_ms, 50):.2f} ms, p99 {percentile(took_ms, 99):.2f} ms"


def _commit() -> str:
    here = Path(__file__).parent
    try:
        return subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=here, text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
