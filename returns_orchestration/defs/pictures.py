"""Small pictures in Dagster's UI, drawn here: a library that draws takes longer than an hour's run.

The page for people has larger charts, see ``report/charts.py``.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from returns_orchestration.words import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

BAR: Final = 320
"""Length of the longest bar, in pixels."""

LINE: Final = 20
LETTER: Final = 6.2
"""Mean width of a letter of 11 pixels."""

LONGEST_LABEL: Final = 32


def bars(rows: Sequence[tuple[str, int]], title: str) -> str:
    """An SVG with a horizontal bar for each name and number, which stands beside it."""
    names = [_shortened(printable(name)) for name, _ in rows]
    most = max((number for _, number in rows), default=0)
    left = round(LETTER * max(map(len, names), default=0)) + 10
    width = max(left + BAR + 60, round(1.2 * LETTER * len(title)))
    height = LINE * (len(rows) + 1) + 8
    size = f'width="{width}" height="{height}" font-family="sans-serif" font-size="11"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="4" y="14" font-size="12" font-weight="bold">{escape(title)}</text>',
    ]
    for place, (name, (_, number)) in enumerate(zip(names, rows, strict=True), 1):
        top, length = LINE * place + 4, round(BAR * number / most) if most else 0
        lines += [
            f'<text x="{left - 6}" y="{top + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{left}" y="{top + 1}" width="{length}" height="18" fill="#4f6bed"/>',
            f'<text x="{left + length + 4}" y="{top + 13}">{number}</text>',
        ]
    return "".join([*lines, "</svg>"])


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"
