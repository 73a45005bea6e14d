"""A value and its golden file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FILES = Path(__file__).parent / "files"

_BYTES_PER_LINE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value in its stored or sent form. `name`: the file's, with its folder and without its ending."""

    name: str
    value: object
    decode: Callable[[bytes], object]
    # None for a form that earlier releases wrote and that is only read.
    encoded: bytes | None

    @property
    def folder(self) -> str:
        return self.name.partition("/")[0]

    @property
    def kind(self) -> str:
        """The name behind the folder up to a dot: what the completeness tests count."""
        return self.name.partition("/")[2].partition(".")[0]


def read(name: str) -> bytes:
    """The bytes of a golden file. Raises FileNotFoundError."""
    text = FILES / f"{name}.txt"
    if text.exists():
        return text.read_bytes()
    return bytes.fromhex((FILES / f"{name}.hex").read_text())


def write(name: str, content: bytes) -> Path:
    """Text as it is, anything else in hexadecimal lines, which a review can compare."""
    is_text = all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in content) and content
    path = FILES / f"{name}.{'txt' if is_text else 'hex'}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_text:
        path.write_bytes(content)
    else:
        lines = (content[at : at + _BYTES_PER_LINE].hex() for at in range(0, len(content), _BYTES_PER_LINE))
        path.write_text("".join(f"{line}\n" for line in lines))
    return path


def exists(name: str) -> bool:
    return any((FILES / f"{name}.{ending}").exists() for ending in ("txt", "hex"))


def names() -> set[str]:
    """Of all golden files."""
    files = (path.relative_to(FILES) for path in FILES.rglob("*.*") if path.is_file())
    return {str(path.with_suffix("")) for path in files}
