"""A JVM that runs one of Kafka's tools after another (src/ToolServer.java)."""

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Timer
from types import TracebackType
from typing import Self

from tests.proofs.java.jars import Jars

# A call that takes longer hangs: tools answer within seconds, and their own deadlines end within 30 s.
CALL_SECONDS_MAX = 90.0
# Enough for every tool here, and little beside the brokers on one machine. The first compiler alone, since a
# tool's run is short.
JVM_OPTIONS = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What a tool printed, and its exit code."""

    code: int
    out: str
    err: str


class Hung(Exception):
    """A tool did not end, or not as tools do; its JVM is gone, and the next call gets a new one."""


class ToolShell:
    """Owned by one run, which calls it from one thread at a time. Starts its JVM with the first call."""

    def __init__(self, jars: Jars, *, log_level: str = "off") -> None:
        properties = (f"-Dorg.slf4j.simpleLogger.defaultLogLevel={log_level}", "-Duser.timezone=UTC")
        self._options = ["java", *JVM_OPTIONS, *properties, "-cp", jars.class_path]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, main: str, arguments: Sequence[str], *, text: str = "") -> Called:
        """Runs the main method of a class, with a text as its standard input. Raises Hung."""
        if self._process is None:
            self._process = subprocess.Popen(
                [*self._options, "ToolServer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        guard = Timer(CALL_SECONDS_MAX, process.kill)
        started = time.monotonic()
        guard.start()
        try:
            process.stdin.write(json.dumps({"main": main, "arguments": arguments, "input": text}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        finally:
            guard.cancel()
        if not line:
            self.close()
            is_over = time.monotonic() - started > CALL_SECONDS_MAX
            raise Hung(f"did not end within {CALL_SECONDS_MAX:.0f} s" if is_over else "ended the JVM")
        return Called(**json.loads(line))

    def call_alone(self, main: str, arguments: Sequence[str]) -> Called:
        """Runs it in a JVM of its own, for tools that finish their work as the JVM ends. Raises Hung."""
        try:
            ended = subprocess.run(
                [*self._options, main, *arguments],
                capture_output=True,
                text=True,
                timeout=CALL_SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            raise Hung(f"did not end within {CALL_SECONDS_MAX:.0f} s") from expired
        return Called(code=ended.returncode, out=ended.stdout, err=ended.stderr)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()
