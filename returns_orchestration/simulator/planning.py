"""Which returns an hour has: a pure function of the options and the hour.

Only the facts that decide *whether and when* a return is served are planned here; its contents
follow from its `salt` (see `contents`). Every return takes the same number of draws whatever the
shares are, so that changing one option leaves the rest of the dataset as it was.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from returns_orchestration.simulator import shop
from returns_orchestration.simulator.moments import (
    HOUR,
    MILLISECOND,
    SECOND,
    Micros,
    from_micros,
    to_micros,
    whole_second,
)
from returns_orchestration.simulator.oddities import ODDITIES, ODDITY_NAMES
from returns_orchestration.simulator.rhythm import lively_count, steady_count

if TYPE_CHECKING:
    from returns_orchestration.simulator.options import SimulatorOptions

PIECE_GAP: Micros = 137 * MILLISECOND  # between the AWBs of two pieces of one return
_MICROSECOND = timedelta(microseconds=1)
_STRIDE, _PREFIXES = 7_919, 900_000  # a prime and the prefixes 100000 to 999999: no repeats
_SALT_BITS = 1_024

# Around a boundary: distance of the request from it, and of its AWB from the request. The first
# two have their `timestamp` at or beyond the boundary that their request is before.
_EDGES_AFTER: tuple[tuple[Micros, Micros | None], ...] = (
    (0, 1_300 * MILLISECOND),
    (1, None),
    (SECOND, 2 * SECOND),
)
_EDGES_BEFORE: tuple[tuple[Micros, Micros | None], ...] = (
    (-SECOND, SECOND),
    (-1, 1_440 * MILLISECOND),
)


class PlannedReturn(NamedTuple):
    """The time and identity of one return request. All times are microseconds."""

    reference: str
    number: int  # first piece's tracking id; further pieces count on from it
    requested: Micros
    visible: Micros  # from here on the API shows it
    awb: Micros | None  # the first piece's AWB; None: never
    slow: bool  # the AWB came as a step of its own, not within the request
    pieces: int
    own_items: bool  # each piece lists its own items; False: each lists all
    oddity: str  # "" for none
    unusable: str  # "", "no-reference" or "unreadable-time"
    salt: int
    of_shop: bool = False  # its items, courier and mode are those of `shop`
    troubled: bool = False  # it was requested when that shop has its troubles
    waits: Micros = 0  # how much later than usual it is picked up

    def assigned(self, at: Micros) -> bool:
        """Whether every piece has its AWB at that moment."""
        return self.awb is not None and at >= self.awb + (self.pieces - 1) * PIECE_GAP


def plan_hour(options: SimulatorOptions, hour: Micros) -> tuple[PlannedReturn, ...]:
    """All returns requested in [hour, hour + 60 min), by request time, at any clock time."""
    key = f"{options.seed}:{from_micros(hour).isoformat()}"
    rng = Random(key)
    # Drawn from a separate generator: a Poisson draw takes a varying number of values.
    if options.rhythm:
        count = lively_count(hour, options.returns_per_hour, Random(f"{key}:count"))
    else:
        count = steady_count(hour, options.returns_per_hour)
    first_prefix = rng.randrange(_PREFIXES)
    returns = [_plan(options, rng, hour, index, first_prefix) for index in range(count)]
    if options.edges:
        edge_rng = Random(f"{key}:edges")
        places = [(hour + gap, awb) for gap, awb in _EDGES_AFTER]
        places += [(hour + HOUR + gap, awb) for gap, awb in _EDGES_BEFORE]
        for index, (requested, awb) in enumerate(places, start=count):
            drawn = _plan(options, edge_rng, hour, index, first_prefix)
            returns.append(_moved(drawn, requested, awb))
    returns.sort(key=lambda planned: planned.requested)
    return tuple(returns)


def _plan(
    options: SimulatorOptions, rng: Random, hour: Micros, index: int, first_prefix: int
) -> PlannedReturn:
    requested = hour + rng.randrange(HOUR)
    awb_chance, awb_place = rng.random(), rng.random()
    late_chance, late_place = rng.random(), rng.random()
    mps_chance, mps_kind = rng.random(), rng.randrange(4)
    odd_chance, odd_place = rng.random(), rng.random()
    salt = rng.getrandbits(_SALT_BITS)

    pieces = 1
    never = awb_chance < options.awb_never_share
    if not never and mps_chance < options.mps_share:
        pieces = 2 + mps_kind // 2
    oddity = unusable = ""
    # The contents of an odd return of several pieces would be ambiguous.
    if pieces == 1 and odd_chance < options.oddities:
        names = options.only_oddities or ODDITY_NAMES
        oddity = names[int(odd_place * len(names))]
    elif pieces == 1 and odd_chance < options.oddities + options.unusable:
        unusable = "no-reference" if odd_place < 0.5 else "unreadable-time"

    whole = bool(oddity) and ODDITIES[oddity].whole_seconds
    if whole:  # a spelling without a fraction must not lose what the truth still has
        requested = whole_second(requested)
    slow = not never and awb_chance < options.awb_never_share + options.awb_slow_share
    if slow:
        wait = _between(options.awb_slow_by, awb_place)
    else:
        wait = SECOND + int(awb_place * 2 * SECOND)
    awb: Micros | None = None if never else requested + wait
    if awb is not None and whole:
        awb = whole_second(awb)
    troubled = options.troubles_from is not None and requested >= to_micros(options.troubles_from)
    visible = requested
    if late_chance < options.late_share:
        visible += _between(options.late_by, late_place)
    return PlannedReturn(
        reference=_reference(requested, (first_prefix + index * _STRIDE) % _PREFIXES, salt),
        number=hour // HOUR * 1_000_000 + index * 4,
        requested=requested,
        visible=visible,
        awb=awb,
        slow=slow,
        pieces=pieces,
        own_items=bool(mps_kind % 2),
        oddity=oddity,
        unusable=unusable,
        salt=salt,
        of_shop=options.shop,
        troubled=troubled,
        waits=shop.late_pickup(salt) if troubled and shop.is_of_slow_courier(salt) else 0,
    )


def _moved(drawn: PlannedReturn, requested: Micros, awb: Micros | None) -> PlannedReturn:
    """The drawn return at an exact time: one piece, without an oddity that changes its times."""
    prefix = int(drawn.reference[-16:-10])
    return drawn._replace(
        reference=_reference(requested, prefix - 100_000, drawn.salt),
        requested=requested,
        visible=requested + drawn.visible - drawn.requested,
        awb=None if awb is None else requested + awb,
        slow=False,
        pieces=1,
        oddity="",
        unusable="",
    )


def _reference(requested: Micros, prefix: int, salt: int) -> str:
    """Digits or RE and digits; the last ten are the Unix second of the request."""
    lead = f"RE{salt % 9 + 1}" if salt % 5 < 2 else ""
    return f"{lead}{100_000 + prefix}{requested // SECOND:010d}"


def _between(bounds: tuple[timedelta, timedelta], place: float) -> Micros:
    low, high = bounds[0] // _MICROSECOND, bounds[1] // _MICROSECOND
    return low + int(place * (high - low))
