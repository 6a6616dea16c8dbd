"""CSV of a figure as a link that holds it, for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FORMULA: Final = re.compile(r"[=+\-@\t\r]")
"""How a cell begins that a spreadsheet would run."""

BYTE_ORDER_MARK: Final = "\ufeff"
"""Without it Excel reads UTF-8 as something else."""


def plain_cell(value: object) -> object:
    """A cell that a spreadsheet takes as text, where the text looks like a formula."""
    if isinstance(value, str) and FORMULA.match(value):
        return f"'{value}"
    return "" if value is None else value


def csv_text(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The CSV of some rows, with a byte order mark."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(map(plain_cell, titles))
    writer.writerows([plain_cell(cell) for cell in row] for row in rows)
    return BYTE_ORDER_MARK + out.getvalue()


def csv_address(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A ``data:`` address of that CSV."""
    return "data:text/csv;charset=utf-8," + quote(csv_text(titles, rows))
