"""The page as text: what it shows, how it is escaped, and what it never holds."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

from report.conftest import (
    FIRST,
    NOON,
    OPTIONS,
    counted,
    delivered,
    figures,
    hours,
    item,
    opened,
    period,
    returned,
)

from returns_orchestration.report import page, summary
from returns_orchestration.report.figures import Figures

LAST = FIRST + timedelta(days=27)
HOSTILE = "<script>alert(1)</script> & \"quoted\" 'so'"
VOID = {"meta", "br", "line", "path", "rect", "img"}


class Page(HTMLParser):
    """Checks that tags are balanced; keeps the texts, and the attributes of each tag."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(text for text in self.texts if text)


def full(name: str = "Courier", **changes: Any) -> Figures:
    """Figures with something in each part; ``name`` is every name in it."""
    days = [FIRST + timedelta(days=n) for n in range(28)]
    awb = {"cp_name": name, "awb": "7", "awb_at": NOON, "state": "placed"}
    returns = [row for day in days for row in returned(40, day=day, **awb, last_polled_at=NOON)]
    items = [row for day in days for row in item(50, f"AA-{name}", name, day=day, description=name)]
    rows = {
        "modes": [row for day in days for row in counted("refund_mode", day, **{name: 40})],
        "reasons": [row for day in days for row in counted("return_reason", day, **{name: 50})],
        "delivery": [
            row
            for day in days
            for row in delivered(day, 38, 2, returns=40, undecided=0, rate=0.95, lag_p50_s=3)
        ],
    }
    stuck = {
        "return_reference_number": "RE7",
        "stuck": "no pickup",
        "age_h": 100,
        "cp_name": name,
        "since": NOON,
        "last_looked_at": NOON,
    }
    now = period(FIRST, LAST, returns=returns, items=items, **rows)
    return figures(now, open_returns=opened(stuck), **changes)


def test_the_page_is_well_formed_and_has_each_part() -> None:
    found = Page(page.page(full()))
    headings = [tag["id"] for name, tag in found.tags if name == "h2"]
    assert headings == [
        "completeness", "webhooks", "days", "reasons", "styles", "modes", "open", "couriers",
        "funnel", "weekdays",
    ]  # fmt: skip
    assert "Returns, 9 Nov to 6 Dec 2026" in found.text
    assert "The data end at 2026-11-24 08:30 (2026-11-24 03:00 UTC)" in found.text
    assert "1,120" in found.text
    links = [tag for name, tag in found.tags if name == "a" and "download" in tag]
    assert [tag["download"] for tag in links] == [f"{name}.csv" for name in headings]


def test_the_same_figures_give_the_same_bytes() -> None:
    assert page.page(full()) == page.page(full())


def test_the_page_of_an_account_is_named_after_it() -> None:
    plain = page.page(full())
    assert "<h1>Returns, " in plain
    of_account = replace(full(), options=replace(OPTIONS, account="brand_a"))
    assert page.page(of_account) == plain.replace("Returns, ", "brand_a: Returns, ")


def test_every_name_is_escaped() -> None:
    content = page.page(full(HOSTILE))
    assert "<script" not in content.lower()
    found = Page(content)
    assert not [name for name, _ in found.tags if name == "script"]
    assert not [key for _, tag in found.tags for key in tag if key.startswith("on")]


def test_nothing_is_asked_for_from_anywhere() -> None:
    found = Page(page.page(full()))
    addresses = [
        value
        for _, tag in found.tags
        for key, value in tag.items()
        if key in {"src", "href", "xlink:href", "action"} and value
    ]
    assert all(address.startswith(("#", "data:text/csv")) for address in addresses)
    style = page.page(full())
    assert not re.search(r"url\((?!#)|@import", style)
    assert not [name for name, _ in found.tags if name in {"script", "link", "iframe", "img"}]


def test_numbers_and_addresses_in_names_are_not_shown() -> None:
    content = page.page(full("ring +91 98765 43210 or asha@example.com"))
    assert "98765" not in content
    assert "asha" not in content


def test_days_that_are_not_complete_are_hatched_and_named() -> None:
    days = [FIRST + timedelta(days=n) for n in range(28)]
    lacking = hours(days[3], ((7, "missing"),), complete=23, missing=1)
    of_days = [hours(day) if day != days[3] else lacking for day in days]
    content = page.page(full(hours=of_days))
    found = Page(content)
    assert "1 hour is not complete: 12 Nov 12:30 missing." in found.text
    assert "2026-11-12T07:00 missing" in found.text  # as partitions are named, in the figures
    assert "Hatched days are not complete: 12 Nov." in found.text
    assert content.count('fill="url(#hatched)"') == 2  # the wide chart and the narrow one
    assert sum(tag.get("class") == "lacking" for _, tag in found.tags) == 1
    assert Page(page.page(full())).text.count("All 672 hours are complete.") == 1


def test_charts_are_images_with_a_name_and_have_their_figures_beside_them() -> None:
    found = Page(page.page(full()))
    charts = [tag for name, tag in found.tags if name == "svg" and tag.get("role") == "img"]
    assert len(charts) == 6
    assert all(tag["aria-label"] for tag in charts)
    assert sum(name == "summary" for name, _ in found.tags) == 4


def test_waived_hours_are_no_complete_ones() -> None:
    days = [FIRST + timedelta(days=n) for n in range(28)]
    of_days = [hours(day) for day in days[1:]] + [hours(days[0], complete=22, waived=2)]
    found = Page(page.page(full(hours=sorted(of_days, key=lambda one: one.day))))
    assert "670 of 672 hours are complete." in found.text
    assert "2 hours were waived" in found.text


def test_a_report_of_earlier_days_has_no_open_returns() -> None:
    found = Page(page.page(figures(period(FIRST, LAST), open_returns=None)))
    assert "A report of earlier days does not have them." in found.text


def test_there_are_eight_figures() -> None:
    now, before = full(), full()
    found = summary.lines(figures(now.now, before.now, open_returns=now.open_returns))
    assert [(one.name, one.value, one.more) for one in found] == [
        ("Hours complete", "100%", "672 of 672"),
        ("Webhooks delivered", "95.0%", "no change"),
        ("Returns", "1,120", "no change"),
        ("Items", "1,400", "no change"),
        ("Kept as credit or exchange", "0%", "no change"),
        ("From request to AWB", "0 s", "half take less, before 0 s; 100% have one"),
        ("Open returns", "1", "of all days"),
        ("Stuck", "1", "100% of the open ones"),
    ]


def test_a_lake_without_returns_has_a_page() -> None:
    found = Page(page.page(figures()))
    assert "Nothing stands out." in found.text
    assert "No return is open." in found.text
    assert "No webhooks came in this time." in found.text
    Page(page.nothing())


def test_the_digest_is_a_few_lines_without_markup() -> None:
    lines = summary.digest(full(HOSTILE), "/srv/report.html")
    assert lines[0] == "Hours complete: 100% (672 of 672). Webhooks delivered: 95.0%."
    assert not [line for line in lines if "<" in line]
    assert "The report: /srv/report.html" in lines
    assert len(lines) <= 9
    assert summary.numbers(full()) == {
        "returns": 1_120, "items": 1_400, "quantity": 1_400, "open": 1, "stuck": 1,
        "hours not complete": 0, "webhooks delivered": 1_064, "webhooks lost": 56,
    }  # fmt: skip


def test_the_limit_of_late_pickups_is_that_of_the_setting() -> None:
    options = OPTIONS.__class__(28, None, (), (48, 100, 168), OPTIONS.start)
    content = page.page(full(options=options))
    assert "over 4.2 d" in content
    assert "without a pickup 4.2 d after the AWB" in content


def test_a_reason_that_stands_out_has_a_column_however_rare_it_is() -> None:
    days = period(FIRST, LAST).days
    items = [row for n in range(9) for row in item(100 - n, "AA-S", f"R{n}", day=days[0])]
    before = period(items=[*items, *item(100, "BB-S", "R1")])
    now = period(items=[*items, *item(60, "BB-S", "R1"), *item(40, "BB-S", "Burnt")])
    titles = [text for text in Page(page.page(figures(now, before))).texts if text == "Burnt"]
    assert titles
