"""The recorded answers, in one file beside this."""

import json
import re
from pathlib import Path
from typing import Any

from tests.parity.golden import Origin, Transcript, text

_REQUEST = re.compile(r"Request Request\(.*(?=needs|is not)")
_PATH = Path(__file__).resolve().parent / "golden.json"


def load() -> dict[str, Transcript]:
    found: dict[str, Transcript] = json.loads(_PATH.read_text(encoding="utf-8"))["conversations"]
    return found


def kafka_version() -> str:
    return str(json.loads(_PATH.read_text(encoding="utf-8"))["kafka"])


def _without_requests(value: Any) -> Any:
    """Kafka's text of a refused request is the request, with all addresses of objects."""
    if isinstance(value, dict):
        return {name: _without_requests(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_requests(each) for each in value]
    return _REQUEST.sub("<request> ", value) if isinstance(value, str) else value


def store(origin: Origin, conversations: dict[str, Transcript]) -> None:
    plain = {name: [_without_requests(each) for each in played] for name, played in conversations.items()}
    content = {"kafka": origin.kafka, "recorded by": origin.command, "conversations": plain}
    _PATH.write_text(text(content) + "\n", encoding="utf-8")
