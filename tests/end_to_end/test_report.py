"""The report of a shop with four planted faults: what it finds, in a browser, by command, daily."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from support.shop import INDIA, Shop

from returns_orchestration.alerts.digest import handed_over
from returns_orchestration.defs.code_location import build_defs
from returns_orchestration.lake import Lake
from returns_orchestration.lake.store import FolderStore
from returns_orchestration.report import page, standouts
from returns_orchestration.report.figures import Figures, Options, gather
from returns_orchestration.settings import Settings
from returns_orchestration.simulator import SimulatorOptions, WebhookOptions
from returns_orchestration.simulator.contents import contents_of
from returns_orchestration.window import Window

BEGIN = datetime(2026, 11, 1, 18, tzinfo=UTC)
TROUBLES = datetime(2026, 11, 8, 18, 30, tzinfo=UTC)
NOW = datetime(2026, 11, 15, 21, 20, tzinfo=UTC)
"""03:00 of a Monday in India."""

LACKING = Window(datetime(2026, 11, 12, 7, tzinfo=UTC))
OPTIONS = Options(14, "^(ST[0-9]+)-", ("Credits", "Exchange"), (48, 72, 168), BEGIN)
PHONE = 390


@pytest.fixture(scope="module")
def shop() -> Shop:
    options = SimulatorOptions(
        returns_per_hour=5, oddities=0, mps_share=0, shop=True, troubles_from=TROUBLES
    )
    return Shop(options, BEGIN, NOW, ages=(1, 96))


@pytest.fixture(scope="module")
def folder(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of its returns, and their webhooks; a fifth of those of the last days is lost."""
    folder = tmp_path_factory.mktemp("shop") / "lake"
    pipeline = shop.fill(FolderStore(folder), without=[LACKING])
    worse = WebhookOptions(loss=0.2)
    shop.deliver(pipeline, WebhookOptions(loss=0.005), worse, TROUBLES + timedelta(days=3))
    pipeline.all_time.build()
    return folder


@pytest.fixture(scope="module")
def figures(folder: Path) -> Figures:
    found = gather(Lake(FolderStore(folder)), INDIA, OPTIONS)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def html(figures: Figures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page.page(figures), encoding="utf-8")
    return file


# ---- what it says


def test_the_planted_faults_are_found_and_no_others(figures: Figures) -> None:
    found = standouts.find(figures)
    assert [one.section for one in found] == [
        "completeness", "styles", "modes", "open", "couriers", "webhooks",
    ]  # fmt: skip
    texts = ("12 Nov 12:30", "did not arrive", "Defective or damaged", "UPI", "XpressBees")
    for text in texts:
        assert sum(text in one.text for one in found) == 1, text


def test_the_figures_are_those_of_the_simulator(figures: Figures, shop: Shop) -> None:
    first, end = datetime(2026, 11, 2, tzinfo=INDIA), datetime(2026, 11, 16, tzinfo=INDIA)
    served = shop.dataset.returns_between(first, end, NOW)
    assert (figures.now.first, figures.now.last) == (date(2026, 11, 2), date(2026, 11, 15))
    # Of the hour that was not polled only webhooks brought some.
    there = [at for at in figures.now.returns["requested_at"] if not LACKING.holds(at)]
    assert len(there) == sum(not LACKING.holds(one.requested_at) for one in served)
    of_day = LACKING.start.astimezone(INDIA).date()
    reasons = Counter(
        item.return_reason or "Not given"
        for one in served
        if one.requested_at.astimezone(INDIA).date() != of_day
        for item in one.items
    )
    found = figures.now.reasons.filter(pl.col("day") != of_day)
    by_reason = found.group_by("return_reason").agg(pl.col("items").sum())
    assert dict(by_reason.iter_rows()) == dict(reasons)


def test_no_person_is_in_the_page(html: Path, shop: Shop) -> None:
    content = html.read_text()
    for window in shop.windows[::7]:
        for planned in shop.dataset.planned(int(window.start.timestamp() * 1_000_000)):
            of_one = contents_of(planned)
            for canary in (of_one.person, of_one.email, of_one.phone, of_one.street):
                assert canary not in content


def test_it_is_small(html: Path) -> None:
    assert html.stat().st_size < 400_000


# ---- in a browser

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture
def browser() -> Iterator[Any]:
    """The browser of this machine."""
    import shutil  # noqa: PLC0415

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as one:
        opened = one.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Shown:
    page: Any
    messages: list[str]


@pytest.fixture(params=["light 1200", "dark 1200", f"light {PHONE}", f"dark {PHONE}"])
def shown(request: pytest.FixtureRequest, browser: Any, html: Path) -> Iterator[Shown]:
    """The page, offline, in a theme and a width."""
    theme, width = request.param.split()
    context = browser.new_context(
        viewport={"width": int(width), "height": 800}, color_scheme=theme, offline=True
    )
    one = Shown(context.new_page(), [])
    one.page.on("console", lambda message: one.messages.append(message.text))
    one.page.on("pageerror", lambda error: one.messages.append(str(error)))
    one.page.on("requestfailed", lambda request: one.messages.append(request.url))
    one.page.goto(html.as_uri())
    yield one
    context.close()


def test_it_is_shown_without_an_error_and_scrolls_in_one_direction(shown: Shown) -> None:
    assert shown.messages == []
    width = shown.page.evaluate("document.documentElement.scrollWidth")
    assert width == shown.page.viewport_size["width"]
    assert shown.page.locator("svg[role=img]:visible").count() == 3
    assert shown.page.locator("h2").count() == 10


def test_axe_has_no_finding(shown: Shown) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    result = axe.Axe().run(shown.page)
    assert result.response["violations"] == []
    assert len(result.response["passes"]) > 20


def test_a_link_gives_csv_that_a_spreadsheet_reads(browser: Any, html: Path) -> None:
    context = browser.new_context(accept_downloads=True, offline=True)
    one = context.new_page()
    one.goto(html.as_uri())
    with one.expect_download() as download:
        one.get_by_role("link", name="Why as CSV", exact=True).click()
    content = Path(download.value.path()).read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(content)))
    assert download.value.suggested_filename == "reasons.csv"
    assert {"reason", "items", "share"} == rows[0].keys()
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=0.01)
    context.close()


def test_no_row_is_cut_in_print(browser: Any, html: Path) -> None:
    """Each row and each chart is within one page of A4, margins left out."""
    context = browser.new_context(viewport={"width": 688, "height": 1017}, offline=True)
    one = context.new_page()
    one.emulate_media(media="print")
    one.goto(html.as_uri())
    broken = one.evaluate(
        """() => [...document.querySelectorAll('tr, svg, .tiles div, .standouts')]
            .filter(e => e.getClientRects().length &&
                         getComputedStyle(e).breakInside !== 'avoid')
            .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert broken == []
    wide = one.evaluate("document.documentElement.scrollWidth")
    assert wide <= 688  # nothing is cut at the side
    content = one.pdf(prefer_css_page_size=True)
    assert content.startswith(b"%PDF")
    assert 3 <= content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") <= 9
    context.close()


# ---- by command and by Dagster


def environment(folder: Path, tmp_path: Path, **more: str) -> dict[str, str]:
    """Settings of the lake, and no others."""
    (tmp_path / "no.env").touch()
    return {
        "RETURNS_LAKE": str(folder),
        "RETURNS_START": "2026-11-01T18:00:00Z",
        "RETURNS_STYLE_PATTERN": "^(ST[0-9]+)-",
        "RETURNS_REPORT_DAYS": "14",
        "DAGSTER_HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "RETURNS_ENV_FILE": str(tmp_path / "no.env"),
        **more,
    }


def run(folder: Path, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this program
        [Path(sys.executable).with_name("returns-orchestration"), "report", *arguments],
        env=environment(folder, tmp_path),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )


def test_the_command_writes_the_page_and_says_what_stands_out(folder: Path, tmp_path: Path) -> None:
    done = run(folder, tmp_path, "--out", "report.html")
    assert done.returncode == 1, done.stderr  # an hour is missing
    assert "Returns, 2 Nov to 15 Nov 2026:" in done.stdout
    assert done.stdout.count("\n! ") == 6
    content = (tmp_path / "report.html").read_text()
    assert "The data end at 2026-11-16 02:30" in content
    again = run(folder, tmp_path, "2026-11-10", "2026-11-12", "--out", "two.html")
    assert again.returncode == 0, again.stderr
    assert "Returns, 10 Nov to 11 Nov 2026" in (tmp_path / "two.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("2026-11-10",), "FROM without TO"),
        (("2026-11-12", "2026-11-12"), "TO is not included"),
        (("yesterday", "today"), "'yesterday' is not a day"),
        (("2026-01-01", "2026-01-09"), "Choose days from 2026-11-02 to 2026-11-15"),
    ],
)
def test_a_wrong_call_says_what_to_do(
    arguments: tuple[str, ...], says: str, folder: Path, tmp_path: Path
) -> None:
    done = run(folder, tmp_path, *arguments, "--out", "x.html")
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("--days", "7"), ("2026-11-10", "2026-11-12")])
def test_other_days_do_not_replace_the_report_of_the_lake(
    arguments: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    done = run(folder, tmp_path, *arguments)
    assert done.returncode == 2
    assert "Name a file with --out" in done.stderr


def ticked(definitions: dg.Definitions, instance: dg.DagsterInstance, cursor: str | None) -> Any:
    repository = definitions.get_repository_def()
    with dg.build_sensor_context(instance, repository_def=repository, cursor=cursor) as context:
        return repository.get_sensor_def("report_by_day").evaluate_tick(context)


def test_dagster_makes_it_once_a_day(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sensor asks for it two hours after the day; the digest is left for the alerts."""
    for name, value in environment(folder, tmp_path, RETURNS_WEEKLY_DIGEST="true").items():
        monkeypatch.setenv(name, value)
    definitions = build_defs(Settings(), clock=lambda: NOW)
    with dg.DagsterInstance.ephemeral() as instance:
        first = ticked(definitions, instance, None)
        (request,) = first.run_requests
        assert request.run_key == "report:2026-11-15:1"
        again = ticked(definitions, instance, first.cursor)
        assert not again.run_requests
        assert "2026-11-15" in again.skip_message
        job = definitions.resolve_job_def("report")
        result = job.execute_in_process(instance=instance)
        assert result.success
        (event,) = result.asset_materializations_for_node("returns_report")
        assert event.metadata["returns"].value > 1_000
        assert "XpressBees" in str(event.metadata["what stands out"].value)
        assert (folder / "reports/returns/latest.html").is_file()
        digest = handed_over(Lake(FolderStore(folder)))
        assert digest
        assert digest.week == "2026-11-15"
        assert digest.title == "Returns, 2 Nov to 15 Nov 2026"


def test_a_report_that_failed_is_made_again_and_not_for_ever(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(folder, tmp_path).items():
        monkeypatch.setenv(name, value)
    definitions = build_defs(Settings(), clock=lambda: NOW)
    job = definitions.resolve_job_def("report")
    with dg.DagsterInstance.ephemeral() as instance:
        asked, cursor = [], None
        for _ in range(5):
            found = ticked(definitions, instance, cursor)
            cursor = found.cursor
            asked += [request.run_key for request in found.run_requests or []]
            run = instance.create_run_for_job(job, tags=dict(job.tags))
            instance.report_run_failed(run)
        assert asked == [f"report:2026-11-15:{number}" for number in (1, 2, 3)]
        assert "failed 3 times" in (found.skip_message or "")


def test_nothing_is_made_of_an_empty_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(tmp_path / "lake", tmp_path).items():
        monkeypatch.setenv(name, value)
    definitions = build_defs(Settings(), clock=lambda: NOW)
    with dg.DagsterInstance.ephemeral() as instance:
        found = ticked(definitions, instance, None)
        assert not found.run_requests
        assert found.skip_message == "No hour is made yet."
