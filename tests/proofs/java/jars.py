"""Apache Kafka's jars, fetched once with Maven, and this package's Java programs, compiled against them."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.proofs.clients.missing import Missing

KAFKA_VERSION = "4.4.0"
MIRROR_VERSION = "4.3.0"

_HERE = Path(__file__).parent
# That Kafka's tools and brokers ask for, from 4.0 on.
_JAVA_MIN = 17
# 126 MB from Maven Central: seconds where it is near.
_FETCH_SECONDS_MAX = 300
_COMPILE_SECONDS_MAX = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Jars:
    """Directories with jars of one version each."""

    # Brokers, tools and streams.
    kafka: Path
    # The compiled programs of `src`, which use the jars of `kafka`.
    programs: Path

    @property
    def class_path(self) -> str:
        return f"{self.programs}:{self.kafka}/*"


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chronik-tests"


def toolchain_problem() -> str | None:
    """Why no Java program can be run here; None where one can."""
    for command in ("java", "javac", "mvn"):
        if shutil.which(command) is None:
            return f"Java and Maven are not here: there is no `{command}` command"
    shown = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=False)
    version = re.search(r"(\d+)", shown.stdout + shown.stderr)
    if version is None or int(version.group(1)) < _JAVA_MIN:
        return f"Java {_JAVA_MIN} is not here: `javac -version` says {(shown.stdout + shown.stderr).strip()}"
    return None


def prepare(cache: Path) -> Jars | Missing:
    """Fetches what is not in the cache yet, and compiles."""
    problem = toolchain_problem()
    if problem is not None:
        return Missing("java", problem)
    try:
        kafka = _fetched(_HERE / "pom.xml", cache / f"apache-kafka-{KAFKA_VERSION}")
        return Jars(kafka=kafka, programs=_compiled(kafka, cache))
    except (subprocess.SubprocessError, OSError) as error:
        return Missing("java", _told(error))


def mirror_jars(cache: Path) -> Path | Missing:
    """Of MirrorMaker 2 and the Connect runtime."""
    try:
        return _fetched(_HERE / "mirror" / "pom.xml", cache / f"connect-mirror-{MIRROR_VERSION}")
    except (subprocess.SubprocessError, OSError) as error:
        return Missing("mirror", _told(error))


def _fetched(pom: Path, directory: Path) -> Path:
    """The directory appears when all jars are in it: a run that is cut short leaves none."""
    if directory.is_dir():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".fetching-") as temporary:
        jars = Path(temporary) / "jars"
        command = ["mvn", "--quiet", "--batch-mode", "--file", str(pom), "dependency:copy-dependencies"]
        _run([*command, f"-DoutputDirectory={jars}"], Path(temporary), _FETCH_SECONDS_MAX)
        try:
            jars.rename(directory)
        except OSError:
            # Another run was first.
            if not directory.is_dir():
                raise
    return directory


def _compiled(kafka: Path, cache: Path) -> Path:
    sources = sorted((_HERE / "src").glob("*.java"))
    newest = max(source.stat().st_mtime_ns for source in sources)
    directory = cache / f"java-programs-{newest}-{len(sources)}"
    if directory.is_dir():
        return directory
    with tempfile.TemporaryDirectory(dir=cache, prefix=".compiling-") as temporary:
        classes = Path(temporary) / "classes"
        command = ["javac", "-nowarn", "-Xlint:none", "-cp", f"{kafka}/*", "-d", str(classes)]
        _run([*command, *map(str, sources)], Path(temporary), _COMPILE_SECONDS_MAX)
        try:
            classes.rename(directory)
        except OSError:
            if not directory.is_dir():
                raise
    return directory


def _run(command: list[str], directory: Path, seconds_max: float) -> None:
    subprocess.run(command, cwd=directory, capture_output=True, timeout=seconds_max, check=True)


def _told(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        output = (error.stdout + error.stderr).decode(errors="replace").strip().splitlines()
        return f"`{error.cmd[0]}` failed: {' '.join(output[:2])}"
    return f"{type(error).__name__}: {error}"
