"""Numbers, times and bytes as people write and read them."""

import base64
import re
from datetime import UTC, datetime

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", re.ASCII)
_ISO_DURATION = re.compile(
    r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII | re.IGNORECASE
)
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_ISO_UNITS_MS = (604_800_000, 86_400_000, 3_600_000, 60_000, 1000)


def format_bytes(count: int | None) -> str:
    """Formats as `1.4 MiB`; a dash for an unknown value."""
    if count is None:
        return "-"
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_time(timestamp_ms: int) -> str:
    """Local time to the millisecond; a dash for none."""
    if timestamp_ms < 0:
        return "-"
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000)
    except (OverflowError, OSError, ValueError):
        return str(timestamp_ms)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{timestamp_ms % 1000:03}"


def parse_duration_ms(text: str) -> int:
    """`90s`, `1h30m`, `2d`, or ISO 8601 as Kafka's tools take it, `PT1H30M`. Raises ValueError."""
    compact = text.strip()
    parts = _DURATION.findall(compact)
    if parts and "".join(number + unit for number, unit in parts) == compact:
        return int(sum(float(number) * _UNIT_MS[unit] for number, unit in parts))
    iso = _ISO_DURATION.fullmatch(compact)
    if iso is not None and any(iso.groups()):
        return int(
            sum(float(part or 0) * unit for part, unit in zip(iso.groups(), _ISO_UNITS_MS, strict=True))
        )
    raise ValueError(f"{text!r} is not a duration: write 90s, 1h30m, 2d or PT1H30M")


def parse_time_ms(text: str) -> int:
    """A time in ISO 8601 (local unless it names a zone), or milliseconds since 1970. Raises ValueError."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time: write 2026-01-31T12:00:00, with +01:00 or Z for a zone, or milliseconds"
        ) from None
    return int(moment.timestamp() * 1000)


def format_utc(timestamp_ms: int) -> str:
    """ISO 8601 in UTC, for JSON."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds")


def plain_bytes(data: bytes) -> str | dict[str, str]:
    """Text where the bytes are UTF-8, else `{"base64": ...}`."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def parse_assignment(text: str) -> tuple[str, str]:
    """`NAME=VALUE`. Raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value
