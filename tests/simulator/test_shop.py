"""The shop behind the returns: what sells, why it comes back, and its troubles."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from returns_orchestration.simulator import Dataset, SimulatorOptions, shop
from returns_orchestration.simulator.contents import Contents, contents_of
from returns_orchestration.simulator.lifecycle import PICKED_UP, journey
from returns_orchestration.simulator.moments import HOUR, to_micros
from returns_orchestration.simulator.planning import PlannedReturn

FIRST = datetime(2026, 11, 2, tzinfo=UTC)
TROUBLES = FIRST + timedelta(days=10)
DAYS = 20
CALM = SimulatorOptions(shop=True, returns_per_hour=20, oddities=0)
TROUBLED = SimulatorOptions(shop=True, returns_per_hour=20, oddities=0, troubles_from=TROUBLES)

Made = list[tuple[PlannedReturn, Contents]]


def made(options: SimulatorOptions, *, after: bool | None = None) -> Made:
    """All returns, or those before or ``after`` the begin of the troubles."""
    dataset, first = Dataset(options), to_micros(FIRST)
    planned = [
        one
        for hour in range(first, first + DAYS * 24 * HOUR, HOUR)
        for one in dataset.planned(hour)
        if after is None or (one.requested >= to_micros(TROUBLES)) is after
    ]
    return [(one, contents_of(one)) for one in planned]


@pytest.fixture(scope="module")
def calm() -> Made:
    return made(CALM)


def skus(of: Made) -> list[tuple[int, str, str, str]]:
    """Style, size, description and reason of each item."""
    return [
        (int(item.sku[2:6]), item.sku[7:], item.description, item.reason or "")
        for _, contents in of
        for item in contents.items
    ]


def test_styles_come_back_by_the_law_of_zipf(calm: Made) -> None:
    counted = Counter(style for style, *_ in skus(calm))
    assert set(counted) <= set(range(1, shop.STYLES + 1))
    assert len(counted) > 250
    for style in (2, 3, 5, 10):
        assert counted[1] / counted[style] == pytest.approx(style, rel=0.25)


def test_a_style_is_one_thing_in_sizes_of_its_kind(calm: Made) -> None:
    kinds = {kind.name: set(kind.sizes) for kind in shop.KINDS}
    described: dict[int, set[str]] = {}
    for style, size, description, _ in skus(calm):
        described.setdefault(style, set()).add(description)
        assert size in kinds[description.partition(",")[0]]
    assert all(len(names) == 1 for names in described.values())


def test_reasons_go_with_the_thing(calm: Made) -> None:
    reasons = {name: Counter[str]() for name in ("Cotton kurta", "Wireless earphones")}
    for _, _, description, reason in skus(calm):
        kind = description.partition(",")[0]
        if kind in reasons:
            reasons[kind][reason] += 1
    assert not [reason for reason in reasons["Wireless earphones"] if "Size" in reason]
    fits = sum(n for reason, n in reasons["Cotton kurta"].items() if "Size" in reason)
    assert fits / reasons["Cotton kurta"].total() == pytest.approx(0.56, abs=0.06)


def test_a_shop_changes_what_is_in_the_returns_and_not_which_there_are(calm: Made) -> None:
    others = made(SimulatorOptions(returns_per_hour=20, oddities=0))
    assert [(p.reference, p.requested, p.awb) for p, _ in others] == [
        (p.reference, p.requested, p.awb) for p, _ in calm
    ]
    assert not {item.sku[:6] for _, c in others for item in c.items} & {"ST0001", "ST0002"}


def test_nothing_goes_wrong_before_the_troubles(calm: Made) -> None:
    before = [(p._replace(troubled=False), c) for p, c in made(TROUBLED, after=False)]
    assert before == [(p, c) for p, c in calm if p.requested < to_micros(TROUBLES)]


def test_the_bad_batch_comes_back_for_one_reason() -> None:
    shares = {}
    for after in (False, True):
        of_style = [reason for style, _, _, reason in skus(made(TROUBLED, after=after))
                    if style == shop.BAD_STYLE]  # fmt: skip
        shares[after] = of_style.count(shop.BAD_REASON) / len(of_style)
    assert shares[False] < 0.12
    assert shares[True] > 0.35


def test_a_mode_is_no_longer_chosen() -> None:
    def modes(of: Made) -> Counter[str | None]:
        return Counter(item.refund_mode for _, c in of for item in c.items) + Counter(
            c.refund_mode for _, c in of
        )

    assert modes(made(TROUBLED, after=False))[shop.SWITCHED_OFF] > 100
    assert modes(made(TROUBLED, after=True))[shop.SWITCHED_OFF] == 0


@pytest.mark.parametrize("after", [False, True])
def test_one_courier_picks_up_late(after: bool) -> None:
    waits: dict[bool, list[float]] = {True: [], False: []}
    for planned, contents in made(TROUBLED, after=after):
        steps = {step: at for at, step in journey(planned, progress=True)}
        if planned.awb is not None and PICKED_UP in steps:
            is_slow = contents.courier == shop.SLOW
            waits[is_slow].append((steps[PICKED_UP] - planned.awb) / HOUR)
    assert len(waits[True]) / sum(map(len, waits.values())) == pytest.approx(0.18, abs=0.03)
    assert max(waits[False]) <= 50
    assert min(waits[True]) >= (68 if after else 8)
    assert after or max(waits[True]) <= 50


def test_the_same_seed_gives_the_same_shop(calm: Made) -> None:
    assert made(CALM) == calm
