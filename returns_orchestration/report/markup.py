"""The pieces of the page in HTML: the document, parts with a heading, tables, cells."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from returns_orchestration.report.downloads import csv_address
from returns_orchestration.report.numbers import NONE, grouped
from returns_orchestration.words import plain_id, redacted_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STYLE: Final = (files(__package__) / "style.css").read_text()
_TEXT: Final = ' class="text"'
DARKEST: Final = 0.4
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may do for the page: show it."""

_HATCHED: Final = (
    '<svg class="defs" aria-hidden="true"><defs><pattern id="hatched" width="6" height="6" '
    'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" '
    'fill="var(--paper)"/><rect width="3" height="6" fill="var(--series-1)"/></pattern></defs>'
    "</svg>"
)


def document(title: str, body: str) -> str:
    """The whole file."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{_HATCHED}\n<main>\n"
        f"{body}\n</main>\n</body>\n</html>\n"
    )


def section(  # noqa: PLR0913 - the parts of a section
    name: str,
    title: str,
    body: str,
    titles: Sequence[str] = (),
    rows: Sequence[Sequence[object]] = (),
    *,
    in_details: bool = False,
) -> str:
    """A part of the page; ``rows`` are its figures as CSV, and ``in_details`` as a table, too."""
    below = ""
    if rows:
        href = csv_address(titles, rows)
        link = f'<a download="{name}.csv" href="{href}">{escape(title)} as CSV</a>'
        shown = ""
        if in_details:
            lines = [
                "<tr>" + "".join(f"<td>{escape(cell_text(cell))}</td>" for cell in row) + "</tr>"
                for row in rows
            ]
            shown = table("", titles, lines)
        below = (
            f'<details class="figures"><summary>Figures</summary>{shown}<p>{link}</p></details>'
            if in_details
            else f'<p class="note">{link}</p>'
        )
    return (
        f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2>{body}{below}'
        "</section>"
    )


def table(
    caption: str,
    titles: Sequence[str],
    lines: Iterable[str],
    *,
    kind: str = "",
    texts: Sequence[int] = (0,),
) -> str:
    """A table in a part of its own that scrolls where the screen is narrow.

    ``texts`` are the places of the columns that hold texts, and no numbers.
    """
    heads = "".join(
        f'<th scope="col"{_TEXT if place in texts else ""}>{escape(title)}</th>'
        if title
        else "<td></td>"
        for place, title in enumerate(titles)
    )
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    label = escape(caption or "Figures")
    return (
        f'<div class="scroll" role="group" aria-label="{label}" tabindex="0">'
        f'<table class="{kind}">{said}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def shaded(number: int, most: int, *, flag: bool = False) -> str:
    """A cell whose shade is its share of the largest one; with ``flag`` it has a frame."""
    return shaded_text(grouped(number), number / most, flag=flag) if number else "<td></td>"


def shaded_text(markup: str, part: float, *, flag: bool = False) -> str:
    """A cell with a shade, up to the darkest on which text can be read."""
    kind = ' class="flag"' if flag else ""
    return f'<td{kind} style="background:rgba(var(--shade), {DARKEST * part:.2f})">{markup}</td>'


def cell_text(cell: object) -> str:
    """A figure or a text; a dash for None."""
    return grouped(cell) if isinstance(cell, int) else NONE if cell is None else str(cell)


def name_text(text: str | None) -> str:
    """A name of the merchant's, the courier's or a customer's, for HTML."""
    return escape(redacted_name(text)) if text else NONE


def id_text(text: str) -> str:
    """A reference, a SKU or a style, for HTML."""
    return escape(plain_id(text))
