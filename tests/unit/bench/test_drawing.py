from xml.etree import ElementTree as ET

from bench.drawing.bars import bars, stacked
from bench.drawing.lines import lines
from bench.drawing.svg import WIDTH

NAMESPACE = "{http://www.w3.org/2000/svg}"


def found(picture: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(picture).iter(NAMESPACE + tag))  # noqa: S314  our own text


def words(picture: str) -> list[str]:
    return [element.text or "" for element in found(picture, "text")]


def test_a_bar_is_as_long_as_its_value_in_its_own_group() -> None:
    picture = bars("A & B", "/s", [{"ours": 1_000, "theirs": 250}, {"alone": 3}])
    ours, theirs, alone = (float(box.attrib["width"]) for box in found(picture, "rect"))

    assert ours == alone
    assert theirs == ours / 4
    assert words(picture) == ["A & B", "ours", "1,000/s", "theirs", "250/s", "alone", "3/s"]


def test_stacked_parts_lie_end_to_end_and_their_sum_is_told() -> None:
    picture = stacked("CPU", " ms", {"one": {"a": 1, "b": 3}, "two": {"b": 2}})
    legend, (a, b, other) = found(picture, "rect")[:2], found(picture, "rect")[2:]

    assert float(a.attrib["x"]) + float(a.attrib["width"]) == float(b.attrib["x"])
    assert b.attrib["class"] == other.attrib["class"] == legend[1].attrib["class"]
    assert {"4.00 ms", "2.00 ms"} <= set(words(picture))


def test_a_decade_is_as_high_everywhere() -> None:
    picture = lines("Latency", " ms", ["50/s", "200/s", "800/s"], {"p50": [1, 10, 100]})
    heights = [float(mark.attrib["cy"]) for mark in found(picture, "circle")]

    assert heights[0] - heights[1] == heights[1] - heights[2] > 0
    assert all(0 <= float(mark.attrib["cx"]) <= WIDTH for mark in found(picture, "circle"))


def test_what_was_not_measured_leaves_a_gap_not_an_error() -> None:
    picture = lines("Latency", " ms", ["50/s", "200/s"], {"p50": [float("nan"), 5]})

    assert len(found(picture, "circle")) == 1
    assert bars("none", "", [{}])
    assert lines("none", "", [], {})


def test_a_dark_page_has_colours_of_its_own() -> None:
    assert "prefers-color-scheme: dark" in bars("A", "", [])
