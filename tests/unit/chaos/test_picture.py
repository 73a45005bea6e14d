"""The picture is well-formed, and what is drawn is where it belongs."""

from xml.etree import ElementTree

from tests.chaos.faults import Kind
from tests.chaos.picture import Bar, Picture

SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture: Picture) -> ElementTree.Element:
    return ElementTree.fromstring(picture.svg())


def points(line: ElementTree.Element) -> list[tuple[float, float]]:
    return [
        (float(x), float(y)) for x, _, y in (each.partition(",") for each in line.get("points", "").split())
    ]


def test_lines_and_bars() -> None:
    bar = Bar(kind=Kind.PAUSE, start=2.0, end=4.0, text="SIGSTOP <1> & more")
    root = drawn(Picture(title="a & b", acknowledged=[10, 20, 0, 20], read=[5.0] * 4, bars=[bar]))
    read, acknowledged = root.iter(f"{SVG}polyline")
    heights = [y for _, y in points(acknowledged)]
    assert heights[2] == max(heights)
    assert heights[1] == heights[3] == min(heights)
    assert len({y for _, y in points(read)}) == 1
    (titled,) = [each for each in root.iter(f"{SVG}rect") if each.find(f"{SVG}title") is not None]
    assert titled.findtext(f"{SVG}title") == "SIGSTOP <1> & more"
    start, end = float(titled.get("x", "")), float(titled.get("x", "")) + float(titled.get("width", ""))
    xs = [x for x, _ in points(acknowledged)]
    assert xs[1] < start < xs[2] < xs[3] < end
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert texts[0] == "a & b"
    assert {kind.value for kind in Kind} <= set(texts)


def test_a_peak_stays_within_the_picture() -> None:
    root = drawn(Picture(title="", acknowledged=[10, 10, 5000, 10], read=[], bars=[]))
    _, acknowledged = root.iter(f"{SVG}polyline")
    assert min(y for _, y in points(acknowledged)) >= 0.0


def test_a_fault_that_is_over_at_once_is_seen() -> None:
    bar = Bar(kind=Kind.KILL, start=2.0, end=2.0, text="")
    root = drawn(Picture(title="", acknowledged=[1] * 1800, read=[], bars=[bar]))
    (titled,) = [each for each in root.iter(f"{SVG}rect") if each.find(f"{SVG}title") is not None]
    assert float(titled.get("width", "")) >= 2.0


def test_nothing_is_drawn_of_nothing() -> None:
    drawn(Picture(title="", acknowledged=[], read=[], bars=[]))
