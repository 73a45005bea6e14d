"""Throughput over time with the faults below it, as SVG: two polylines and some bars need no library."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from xml.sax.saxutils import escape

from tests.chaos.faults import Kind

_WIDTH = 1200
_LEFT, _RIGHT, _TOP = 190, 20, 46
_GRAPH_HEIGHT = 220
_LANE_HEIGHT = 20
_LANES_TOP = _TOP + _GRAPH_HEIGHT + 34
# The graph ends at a multiple of it.
_STEP = 20
_BAR_WIDTH_MIN = 2.0
_TICKS_X = (5, 10, 15, 30, 60, 120, 300, 600, 1200)
_TICKS_MAX = 16
_SENT, _READ = "#1a7f64", "#8a8f98"
_COLOURS = {
    Kind.KILL: "#c62828",
    Kind.KILL_TWO: "#c62828",
    Kind.KILL_ALL: "#c62828",
    Kind.PAUSE: "#e08600",
    Kind.RESTART: "#7a5195",
    Kind.ISOLATE: "#1565c0",
    Kind.CUT_PAIR: "#1565c0",
    Kind.CUT_ONE_WAY: "#1565c0",
    Kind.DELAY: "#00838f",
    Kind.DISK_FULL: "#5d4037",
    Kind.CLOCK: "#ad1457",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Seconds from the beginning of the load; `text` is shown when it is pointed at."""

    kind: Kind
    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is drawn: records in each second, and faults."""

    title: str
    acknowledged: Sequence[int]
    # Of a group, on average.
    read: Sequence[float]
    bars: Sequence[Bar]

    def svg(self) -> str:
        height = _LANES_TOP + _LANE_HEIGHT * len(Kind) + 10
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
                f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12">',
                f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
                _text(_LEFT, 18, self.title, size=14),
                *self._legend(),
                *self._axes(height),
                *self._lanes(),
                _line(self._points(self.read), _READ, 1.0),
                _line(self._points(self.acknowledged), _SENT, 1.4),
                "</svg>\n",
            ]
        )

    @property
    def _seconds(self) -> int:
        return max(1, len(self.acknowledged))

    @property
    def _highest(self) -> int:
        """The upper end of the graph. Catching up after a fault is cut off: it would flatten the rest."""
        counts = sorted(self.acknowledged)
        usual = counts[len(counts) // 2] if counts else 0
        return max(_STEP * ceil(1.4 * usual / _STEP), _STEP)

    def _x(self, second: float) -> float:
        return _LEFT + second * (_WIDTH - _LEFT - _RIGHT) / self._seconds

    def _y(self, count: float) -> float:
        return _TOP + _GRAPH_HEIGHT * (1 - min(count, self._highest) / self._highest)

    def _points(self, counts: Sequence[float]) -> str:
        return " ".join(f"{self._x(at + 0.5):.1f},{self._y(count):.1f}" for at, count in enumerate(counts))

    def _legend(self) -> Iterator[str]:
        for x, colour, text in (
            (_LEFT, _SENT, "records acknowledged in a second"),
            (_LEFT + 240, _READ, "records given to a group in a second, on average"),
        ):
            yield f'<rect x="{x}" y="30" width="16" height="4" fill="{colour}"/>'
            yield _text(x + 22, 36, text)

    def _axes(self, height: int) -> Iterator[str]:
        for part in (0.0, 0.5, 1.0):
            count = part * self._highest
            y = self._y(count)
            yield f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>'
            yield _text(_LEFT - 8, y + 4, f"{count:.0f}", anchor="end")
        step = next((each for each in _TICKS_X if self._seconds / each <= _TICKS_MAX), _TICKS_X[-1])
        for second in range(0, self._seconds + 1, step):
            x = self._x(second)
            yield f'<path d="M{x:.1f} {_TOP}V{height - 10}" stroke="#eeeeee"/>'
            label = f"{second // 60}:{second % 60:02}"
            yield _text(x, _TOP + _GRAPH_HEIGHT + 18, label, anchor="middle")

    def _lanes(self) -> Iterator[str]:
        lanes = {kind: _LANES_TOP + _LANE_HEIGHT * at for at, kind in enumerate(Kind)}
        for kind, y in lanes.items():
            yield _text(_LEFT - 8, y + 14, kind.value, anchor="end")
            yield f'<path d="M{_LEFT} {y + _LANE_HEIGHT}H{_WIDTH - _RIGHT}" stroke="#eeeeee"/>'
        for bar in self.bars:
            x = self._x(bar.start)
            width = max(self._x(bar.end) - x, _BAR_WIDTH_MIN)
            place = f'x="{x:.1f}" width="{width:.1f}"'
            colour = _COLOURS[bar.kind]
            # Faintly through the graph as well, so that the eye finds what a dip belongs to.
            yield f'<rect {place} y="{_TOP}" height="{_GRAPH_HEIGHT}" fill="{colour}" opacity="0.10"/>'
            yield (
                f'<rect {place} y="{lanes[bar.kind] + 3}" height="{_LANE_HEIGHT - 6}" fill="{colour}">'
                f"<title>{escape(bar.text)}</title></rect>"
            )


def _line(points: str, colour: str, width: float) -> str:
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#333333">'
        f"{escape(text)}</text>"
    )
