"""What one return contains: people, courier, items. Follows from its salt alone.

These are the true values; `records` and `oddities` decide how a record spells them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from returns_orchestration.simulator import catalogue, shop
from returns_orchestration.simulator.oddities import ODDITIES
from returns_orchestration.simulator.shop import Sold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_orchestration.simulator.catalogue import Courier, Place
    from returns_orchestration.simulator.planning import PlannedReturn

T = TypeVar("T")

_ITEM_COUNTS = (1,) * 14 + (2,) * 4 + (3, 4)
_QUANTITIES = (1,) * 9 + (2,)
_RETURN_MODE = {"Exchange": "EXCHANGE"}


class Dice:
    """Fair choices taken from one large number, digit by digit in ever changing bases.

    Ten times cheaper than a separate random generator for each return, which matters when a window
    holds 12,000 of them.
    """

    __slots__ = ("_left",)

    def __init__(self, salt: int) -> None:
        """Take the number; with a thousand bits it lasts for more than any return needs."""
        self._left = salt

    def roll(self, sides: int) -> int:
        """A number from 0 up to but without `sides`."""
        self._left, face = divmod(self._left, sides)
        return face

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[self.roll(len(choices))]


@dataclass(slots=True)
class Item:
    """One item being returned; `quantity`, `reason` and `refund_mode` may be unknown."""

    number: int
    sku: str
    description: str
    quantity: int | None
    reason: str | None
    refund_mode: str | None
    return_mode: str
    sub_reason: str | None
    comment: str
    images: list[str]
    line_item: int


@dataclass(slots=True)
class Contents:
    """One return.

    `brief`: its records have the documented keys only, as in 2022. `items_hidden`: they do not
    show its items at all.
    """

    items: list[Item]
    refund_mode: str | None
    source: str | None
    courier: Courier
    person: str
    email: str
    phone: str
    street: str
    place: Place
    order_id: str
    forward_reference: str
    forward_awb: str
    self_shipped: bool
    brief: bool
    items_hidden: bool = False

    def shown_items(self, piece: int, pieces: int, *, own: bool) -> list[Item]:
        """The items that one piece's record lists; all of them where pieces share a list."""
        return self.items[piece::pieces] if own and pieces > 1 else self.items


def contents_of(planned: PlannedReturn) -> Contents:
    """The contents of a planned return, its oddity's effect on the true values included."""
    dice = Dice(planned.salt)
    first, last = dice.pick(catalogue.FIRST_NAMES), dice.pick(catalogue.LAST_NAMES)
    modes: Sequence[str | None] = catalogue.REFUND_MODES
    if planned.of_shop:
        modes = shop.refund_modes(troubled=planned.troubled)
    refund_mode = dice.pick(modes)
    count = max(dice.pick(_ITEM_COUNTS), planned.pieces)
    contents = Contents(
        items=[
            _item(dice, planned, planned.number * 8 + index, refund_mode, modes)
            for index in range(count)
        ],
        refund_mode=refund_mode,
        source=dice.pick(catalogue.SOURCES),
        courier=(
            shop.courier(dice, planned.salt) if planned.of_shop else dice.pick(catalogue.COURIERS)
        ),
        person=f"{first} {last}",
        email=f"{first.lower()}.{last.lower()}{dice.roll(100)}@customer.example.com",
        phone=f"+91-00000-{dice.roll(100_000):05d}",
        street=f"{1 + dice.roll(400)}, {dice.pick(catalogue.STREETS)}",
        place=dice.pick(catalogue.PLACES),
        order_id=f"{100_000_000 + dice.roll(9_000_000)}",
        forward_reference=f"{2_000_000 + dice.roll(900_000)}",
        forward_awb=f"8{dice.roll(10_000_000_000):010d}",
        self_shipped=dice.roll(25) == 0,
        brief=dice.roll(5) < 2,
    )
    if planned.oddity:
        ODDITIES[planned.oddity].truth(contents, planned.salt)
    return contents


def _item(
    dice: Dice,
    planned: PlannedReturn,
    number: int,
    refund_mode: str | None,
    modes: Sequence[str | None],
) -> Item:
    product = dice.pick(catalogue.PRODUCTS)
    if dice.roll(100) < 12:
        refund_mode = dice.pick(modes)
    photos = dice.pick((0, 0, 0, 1, 2))
    sku, quantity = f"{product.sku}{dice.roll(100_000):05d}", dice.pick(_QUANTITIES)
    sold = Sold(sku, product.description, dice.pick(catalogue.REASONS))
    if planned.of_shop:
        sold = shop.sold(dice, troubled=planned.troubled)
    return Item(
        number=number,
        sku=sold.sku,
        description=sold.description,
        quantity=quantity,
        reason=sold.reason,
        refund_mode=refund_mode,
        return_mode=_RETURN_MODE.get(refund_mode or "", "REFUND"),
        sub_reason=dice.pick(catalogue.SUB_REASONS),
        comment=dice.pick(catalogue.COMMENTS),
        images=[f"https://photos.example.com/returns/{number}-{n}.jpg" for n in range(photos)],
        line_item=13_000_000_000_000 + number,
    )
