from __future__ import annotations

import csv
import io
from urllib.parse import unquote

import pytest

from returns_orchestration.report.downloads import csv_address, csv_text, plain_cell


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_that_looks_like_a_formula_stays_text(formula: str) -> None:
    assert plain_cell(formula) == f"'{formula}"


def test_numbers_and_other_texts_are_as_they_are() -> None:
    assert [plain_cell(cell) for cell in (-1, 2.5, "a=b", "", None)] == [-1, 2.5, "a=b", "", ""]


def test_a_link_holds_the_whole_csv() -> None:
    rows = [['Größe, "S"', 1], ["=1", -2]]
    address = csv_address(("why", "items"), rows)
    kind, _, content = address.partition(",")
    assert kind == "data:text/csv;charset=utf-8"
    text = unquote(content)
    assert text == csv_text(("why", "items"), rows)
    assert text.startswith("\ufeff")  # or Excel would not read it as UTF-8
    read = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert read == [["why", "items"], ['Größe, "S"', "1"], ["'=1", "-2"]]
