"""Small pictures: well-formed, to scale, whatever the names are."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from returns_orchestration.defs.pictures import BAR, LONGEST_LABEL, bars

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawn: str) -> list[str | None]:
    return [text.text for text in ET.fromstring(drawn).iter(f"{SVG}text")]  # noqa: S314 - ours


def lengths(drawn: str) -> list[int]:
    _, *found = ET.fromstring(drawn).iter(f"{SVG}rect")  # noqa: S314
    return [int(bar.get("width", "")) for bar in found]


def test_the_longest_bar_is_that_of_the_greatest_number() -> None:
    drawn = bars([("Size too small", 80), ("Other", 20), ("None", 0)], "Returns")
    assert texts(drawn) == ["Returns", "Size too small", "80", "Other", "20", "None", "0"]
    assert lengths(drawn) == [BAR, BAR // 4, 0]


@pytest.mark.parametrize("name", ["<script>", 'a "b" & c', "a\x00b", "\ud800", "\n", "क" * 50, ""])
def test_any_name_makes_a_picture(name: str) -> None:
    _, label, number = texts(bars([(name, 1)], "Returns"))
    assert len(label or "") <= LONGEST_LABEL
    assert number == "1"


def test_without_returns_it_has_no_length() -> None:
    assert lengths(bars([("a", 0)], "Returns")) == [0]
    assert texts(bars([], "Returns")) == ["Returns"]
