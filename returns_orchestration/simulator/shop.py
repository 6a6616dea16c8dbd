"""A shop behind the returns: what it sells, why that comes back, and the troubles it may have.

There are 300 styles. The n-th is returned about 1/n times as often as the first (Zipf), in sizes,
and for reasons that go with it. From ``troubles_from`` on three things go wrong that a report must
show: a bad batch of one style, a courier that picks up late, a refund mode that is switched off.

A pure function of dice and facts of the plan, like everything of `contents`.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from returns_orchestration.simulator import catalogue
from returns_orchestration.simulator.moments import HOUR, Micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_orchestration.simulator.catalogue import Courier
    from returns_orchestration.simulator.contents import Dice

STYLES: Final = 300
_SHARE: Final = 1_000_000
_WEIGHTS: Final = tuple(accumulate(_SHARE // n for n in range(1, STYLES + 1)))


class Kind(NamedTuple):
    """A kind of thing: its name, its sizes, and the reasons for which it comes back."""

    name: str
    sizes: tuple[str, ...]
    reasons: tuple[str, ...]


_FIT = (
    *("Size too small",) * 34, *("Size too large",) * 22, *("Product is not as expected ",) * 16,
    *("Quality not good",) * 10, *("Changed my mind",) * 9, *("Other Reason",) * 4,
    *("Wrong item delivered ",) * 3, *("Defective or damaged",) * 2,
)  # fmt: skip
_THINGS = (
    *("Product is not as expected ",) * 36, *("Changed my mind",) * 22,
    *("Quality not good",) * 18, *("Other Reason",) * 10, *("Wrong item delivered ",) * 8,
    *("Defective or damaged",) * 6,
)  # fmt: skip
_CLOTHES = ("XS", "S", "M", "L", "XL", "XXL")
_SHOES = ("6", "7", "8", "9", "10", "11")
KINDS: Final = (
    Kind("Cotton kurta", _CLOTHES, _FIT),
    Kind("Linen shirt", _CLOTHES, _FIT),
    Kind("Denim jacket", _CLOTHES, _FIT),
    Kind("Running shoes", _SHOES, _FIT),
    Kind("Silk dupatta", ("ONE",), _THINGS),
    Kind("Leather sandals", _SHOES, _FIT),
    Kind("Wireless earphones", ("ONE",), _THINGS),
    Kind("Palazzo trousers", _CLOTHES, _FIT),
    Kind("Steel bottle", ("ONE",), _THINGS),
    Kind("Anarkali dress", _CLOTHES, _FIT),
)
COLOURS: Final = ("indigo", "ecru", "marigold", "slate", "tan", "rose", "olive")

BAD_STYLE: Final = 4
BAD_REASON: Final = "Defective or damaged"
_BAD_SHARE: Final = 5
"""Per cent of all items that are of the bad batch, beside the usual returns of that style."""

SWITCHED_OFF: Final = "UPI"
"""The refund mode that customers are no longer offered."""

SLOW: Final = next(c for c in catalogue.COURIERS if c.name == "XpressBees Reverse")
_OTHERS: Final = tuple(courier for courier in catalogue.COURIERS if courier != SLOW)
_SLOW_SHARE: Final = 18
"""Per cent of the returns that go to that courier, before it is slow and after."""

LATE_PICKUP: Final[tuple[Micros, Micros]] = (60 * HOUR, 110 * HOUR)
"""How much later than usual it picks up."""


class Sold(NamedTuple):
    """A thing that was sold and comes back."""

    sku: str
    description: str
    reason: str


def is_of_slow_courier(salt: int) -> bool:
    """Whether a return goes to the courier that may be slow."""
    return salt // 7 % 100 < _SLOW_SHARE


def late_pickup(salt: int) -> Micros:
    """How much later a return is picked up where its courier is slow."""
    low, high = LATE_PICKUP
    return low + salt % 997 * (high - low) // 997


def courier(dice: Dice, salt: int) -> Courier:
    """The courier of a return."""
    return SLOW if is_of_slow_courier(salt) else dice.pick(_OTHERS)


def refund_modes(*, troubled: bool) -> Sequence[str | None]:
    """The modes that customers choose from, each as often as it is chosen."""
    if troubled:
        return tuple(mode for mode in catalogue.REFUND_MODES if mode != SWITCHED_OFF)
    return catalogue.REFUND_MODES


def sold(dice: Dice, *, troubled: bool) -> Sold:
    """What comes back, and why."""
    place = dice.roll(_WEIGHTS[-1])
    is_bad = dice.roll(100) < _BAD_SHARE and troubled
    style = BAD_STYLE if is_bad else _style_at(place)
    kind = KINDS[style % len(KINDS)]
    size, reason = dice.pick(kind.sizes), dice.pick(kind.reasons)
    colour = COLOURS[style * 5 % len(COLOURS)]
    return Sold(
        f"{sku_of_style(style)}-{size}",
        f"{kind.name}, {colour}, no. {style}",
        BAD_REASON if is_bad else reason,
    )


def sku_of_style(style: int) -> str:
    """The beginning of the SKUs of a style."""
    return f"ST{style:04d}"


def _style_at(place: int) -> int:
    """The style, from 1, whose share holds a place."""
    return bisect_right(_WEIGHTS, place) + 1
